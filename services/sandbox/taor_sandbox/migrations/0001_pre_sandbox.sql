-- A build as this service knows it: its fence, and which generation of its sandbox is current.
CREATE TABLE builds (
    tenant_id text NOT NULL,
    build_id text NOT NULL,
    project_id text NOT NULL,
    epoch bigint NOT NULL,
    owner text NOT NULL,
    attach_number bigint NOT NULL,
    state text NOT NULL CHECK (state IN ('FENCED', 'PREPARING', 'READY', 'KEPT', 'PAUSED', 'DESTROYED')),
    generation bigint NOT NULL,
    nonce bigint NOT NULL,
    -- The base: the last operation that the snapshot under the current generation covers; 0, 0 when there is none.
    base_sequence bigint NOT NULL,
    base_block integer NOT NULL,
    snapshot_id text,
    kept_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT taor_now(),
    PRIMARY KEY (tenant_id, build_id)
);
-- A preview token names the build only; its signature then proves the tenant.
CREATE UNIQUE INDEX builds_by_id ON builds (build_id);
CREATE INDEX builds_kept ON builds (tenant_id, kept_until) WHERE state = 'KEPT';

-- One sandbox per generation; the row stands before the provider is asked for it.
CREATE TABLE sandboxes (
    tenant_id text NOT NULL,
    build_id text NOT NULL,
    generation bigint NOT NULL,
    state text NOT NULL CHECK (state IN ('CREATING', 'LIVE', 'ORPHAN', 'DESTROYING', 'GONE')),
    provider_id text,
    boot_id text,
    created_at timestamptz NOT NULL DEFAULT taor_now(),
    changed_at timestamptz NOT NULL DEFAULT taor_now(),
    PRIMARY KEY (tenant_id, build_id, generation),
    FOREIGN KEY (tenant_id, build_id) REFERENCES builds
);
CREATE INDEX sandboxes_to_destroy ON sandboxes (tenant_id, build_id) WHERE state IN ('ORPHAN', 'DESTROYING');

-- The journal of changing tool calls. A row is STARTING before its command starts, and is closed once.
CREATE TABLE operations (
    tenant_id text NOT NULL,
    build_id text NOT NULL,
    op_id text NOT NULL,
    log_sequence bigint NOT NULL,
    block integer NOT NULL,
    generation bigint NOT NULL,
    state text NOT NULL CHECK (state IN ('STARTING', 'DONE', 'INTERRUPTED', 'LOST')),
    tool text NOT NULL,
    input text NOT NULL,
    request_sha256 bytea NOT NULL,
    claims integer NOT NULL DEFAULT 0,
    result_text text,
    text_sha256 bytea,
    failure_code text,
    failure_message text,
    exit_status integer,
    elapsed_seconds double precision,
    -- Where the next command starts.
    cwd text,
    started_at timestamptz NOT NULL DEFAULT taor_now(),
    closed_at timestamptz,
    PRIMARY KEY (tenant_id, build_id, op_id),
    FOREIGN KEY (tenant_id, build_id) REFERENCES builds,
    CHECK ((state = 'STARTING') = (closed_at IS NULL))
);
CREATE UNIQUE INDEX operations_by_position ON operations (tenant_id, build_id, log_sequence, block);
CREATE INDEX operations_open ON operations (tenant_id, build_id, log_sequence, block) WHERE state = 'STARTING';
CREATE INDEX operations_with_cwd ON operations (tenant_id, build_id, log_sequence, block) WHERE cwd IS NOT NULL;

-- Snapshots of a project's files. A PENDING one announces its blobs, so that the collection spares them.
CREATE TABLE snapshots (
    tenant_id text NOT NULL,
    build_id text NOT NULL,
    snapshot_id text NOT NULL,
    state text NOT NULL CHECK (state IN ('PENDING', 'PUBLISHED', 'BAD', 'DELETED')),
    generation bigint NOT NULL,
    covers_sequence bigint NOT NULL,
    covers_block integer NOT NULL,
    covers_op_id text NOT NULL,
    tree_sha256 bytea NOT NULL,
    manifest_sha256 bytea NOT NULL,
    blobs bytea[] NOT NULL,
    file_count bigint NOT NULL,
    file_bytes bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT taor_now(),
    published_at timestamptz,
    PRIMARY KEY (tenant_id, build_id, snapshot_id),
    FOREIGN KEY (tenant_id, build_id) REFERENCES builds
);
CREATE INDEX snapshots_newest ON snapshots
    (tenant_id, build_id, covers_sequence DESC, covers_block DESC, published_at DESC) WHERE state = 'PUBLISHED';
