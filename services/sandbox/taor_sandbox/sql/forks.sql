-- The files of a moment: as they stood after the answer in one entry of a build's log.

-- SNAPSHOT with its id, EMPTY where nothing had been changed yet, NONE where no snapshot is of exactly that moment.
CREATE OR REPLACE FUNCTION files_at(
    p_tenant text, p_build text, p_sequence bigint, OUT kind text, OUT snapshot_id text
) LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_fork_sequence bigint;
    last operations;
BEGIN
    SELECT fork_sequence INTO v_fork_sequence FROM builds WHERE tenant_id = p_tenant AND build_id = p_build;
    kind := 'NONE';
    IF p_sequence < v_fork_sequence THEN
        RETURN;  -- before the fork: that is for the origin to tell
    END IF;
    SELECT * INTO last FROM operations
    WHERE tenant_id = p_tenant AND build_id = p_build AND log_sequence <= p_sequence
    ORDER BY log_sequence DESC, block DESC LIMIT 1;
    snapshot_id := (SELECT s.snapshot_id FROM snapshots s
                    WHERE s.tenant_id = p_tenant AND s.build_id = p_build AND s.state = 'PUBLISHED'
                      AND (s.covers_sequence, s.covers_block) = (last.log_sequence, last.block)
                    ORDER BY s.published_at DESC LIMIT 1);
    kind := CASE WHEN snapshot_id IS NOT NULL THEN 'SNAPSHOT' WHEN last.op_id IS NULL THEN 'EMPTY' ELSE 'NONE' END;
END $$;

-- Makes the row of a fork with the files of a moment of its origin, once; with p_redo, where no snapshot holds them, with
-- an older one and what is to be done again. Verdicts: PINNED (also for the same again), NO_SNAPSHOT, PROJECT_MISMATCH,
-- CONFLICT.
CREATE OR REPLACE FUNCTION pin_snapshot(
    p_tenant text, p_build text, p_origin text, p_project text, p_sequence bigint, p_redo boolean
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_kind text;
    v_snapshot_id text;
BEGIN
    -- As for a new snapshot: no collection of blobs between the look at the origin's row and ours.
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('taor_sandbox blobs ' || p_tenant, 0));
    IF (SELECT project_id <> p_project FROM builds WHERE tenant_id = p_tenant AND build_id = p_origin) THEN
        RETURN 'PROJECT_MISMATCH';
    END IF;
    INSERT INTO builds (tenant_id, build_id, project_id, epoch, owner, attach_number, state, generation, nonce,
                        base_sequence, base_block, origin_build_id, fork_sequence)
    VALUES (p_tenant, p_build, p_project, 0, '', 0, 'FENCED', 0, 0, 0, 0, p_origin, p_sequence)
    ON CONFLICT (tenant_id, build_id) DO NOTHING;
    IF NOT FOUND THEN
        RETURN (SELECT CASE WHEN (origin_build_id, fork_sequence, project_id)
                                 IS NOT DISTINCT FROM (p_origin, p_sequence, p_project)
                            THEN 'PINNED' ELSE 'CONFLICT' END
                FROM builds WHERE tenant_id = p_tenant AND build_id = p_build);
    END IF;
    SELECT f.kind, f.snapshot_id INTO v_kind, v_snapshot_id FROM files_at(p_tenant, p_origin, p_sequence) f;
    IF v_kind = 'SNAPSHOT' AND NOT inherit_snapshot(p_tenant, p_build, p_origin, v_snapshot_id) THEN
        v_kind := 'NONE';
    END IF;
    IF v_kind = 'NONE' AND NOT (p_redo AND inherit_operations(p_tenant, p_build, p_origin, p_sequence)) THEN
        DELETE FROM builds WHERE tenant_id = p_tenant AND build_id = p_build;
        RETURN 'NO_SNAPSHOT';
    END IF;
    RETURN 'PINNED';
END $$;

-- Copies the row of a snapshot, unless it was retired in this moment; and what the fork must know of the operations
-- that it covers: the last one, where the next command starts, and which effects are missing in the files.
CREATE OR REPLACE FUNCTION inherit_snapshot(p_tenant text, p_build text, p_origin text, p_snapshot text)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    s snapshots;
BEGIN
    SELECT * INTO s FROM snapshots
    WHERE tenant_id = p_tenant AND build_id = p_origin AND snapshot_id = p_snapshot AND state = 'PUBLISHED' FOR SHARE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO snapshots (tenant_id, build_id, snapshot_id, state, generation, covers_sequence, covers_block,
                           covers_op_id, tree_sha256, manifest_sha256, blobs, file_count, file_bytes, published_at)
    VALUES (p_tenant, p_build, p_snapshot, 'PUBLISHED', 0, s.covers_sequence, s.covers_block, s.covers_op_id,
            s.tree_sha256, s.manifest_sha256, s.blobs, s.file_count, s.file_bytes, s.published_at);
    INSERT INTO operations (tenant_id, build_id, op_id, log_sequence, block, generation, state, tool, input,
                            request_sha256, result_text, text_sha256, failure_code, failure_message, exit_status,
                            elapsed_seconds, cwd, started_at, closed_at)
    SELECT p_tenant, p_build, o.op_id, o.log_sequence, o.block, 0, o.state, o.tool, o.input, o.request_sha256,
           o.result_text, o.text_sha256, o.failure_code, o.failure_message, o.exit_status, o.elapsed_seconds, o.cwd,
           o.started_at, o.closed_at
    FROM operations o
    WHERE o.tenant_id = p_tenant AND o.build_id = p_origin
      AND (o.log_sequence, o.block) <= (s.covers_sequence, s.covers_block)
      AND (o.state = 'LOST' OR (o.log_sequence, o.block) = (s.covers_sequence, s.covers_block)
           OR (o.log_sequence, o.block) = (
               SELECT c.log_sequence, c.block FROM operations c
               WHERE c.tenant_id = p_tenant AND c.build_id = p_origin AND c.cwd IS NOT NULL AND c.state <> 'LOST'
                 AND (c.log_sequence, c.block) <= (s.covers_sequence, s.covers_block)
               ORDER BY c.log_sequence DESC, c.block DESC LIMIT 1));
    RETURN true;
END $$;

-- Copies the newest snapshot before a moment, if there is one, and every operation from there to the moment: the first
-- generation of the fork has them to redo, as after the loss of a sandbox. False where one of them cannot be done again.
CREATE OR REPLACE FUNCTION inherit_operations(p_tenant text, p_build text, p_origin text, p_sequence bigint)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    base snapshots;
    v_sequence bigint;
    v_block integer;
BEGIN
    IF (SELECT p_sequence < fork_sequence FROM builds WHERE tenant_id = p_tenant AND build_id = p_origin) THEN
        RETURN false;
    END IF;
    SELECT * INTO base FROM snapshots
    WHERE tenant_id = p_tenant AND build_id = p_origin AND state = 'PUBLISHED'
      AND (covers_sequence, covers_block) < (
          SELECT log_sequence, block FROM operations
          WHERE tenant_id = p_tenant AND build_id = p_origin AND log_sequence <= p_sequence
          ORDER BY log_sequence DESC, block DESC LIMIT 1)
    ORDER BY covers_sequence DESC, covers_block DESC, published_at DESC LIMIT 1 FOR SHARE;
    v_sequence := coalesce(base.covers_sequence, 0);
    v_block := coalesce(base.covers_block, 0);
    IF EXISTS (SELECT FROM operations
               WHERE tenant_id = p_tenant AND build_id = p_origin AND log_sequence <= p_sequence
                 AND (log_sequence, block) > (v_sequence, v_block) AND state <> 'DONE')
       OR (base.snapshot_id IS NOT NULL
           AND NOT inherit_snapshot(p_tenant, p_build, p_origin, base.snapshot_id))
    THEN
        RETURN false;
    END IF;
    INSERT INTO operations (tenant_id, build_id, op_id, log_sequence, block, generation, state, tool, input,
                            request_sha256, result_text, text_sha256, failure_code, failure_message, exit_status,
                            elapsed_seconds, cwd, started_at, closed_at)
    SELECT p_tenant, p_build, op_id, log_sequence, block, 0, state, tool, input, request_sha256, result_text, text_sha256,
           failure_code, failure_message, exit_status, elapsed_seconds, cwd, started_at, closed_at
    FROM operations
    WHERE tenant_id = p_tenant AND build_id = p_origin AND log_sequence <= p_sequence
      AND (log_sequence, block) > (v_sequence, v_block);
    -- What was there once cannot be unpacked any more, but its hash tells whether the files come out as they were.
    INSERT INTO snapshots (tenant_id, build_id, snapshot_id, state, generation, covers_sequence, covers_block,
                           covers_op_id, tree_sha256, manifest_sha256, blobs, file_count, file_bytes, created_at)
    SELECT p_tenant, p_build, snapshot_id, 'DELETED', 0, covers_sequence, covers_block, covers_op_id, tree_sha256,
           manifest_sha256, '{}', file_count, file_bytes, created_at
    FROM snapshots
    WHERE tenant_id = p_tenant AND build_id = p_origin AND covers_sequence <= p_sequence AND state <> 'PUBLISHED'
      AND (covers_sequence, covers_block) > (v_sequence, v_block);
    RETURN true;
END $$;
