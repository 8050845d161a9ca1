-- Fences and generations. Each function locks the row of the build first, so that whoever acts for an older claim,
-- an older Attach call or an older generation finds out before it changes anything.

-- Raises the fence of a build. Verdicts: FENCED, STALE_EPOCH, SUPERSEDED.
CREATE OR REPLACE FUNCTION fence_build(
    p_tenant text, p_build text, p_project text, p_epoch bigint, p_owner text, p_number bigint
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    b builds;
BEGIN
    INSERT INTO builds (tenant_id, build_id, project_id, epoch, owner, attach_number, state,
                        generation, nonce, base_sequence, base_block)
    VALUES (p_tenant, p_build, p_project, p_epoch, p_owner, p_number, 'FENCED', 0, 0, 0, 0)
    ON CONFLICT (tenant_id, build_id) DO NOTHING;
    IF FOUND THEN
        RETURN 'FENCED';
    END IF;
    SELECT * INTO STRICT b FROM builds WHERE tenant_id = p_tenant AND build_id = p_build FOR NO KEY UPDATE;
    IF p_epoch < b.epoch OR (p_epoch = b.epoch AND p_owner <> b.owner) THEN
        RETURN 'STALE_EPOCH';
    ELSIF p_epoch = b.epoch AND p_number < b.attach_number THEN
        RETURN 'SUPERSEDED';
    END IF;
    UPDATE builds SET epoch = p_epoch, owner = p_owner, attach_number = p_number,
        -- A paused sandbox takes nothing before it is awake; one that runs stays as it is.
        state = CASE WHEN state = 'PAUSED' THEN 'PREPARING' ELSE state END
    WHERE tenant_id = p_tenant AND build_id = p_build;
    RETURN 'FENCED';
END $$;

-- Plans the next generation, from the newest snapshot. False: overtaken by another Attach or another plan.
CREATE OR REPLACE FUNCTION plan_generation(
    p_tenant text, p_build text, p_epoch bigint, p_number bigint, p_generation bigint
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    b builds;
    base snapshots;
BEGIN
    SELECT * INTO STRICT b FROM builds WHERE tenant_id = p_tenant AND build_id = p_build FOR NO KEY UPDATE;
    IF (b.epoch, b.attach_number, b.generation) <> (p_epoch, p_number, p_generation) THEN
        RETURN false;
    END IF;
    -- The newest has the highest covered operation, whatever the time of its publication.
    SELECT * INTO base FROM snapshots
    WHERE tenant_id = p_tenant AND build_id = p_build AND state = 'PUBLISHED'
    ORDER BY covers_sequence DESC, covers_block DESC, published_at DESC LIMIT 1;
    UPDATE builds SET state = 'PREPARING', generation = p_generation + 1, nonce = 1, snapshot_id = base.snapshot_id,
        base_sequence = coalesce(base.covers_sequence, 0), base_block = coalesce(base.covers_block, 0),
        paused_tree_sha256 = NULL
    WHERE tenant_id = p_tenant AND build_id = p_build;
    UPDATE sandboxes SET state = 'ORPHAN', changed_at = taor_now()
    WHERE tenant_id = p_tenant AND build_id = p_build AND state IN ('CREATING', 'LIVE');
    INSERT INTO sandboxes (tenant_id, build_id, generation, state)
    VALUES (p_tenant, p_build, p_generation + 1, 'CREATING');
    RETURN true;
END $$;

-- Opens the sandbox of a generation for operations and snapshots. False: overtaken, or something is still to be redone.
CREATE OR REPLACE FUNCTION make_ready(
    p_tenant text, p_build text, p_epoch bigint, p_number bigint, p_generation bigint
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    b builds;
BEGIN
    SELECT * INTO STRICT b FROM builds WHERE tenant_id = p_tenant AND build_id = p_build FOR NO KEY UPDATE;
    IF (b.epoch, b.attach_number, b.generation) <> (p_epoch, p_number, p_generation)
        OR b.state NOT IN ('PREPARING', 'READY', 'KEPT')
        OR NOT EXISTS (SELECT FROM sandboxes WHERE tenant_id = p_tenant AND build_id = p_build
                       AND generation = p_generation AND state = 'LIVE')
        -- A sandbox that could not be reached cannot be fenced: it must be gone for certain.
        OR EXISTS (SELECT FROM sandboxes WHERE tenant_id = p_tenant AND build_id = p_build
                   AND generation < p_generation AND state <> 'GONE')
        OR EXISTS (SELECT FROM operations WHERE tenant_id = p_tenant AND build_id = p_build AND state = 'DONE'
                   AND generation < p_generation AND (log_sequence, block) > (b.base_sequence, b.base_block))
    THEN
        RETURN false;
    END IF;
    UPDATE builds SET state = 'READY', kept_until = NULL, paused_tree_sha256 = NULL
    WHERE tenant_id = p_tenant AND build_id = p_build;
    RETURN true;
END $$;

-- Follows a nonce that was renewed inside the sandbox: what was starting may or may not have run.
CREATE OR REPLACE FUNCTION renew_nonce(
    p_tenant text, p_build text, p_generation bigint, p_nonce bigint, p_text text, p_code text, p_text_sha256 bytea
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE builds SET nonce = p_nonce + 1
    WHERE tenant_id = p_tenant AND build_id = p_build AND generation = p_generation AND nonce = p_nonce;
    IF FOUND THEN
        UPDATE operations SET state = 'INTERRUPTED', result_text = p_text, text_sha256 = p_text_sha256,
            failure_code = p_code, failure_message = p_text, elapsed_seconds = 0, closed_at = taor_now()
        WHERE tenant_id = p_tenant AND build_id = p_build AND generation = p_generation AND state = 'STARTING';
    END IF;
END $$;

-- Ends the use of a sandbox. p_state: KEPT, PAUSED or DESTROYED. A sandbox that never got its files holds nothing, and goes.
-- Verdicts: RELEASED, NOT_FOUND, STALE_EPOCH, STALE_GENERATION.
CREATE OR REPLACE FUNCTION release_build(
    p_tenant text, p_build text, p_epoch bigint, p_generation bigint, p_state text, p_keep interval
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    b builds;
    new_state text := p_state;
BEGIN
    SELECT * INTO b FROM builds WHERE tenant_id = p_tenant AND build_id = p_build FOR NO KEY UPDATE;
    IF b.build_id IS NULL THEN
        RETURN 'NOT_FOUND';
    ELSIF b.epoch <> p_epoch THEN
        RETURN 'STALE_EPOCH';
    ELSIF b.generation <> p_generation THEN
        RETURN 'STALE_GENERATION';
    ELSIF b.state = 'DESTROYED' THEN
        RETURN 'RELEASED';
    ELSIF b.state = 'PREPARING' AND NOT (p_state = 'PAUSED' AND EXISTS (
        SELECT FROM sandboxes WHERE tenant_id = p_tenant AND build_id = p_build AND generation = p_generation
           AND state = 'LIVE'))
    THEN
        new_state := 'DESTROYED';
    END IF;
    UPDATE builds SET state = new_state, kept_until = CASE WHEN new_state = 'KEPT' THEN taor_now() + p_keep END
    WHERE tenant_id = p_tenant AND build_id = p_build;
    IF new_state = 'DESTROYED' THEN
        UPDATE sandboxes SET state = 'ORPHAN', changed_at = taor_now()
        WHERE tenant_id = p_tenant AND build_id = p_build AND state IN ('CREATING', 'LIVE');
    END IF;
    RETURN 'RELEASED';
END $$;

-- Gives up the sandboxes whose time for previews is over; returns their builds.
CREATE OR REPLACE FUNCTION expire_kept(p_tenant text, p_most integer) RETURNS SETOF text LANGUAGE sql AS $$
    WITH over AS (
        SELECT tenant_id, build_id FROM builds
        WHERE tenant_id = p_tenant AND state = 'KEPT' AND kept_until < taor_now()
        ORDER BY kept_until LIMIT p_most FOR NO KEY UPDATE SKIP LOCKED
    ), ended AS (
        UPDATE builds b SET state = 'DESTROYED', kept_until = NULL FROM over
        WHERE b.tenant_id = over.tenant_id AND b.build_id = over.build_id
    ), orphaned AS (
        UPDATE sandboxes s SET state = 'ORPHAN', changed_at = taor_now() FROM over
        WHERE s.tenant_id = over.tenant_id AND s.build_id = over.build_id AND s.state IN ('CREATING', 'LIVE')
    )
    SELECT build_id FROM over
$$;
