-- A project's own key, wrapped by the master key of the configuration. Without this row no body of the project can be read.
CREATE TABLE project_keys (
    tenant_id text NOT NULL,
    project_id text NOT NULL,
    wrapped_key bytea NOT NULL,
    create_time timestamptz NOT NULL DEFAULT taor_now(),
    PRIMARY KEY (tenant_id, project_id)
);

-- One row per build: the fence (epoch, owner) and the end of its log. Every change of a log locks this row first.
CREATE TABLE sessions (
    tenant_id text NOT NULL,
    build_id text NOT NULL,
    project_id text NOT NULL,
    epoch bigint NOT NULL CHECK (epoch >= 0),
    owner text NOT NULL,
    head bigint NOT NULL DEFAULT 0 CHECK (head >= 0),
    segment bigint NOT NULL DEFAULT 0 CHECK (segment >= 0),
    closed boolean NOT NULL DEFAULT false,
    body_bytes bigint NOT NULL DEFAULT 0,
    create_time timestamptz NOT NULL DEFAULT taor_now(),
    PRIMARY KEY (tenant_id, build_id),
    FOREIGN KEY (tenant_id, project_id) REFERENCES project_keys
) WITH (fillfactor = 50);  -- room for the new version of a row beside the old one, so that an append touches no index here

CREATE TYPE entry_kind AS ENUM ('HEAD', 'USER', 'ASSISTANT', 'OUTCOME');

CREATE TYPE model_usage AS (
    input_tokens bigint,
    output_tokens bigint,
    cache_read_tokens bigint,
    cache_write_5m_tokens bigint,
    cache_write_1h_tokens bigint
);

CREATE TYPE model_call AS (
    rid text,
    request_sha256 bytea,
    model text,
    max_output_tokens bigint,
    usage model_usage,
    stop_reason text,
    price_id text,
    start_time timestamptz
);

-- An entry as it is handed to append_entries.
CREATE TYPE new_entry AS (
    kind entry_kind,
    sealed_body bytea,
    body_sha256 bytea,
    inbox_ids text[],
    call model_call
);

CREATE TABLE entries (
    tenant_id text NOT NULL,
    build_id text NOT NULL,
    sequence bigint NOT NULL CHECK (sequence > 0),
    segment bigint NOT NULL CHECK (segment > 0),
    epoch bigint NOT NULL CHECK (epoch > 0),
    kind entry_kind NOT NULL,
    sealed_body bytea NOT NULL,
    body_sha256 bytea NOT NULL CHECK (octet_length(body_sha256) = 32),
    inbox_ids text[] NOT NULL,
    call model_call CHECK ((kind = 'ASSISTANT') = ((call).rid IS NOT NULL)),
    append_time timestamptz NOT NULL DEFAULT taor_now(),
    PRIMARY KEY (tenant_id, build_id, sequence)
);
ALTER TABLE entries ALTER COLUMN sealed_body SET STORAGE EXTERNAL;  -- sealed bytes do not compress

-- Which entry carries an inbox item: each stands in one entry of a log only.
CREATE TABLE inbox_entries (
    tenant_id text NOT NULL,
    build_id text NOT NULL,
    inbox_id text NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (tenant_id, build_id, inbox_id)
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are only ever added', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON entries FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON entries FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON inbox_entries FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON inbox_entries FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
