-- A build is its own job: who may claim it and until when stands in its row, so no ticket can get lost or linger.
CREATE TABLE builds (
    build_id              uuid PRIMARY KEY,
    tenant_id             text NOT NULL,
    user_id               text NOT NULL,
    project_id            text NOT NULL,
    tier                  text NOT NULL,
    model                 text NOT NULL,
    max_output_tokens     integer NOT NULL CHECK (max_output_tokens > 0),
    max_concurrent_builds integer NOT NULL CHECK (max_concurrent_builds > 0),
    priority              integer NOT NULL,
    state                 text NOT NULL CHECK (state IN (
        'QUEUED', 'RUNNING', 'SLEEPING', 'WAITING_BUDGET', 'WAITING_ANSWER', 'SUCCEEDED', 'FAILED', 'CANCELLED')),
    due_at                timestamptz,
    wake_at               timestamptz,
    lease_owner           text,
    lease_until           timestamptz,
    epoch                 bigint NOT NULL DEFAULT 0,
    wake_generation       bigint NOT NULL DEFAULT 0,
    denied_version        bigint NOT NULL DEFAULT 0,
    cancel_requested      boolean NOT NULL DEFAULT false,
    claimed_at_sequence   bigint NOT NULL DEFAULT 0,
    fruitless_claims      integer NOT NULL DEFAULT 0,
    projected_sequence    bigint NOT NULL DEFAULT 0,
    event_sequence        bigint NOT NULL DEFAULT 0,
    turns                 integer NOT NULL DEFAULT 0,
    tool_calls            integer NOT NULL DEFAULT 0,
    spent_microdollars    bigint NOT NULL DEFAULT 0,
    preview_port          integer NOT NULL DEFAULT 0,
    outcome_message       text NOT NULL DEFAULT '',
    created_at            timestamptz NOT NULL DEFAULT taor_now(),
    ended_at              timestamptz,
    -- Every live build is queued with a time, leased, asleep with a time, or waiting for a person; nothing in between.
    CONSTRAINT queued_has_time CHECK ((state = 'QUEUED') = (due_at IS NOT NULL)),
    CONSTRAINT running_is_leased CHECK ((state = 'RUNNING') = (lease_owner IS NOT NULL AND lease_until IS NOT NULL)),
    CONSTRAINT resting_has_time CHECK ((state IN ('SLEEPING', 'WAITING_BUDGET')) = (wake_at IS NOT NULL)),
    CONSTRAINT ended_has_time CHECK ((state IN ('SUCCEEDED', 'FAILED', 'CANCELLED')) = (ended_at IS NOT NULL))
) WITH (fillfactor = 50);
-- No index holds a column that a turn or a heartbeat changes, so both stay within their page (HOT).
CREATE INDEX builds_queued ON builds (due_at) WHERE state = 'QUEUED';
CREATE INDEX builds_running ON builds (tenant_id, user_id) WHERE state = 'RUNNING';
CREATE INDEX builds_resting ON builds (wake_at) WHERE state IN ('SLEEPING', 'WAITING_BUDGET');
CREATE INDEX builds_listed ON builds (tenant_id, build_id DESC);

-- Apart from the row that every turn rewrites: what was asked for is large and never changes.
CREATE TABLE assignments (
    build_id       uuid PRIMARY KEY REFERENCES builds,
    tenant_id      text NOT NULL,
    brief          text NOT NULL,
    clarifications jsonb NOT NULL,
    plan           text NOT NULL
);

CREATE TABLE requests (
    tenant_id     text NOT NULL,
    method        text NOT NULL,
    request_id    text NOT NULL,
    request_hash  bytea NOT NULL,
    build_id      uuid NOT NULL REFERENCES builds,
    created_at    timestamptz NOT NULL DEFAULT taor_now(),
    PRIMARY KEY (tenant_id, method, request_id)
);

CREATE TABLE events (
    build_id     uuid NOT NULL REFERENCES builds,
    sequence     bigint NOT NULL,
    tenant_id    text NOT NULL,
    log_sequence bigint NOT NULL,
    position     integer NOT NULL,
    payload      text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT taor_now(),
    PRIMARY KEY (build_id, sequence)
);
-- An entry of the log is projected once; changes of state have no entry.
CREATE UNIQUE INDEX events_derived_once ON events (build_id, log_sequence, position) WHERE log_sequence > 0;

CREATE TABLE documents (
    build_id     uuid NOT NULL REFERENCES builds,
    section      text NOT NULL,
    tenant_id    text NOT NULL,
    content      text NOT NULL,
    log_sequence bigint NOT NULL,
    PRIMARY KEY (build_id, section)
);

CREATE TABLE inbox (
    inbox_id     uuid PRIMARY KEY,
    build_id     uuid NOT NULL REFERENCES builds,
    tenant_id    text NOT NULL,
    kind         text NOT NULL CHECK (kind IN ('CANCEL')),
    log_sequence bigint NOT NULL DEFAULT 0,
    created_at   timestamptz NOT NULL DEFAULT taor_now()
);
CREATE INDEX inbox_of_build ON inbox (build_id, created_at);
