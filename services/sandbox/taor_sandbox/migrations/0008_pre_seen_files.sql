-- What the agent of a build knows of its files: the content of each that it has last read, or has left itself. Paths are
-- hashed: they may be longer than a key of an index.
CREATE TABLE seen_files (
    tenant_id text NOT NULL,
    build_id text NOT NULL,
    path_sha256 bytea NOT NULL,
    sha256 bytea NOT NULL,
    -- Which tool call told it. An answer that was never logged has told nothing, and its numbers may come again: the epoch
    -- comes first.
    epoch bigint NOT NULL,
    log_sequence bigint NOT NULL,
    block integer NOT NULL,
    PRIMARY KEY (tenant_id, build_id, path_sha256),
    FOREIGN KEY (tenant_id, build_id) REFERENCES builds
);
