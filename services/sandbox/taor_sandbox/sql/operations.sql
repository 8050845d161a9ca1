-- The journal of changing tool calls; see "Tool operations" in the protocol.

-- Announces an operation, in the one commit that precedes its start. Verdicts:
-- RUN (announced), FOLLOW (was announced in this generation), STORED (has its result), NOT_FOUND, STALE_EPOCH,
-- STALE_GENERATION, PREPARING (ask again), CONFLICT, OUT_OF_ORDER.
CREATE OR REPLACE FUNCTION begin_operation(
    p_tenant text, p_build text, p_epoch bigint, p_generation bigint, p_op text, p_sequence bigint, p_block integer,
    p_tool text, p_input text, p_sha256 bytea,
    OUT verdict text, OUT nonce bigint, OUT cwd text
) LANGUAGE plpgsql AS $$
DECLARE
    b builds;
    o operations;
BEGIN
    SELECT * INTO b FROM builds WHERE tenant_id = p_tenant AND build_id = p_build FOR NO KEY UPDATE;
    verdict := CASE
        WHEN b.build_id IS NULL THEN 'NOT_FOUND'
        WHEN p_epoch <> b.epoch THEN 'STALE_EPOCH'
        WHEN p_generation <> b.generation THEN 'STALE_GENERATION'
        WHEN b.state = 'PREPARING' THEN 'PREPARING'
        WHEN b.state <> 'READY' THEN 'STALE_GENERATION'
    END;
    IF verdict IS NOT NULL THEN
        RETURN;
    END IF;
    nonce := b.nonce;
    SELECT * INTO o FROM operations WHERE tenant_id = p_tenant AND build_id = p_build AND op_id = p_op;
    IF o.op_id IS NOT NULL AND o.request_sha256 <> p_sha256 THEN
        verdict := 'CONFLICT';
        RETURN;
    ELSIF o.state IN ('INTERRUPTED', 'LOST') THEN
        verdict := 'STORED';
        RETURN;
    ELSIF o.state = 'DONE' THEN
        verdict := CASE WHEN o.generation = b.generation
                          OR (o.log_sequence, o.block) <= (b.base_sequence, b.base_block)
                        THEN 'STORED' ELSE 'STALE_GENERATION' END;
        RETURN;
    END IF;
    cwd := (SELECT p.cwd FROM operations p
            WHERE p.tenant_id = p_tenant AND p.build_id = p_build AND p.cwd IS NOT NULL AND p.state <> 'LOST'
              AND (p.log_sequence, p.block) < (p_sequence, p_block)
            ORDER BY p.log_sequence DESC, p.block DESC LIMIT 1);
    IF o.state = 'STARTING' AND o.generation = b.generation THEN
        verdict := 'FOLLOW';
        RETURN;
    END IF;
    -- One at a time, in the order of the log: else what a snapshot covers would be a set.
    IF EXISTS (SELECT FROM operations p WHERE p.tenant_id = p_tenant AND p.build_id = p_build
               AND p.state = 'STARTING' AND p.op_id <> p_op
               AND (p.generation = b.generation OR (p.log_sequence, p.block) < (p_sequence, p_block)))
       -- Written so that it reads one row of the index: a generic plan of EXISTS (… > …) scans the table.
       OR (SELECT (p.log_sequence, p.block) > (p_sequence, p_block) FROM operations p
           WHERE p.tenant_id = p_tenant AND p.build_id = p_build
           ORDER BY p.log_sequence DESC, p.block DESC LIMIT 1)
    THEN
        verdict := 'OUT_OF_ORDER';
        RETURN;
    END IF;
    IF o.state = 'STARTING' THEN  -- announced in an older generation, whose files are rolled back
        UPDATE operations SET generation = p_generation, claims = 0, started_at = taor_now()
        WHERE tenant_id = p_tenant AND build_id = p_build AND op_id = p_op;
    ELSE
        INSERT INTO operations (tenant_id, build_id, op_id, log_sequence, block, generation, state, tool, input,
                                request_sha256)
        VALUES (p_tenant, p_build, p_op, p_sequence, p_block, p_generation, 'STARTING', p_tool, p_input, p_sha256)
        ON CONFLICT (tenant_id, build_id, log_sequence, block) DO NOTHING;
        IF NOT FOUND THEN
            verdict := 'CONFLICT';
            RETURN;
        END IF;
    END IF;
    verdict := 'RUN';
END $$;

-- Closes an operation, once, and only while its generation is current.
-- Verdicts: RECORDED, CLOSED (it has another result already), STALE_GENERATION.
CREATE OR REPLACE FUNCTION record_operation(
    p_tenant text, p_build text, p_generation bigint, p_op text, p_claims integer, p_state text, p_text text,
    p_text_sha256 bytea, p_code text, p_message text, p_exit_status integer, p_elapsed double precision, p_cwd text
) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM builds
    WHERE tenant_id = p_tenant AND build_id = p_build AND generation = p_generation FOR SHARE;
    IF NOT FOUND THEN
        RETURN 'STALE_GENERATION';
    END IF;
    UPDATE operations SET state = p_state, claims = claims + p_claims, result_text = p_text,
        text_sha256 = p_text_sha256, failure_code = p_code, failure_message = p_message, exit_status = p_exit_status,
        elapsed_seconds = p_elapsed, cwd = p_cwd, closed_at = taor_now()
    WHERE tenant_id = p_tenant AND build_id = p_build AND op_id = p_op AND generation = p_generation
      AND state = 'STARTING';
    IF FOUND THEN
        RETURN 'RECORDED';
    END IF;
    -- A second claim is a broken promise, and the audit must see it.
    UPDATE operations SET claims = claims + p_claims
    WHERE tenant_id = p_tenant AND build_id = p_build AND op_id = p_op AND generation = p_generation AND p_claims > 0;
    RETURN 'CLOSED';
END $$;

-- Notes that the effect of an operation is present in this generation again. False: overtaken.
CREATE OR REPLACE FUNCTION record_redone(
    p_tenant text, p_build text, p_epoch bigint, p_number bigint, p_generation bigint, p_op text, p_claims integer
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM builds
    WHERE tenant_id = p_tenant AND build_id = p_build AND epoch = p_epoch AND attach_number = p_number
      AND generation = p_generation AND state = 'PREPARING' FOR SHARE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE operations SET generation = p_generation, claims = p_claims
    WHERE tenant_id = p_tenant AND build_id = p_build AND op_id = p_op AND state = 'DONE';
    RETURN true;
END $$;

-- Gives up what is left to be redone: those effects are gone, and every Attach says so. False: overtaken.
CREATE OR REPLACE FUNCTION record_lost(
    p_tenant text, p_build text, p_epoch bigint, p_number bigint, p_generation bigint
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    b builds;
BEGIN
    SELECT * INTO b FROM builds
    WHERE tenant_id = p_tenant AND build_id = p_build AND epoch = p_epoch AND attach_number = p_number
      AND generation = p_generation AND state = 'PREPARING' FOR SHARE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE operations SET state = 'LOST'
    WHERE tenant_id = p_tenant AND build_id = p_build AND state = 'DONE' AND generation < p_generation
      AND (log_sequence, block) > (b.base_sequence, b.base_block);
    RETURN true;
END $$;
