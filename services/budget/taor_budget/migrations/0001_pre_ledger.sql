-- The ledger: accounts, the builds that they pay for, their periods, their reservations, and the journal of it all.
-- Money is in microdollars. What changes money is in sql/ledger.sql; nothing else writes periods, reservations, journal.

CREATE TABLE accounts (
    tenant_id          text NOT NULL,
    user_id            text NOT NULL,
    tier               text NOT NULL,
    time_zone          text NOT NULL,
    anchor_day         smallint NOT NULL CHECK (anchor_day BETWEEN 1 AND 31),
    cycle_microdollars bigint NOT NULL CHECK (cycle_microdollars >= 0),
    version            bigint NOT NULL DEFAULT 1,  -- rises with every growth of free money
    journal_sequence   bigint NOT NULL DEFAULT 0,  -- the last number given to a row of its journal
    created_at         timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, user_id)
) WITH (fillfactor = 50);

CREATE TABLE builds (
    tenant_id      text NOT NULL,
    build_id       uuid NOT NULL,
    user_id        text NOT NULL,
    model          text NOT NULL,
    wanted_tier    text NOT NULL,
    wanted_model   text NOT NULL,
    admitted_at    timestamptz NOT NULL,
    epoch          bigint NOT NULL DEFAULT 0,
    owner          text NOT NULL DEFAULT '',
    -- The highest call that a Reserve or Release has shown, and what it was denied for: a delayed copy must hold nothing.
    shown_epoch    bigint NOT NULL DEFAULT 0,
    shown_k        bigint NOT NULL DEFAULT -1,
    denied_cause   text CHECK (denied_cause IN ('LIMIT', 'HOLDS')),
    denied_version bigint,
    PRIMARY KEY (tenant_id, build_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES accounts
) WITH (fillfactor = 50);

-- One row per billing cycle (cycle/2026-11-25), local day (day/2026-11-25) and build (build/ID) of an account.
CREATE TABLE periods (
    tenant_id text NOT NULL,
    user_id   text NOT NULL,
    period    text NOT NULL,
    starts_at timestamptz,
    ends_at   timestamptz,
    allowance bigint CHECK (allowance BETWEEN 0 AND "limit"),  -- of a day, for ordinary calls; the limit is its hard stop
    "limit"   bigint CHECK ("limit" >= 0),                     -- a build has none of its own
    reserved  bigint NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    spent     bigint NOT NULL DEFAULT 0 CHECK (spent >= 0),
    overrun   bigint NOT NULL DEFAULT 0 CHECK (overrun >= 0),
    PRIMARY KEY (tenant_id, user_id, period),
    FOREIGN KEY (tenant_id, user_id) REFERENCES accounts,
    CHECK (starts_at < ends_at),
    CONSTRAINT never_over CHECK (spent + reserved <= "limit" + overrun)
) WITH (fillfactor = 50);

CREATE TYPE ledger_usage AS (
    input_tokens bigint, output_tokens bigint, cache_read_tokens bigint,
    cache_write_5m_tokens bigint, cache_write_1h_tokens bigint
);

CREATE TABLE reservations (
    tenant_id         text NOT NULL,
    build_id          uuid NOT NULL,
    epoch             bigint NOT NULL CHECK (epoch > 0),
    k                 bigint NOT NULL CHECK (k >= 0),
    user_id           text NOT NULL,
    kind              text NOT NULL CHECK (kind IN ('CALL', 'HANDOVER', 'EARMARK')),
    state             text NOT NULL CHECK (state IN ('HELD', 'SETTLED', 'RELEASED', 'CHARGED', 'EXPIRED')),
    needs_sequence    bigint NOT NULL,
    prompt_tokens     bigint NOT NULL,
    min_output_tokens bigint NOT NULL,
    max_output_tokens bigint NOT NULL,
    price_id          text NOT NULL,
    cycle_period      text NOT NULL,
    day_period        text NOT NULL,
    held              bigint NOT NULL CHECK (held >= 0),
    booked            bigint NOT NULL DEFAULT 0 CHECK (booked >= 0),
    overrun           bigint NOT NULL DEFAULT 0 CHECK (overrun = greatest(booked - held, 0)),
    usage             ledger_usage,
    reason            text NOT NULL DEFAULT '',
    reserved_at       timestamptz NOT NULL,
    expires_at        timestamptz NOT NULL,
    closed_at         timestamptz,
    PRIMARY KEY (tenant_id, build_id, epoch, k),
    FOREIGN KEY (tenant_id, build_id) REFERENCES builds,
    CHECK ((state = 'HELD') = (closed_at IS NULL)),
    CHECK (state NOT IN ('HELD', 'RELEASED') OR booked = 0),
    CHECK (state NOT IN ('CHARGED', 'EXPIRED') OR booked = held)
) WITH (fillfactor = 70);

CREATE INDEX reservations_due ON reservations (expires_at) WHERE state = 'HELD';

CREATE TABLE journal (
    tenant_id       text NOT NULL,
    user_id         text NOT NULL,
    sequence        bigint NOT NULL,
    period          text NOT NULL,
    build_id        uuid,  -- with epoch and k the reservation; absent where a limit was set
    epoch           bigint,
    k               bigint,
    allowance_delta bigint NOT NULL DEFAULT 0,
    limit_delta     bigint NOT NULL DEFAULT 0,
    reserved_delta  bigint NOT NULL DEFAULT 0,
    spent_delta     bigint NOT NULL DEFAULT 0,
    overrun_delta   bigint NOT NULL DEFAULT 0,
    at              timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, user_id, sequence)
);

CREATE FUNCTION journal_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the journal is append-only' USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON journal
    FOR EACH STATEMENT EXECUTE FUNCTION journal_is_append_only();

-- What the functions of sql/ledger.sql take and give.
CREATE TYPE ledger_today AS (
    cycle_period text, cycle_starts_at timestamptz, cycle_ends_at timestamptz,
    day_period text, day_starts_at timestamptz, day_ends_at timestamptz, days_left integer
);
CREATE TYPE ledger_settlement AS (
    epoch bigint, k bigint, usage ledger_usage, price_ids text[], costs bigint[]
);
CREATE TYPE ledger_need AS (
    k bigint, kind text, needs_sequence bigint, prompt_tokens bigint, min_output_tokens bigint, max_output_tokens bigint,
    price_id text, price_since timestamptz, price_until timestamptz, min_held bigint, max_held bigint, life interval
);
CREATE TYPE ledger_closing AS (
    refusal text, state text, booked bigint, overrun bigint, changed boolean
);
CREATE TYPE ledger_answer AS (
    refusal text, highest_epoch bigint, cause text, version bigint, needed bigint, free bigint,
    held bigint, price_id text, life_seconds double precision
);
CREATE TYPE ledger_allowance AS (
    allowance bigint, hard_limit bigint, spent bigint, reserved bigint, cycle_left bigint, version bigint, build_spent bigint
);
