-- The two writes of a log. Each is one call and one commit, and locks the row of the session before it looks at anything:
-- every statement after the lock has a snapshot of its own, so it sees all that earlier holders of the lock have done.
-- Refusals are returned, not raised; only a repeated inbox id fails by its primary key, because looking first would cost
-- every append a search.

-- Raises the fence, and tells the head and the epoch as they stand under the lock. An equal epoch is accepted from its
-- own owner only, so a repeated attach of one claim is harmless. The key is share-locked: an attach is either before the
-- deletion of its project, which then finds its session, or it sees the deletion.
CREATE OR REPLACE FUNCTION attach_build(
    p_tenant_id text, p_build_id text, p_project_id text, p_epoch bigint, p_owner text, p_wrapped_key bytea,
    OUT outcome text, OUT head bigint, OUT epoch bigint
) LANGUAGE plpgsql AS $$
DECLARE
    v_session sessions%ROWTYPE;
BEGIN
    INSERT INTO project_keys (tenant_id, project_id, wrapped_key)
    VALUES (p_tenant_id, p_project_id, p_wrapped_key) ON CONFLICT DO NOTHING;
    PERFORM 1 FROM project_keys k
    WHERE k.tenant_id = p_tenant_id AND k.project_id = p_project_id AND k.delete_time IS NULL FOR SHARE;
    IF NOT FOUND THEN
        outcome := 'PROJECT_DELETED';
        head := 0;
        epoch := 0;
        RETURN;
    END IF;
    INSERT INTO sessions (tenant_id, build_id, project_id, epoch, owner)
    VALUES (p_tenant_id, p_build_id, p_project_id, 0, '') ON CONFLICT DO NOTHING;

    SELECT * INTO STRICT v_session FROM sessions s
    WHERE s.tenant_id = p_tenant_id AND s.build_id = p_build_id FOR UPDATE;
    head := v_session.head;
    epoch := v_session.epoch;
    IF v_session.project_id <> p_project_id THEN
        outcome := 'PROJECT_MISMATCH';
    ELSIF v_session.delete_time IS NOT NULL THEN
        outcome := 'LOG_EXPIRED';
    ELSIF p_epoch < v_session.epoch OR (p_epoch = v_session.epoch AND p_owner <> v_session.owner) THEN
        outcome := 'STALE_EPOCH';
    ELSE
        outcome := 'DONE';
        epoch := p_epoch;
        UPDATE sessions s SET epoch = p_epoch, owner = p_owner
        WHERE s.tenant_id = p_tenant_id AND s.build_id = p_build_id;
    END IF;
END $$;

-- Whether exactly these entries were appended after this head, under this epoch.
CREATE OR REPLACE FUNCTION stands_after(
    p_tenant_id text, p_build_id text, p_epoch bigint, p_head bigint, p_entries new_entry[]
) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT count(*) = cardinality(p_entries)
    FROM unnest(p_entries) WITH ORDINALITY AS n (kind, sealed_body, body_sha256, inbox_ids, call, position)
    JOIN entries e ON e.tenant_id = p_tenant_id AND e.build_id = p_build_id AND e.sequence = p_head + n.position
    WHERE e.epoch = p_epoch AND e.kind = n.kind AND e.body_sha256 = n.body_sha256
      AND e.inbox_ids = n.inbox_ids AND e.call IS NOT DISTINCT FROM n.call
$$;

-- Appends all entries after p_head, or none. Returns the outcome, the head (of this append, or the real one that it
-- missed) and the epoch of the fence.
CREATE OR REPLACE FUNCTION append_entries(
    p_tenant_id text, p_build_id text, p_epoch bigint, p_head bigint, p_entries new_entry[], p_body_bytes bigint,
    OUT outcome text, OUT head bigint, OUT epoch bigint
) LANGUAGE plpgsql AS $$
DECLARE
    v_session sessions%ROWTYPE;
    v_count CONSTANT integer := cardinality(p_entries);
BEGIN
    SELECT * INTO v_session FROM sessions s
    WHERE s.tenant_id = p_tenant_id AND s.build_id = p_build_id FOR UPDATE;
    head := v_session.head;
    epoch := v_session.epoch;
    -- The epoch comes before the duplicate: a stalled worker must learn that it was replaced, also by its own retry.
    IF v_session.tenant_id IS NULL THEN
        outcome := 'SESSION_NOT_FOUND';
    ELSIF EXISTS (
        SELECT 1 FROM project_keys k
        WHERE k.tenant_id = p_tenant_id AND k.project_id = v_session.project_id AND k.delete_time IS NOT NULL)
    THEN
        outcome := 'PROJECT_DELETED';
    ELSIF v_session.delete_time IS NOT NULL THEN
        outcome := 'LOG_EXPIRED';
    ELSIF p_epoch < v_session.epoch THEN
        outcome := 'STALE_EPOCH';
    ELSIF p_epoch > v_session.epoch THEN
        outcome := 'NOT_ATTACHED';
    ELSIF p_head < v_session.head AND stands_after(p_tenant_id, p_build_id, p_epoch, p_head, p_entries) THEN
        outcome := 'DONE';
        head := p_head + v_count;
    ELSIF p_head <> v_session.head THEN
        outcome := 'HEAD_MOVED';
    ELSIF v_session.closed THEN
        outcome := 'LOG_CLOSED';
    ELSE
        outcome := 'DONE';
        head := p_head + v_count;
        INSERT INTO entries (
            tenant_id, build_id, sequence, segment, epoch, kind, sealed_body, body_sha256, inbox_ids, call)
        SELECT p_tenant_id, p_build_id, p_head + n.position,
               v_session.segment + count(*) FILTER (WHERE n.kind = 'HEAD') OVER (ORDER BY n.position),
               p_epoch, n.kind, n.sealed_body, n.body_sha256, n.inbox_ids, n.call
        FROM unnest(p_entries) WITH ORDINALITY AS n (kind, sealed_body, body_sha256, inbox_ids, call, position);

        INSERT INTO inbox_entries (tenant_id, build_id, inbox_id, sequence)
        SELECT p_tenant_id, p_build_id, named.inbox_id, p_head + n.position
        FROM unnest(p_entries) WITH ORDINALITY AS n (kind, sealed_body, body_sha256, inbox_ids, call, position)
        CROSS JOIN unnest(n.inbox_ids) AS named (inbox_id);

        UPDATE sessions s
        SET head = p_head + v_count,
            segment = s.segment + (SELECT count(*) FROM unnest(p_entries) n WHERE n.kind = 'HEAD'),
            closed = (p_entries[v_count]).kind = 'OUTCOME',
            close_time = CASE WHEN (p_entries[v_count]).kind = 'OUTCOME' THEN taor_now() END,
            body_bytes = s.body_bytes + p_body_bytes
        WHERE s.tenant_id = p_tenant_id AND s.build_id = p_build_id;
    END IF;
END $$;
