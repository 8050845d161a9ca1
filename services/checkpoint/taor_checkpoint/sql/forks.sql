-- Gives a new build the first p_head entries of another one's log: one call, one commit. A body is sealed for its project
-- and its sequence, and a fork keeps both, so the rows are copied as they are.
-- Outcomes: DONE (also for the same fork again), SESSION_NOT_FOUND, PROJECT_MISMATCH, FORK_POINT_INVALID, FORK_CONFLICT.
CREATE OR REPLACE FUNCTION fork_session(
    p_tenant_id text, p_build_id text, p_origin_build_id text, p_project_id text, p_head bigint, p_seal_bytes bigint,
    OUT outcome text, OUT head bigint
) LANGUAGE plpgsql AS $$
DECLARE
    v_origin sessions%ROWTYPE;
    v_is_kept boolean;
BEGIN
    outcome := fork_made(p_tenant_id, p_build_id, p_origin_build_id, p_project_id, p_head);
    IF outcome <> 'NONE' THEN
        head := p_head;
        RETURN;
    END IF;
    -- Against the deletion of the origin, in the order in which that locks: its project's key, then its session.
    PERFORM 1 FROM project_keys k
    WHERE k.tenant_id = p_tenant_id AND k.project_id = p_project_id AND k.delete_time IS NULL FOR SHARE;
    v_is_kept := FOUND;
    SELECT * INTO v_origin FROM sessions s
    WHERE s.tenant_id = p_tenant_id AND s.build_id = p_origin_build_id FOR SHARE;
    head := v_origin.head;
    IF v_origin.project_id <> p_project_id THEN
        outcome := 'PROJECT_MISMATCH';
        RETURN;
    ELSIF v_origin.tenant_id IS NULL OR v_origin.delete_time IS NOT NULL OR NOT v_is_kept THEN
        outcome := 'SESSION_NOT_FOUND';
        RETURN;
    ELSIF p_head > v_origin.head OR (v_origin.closed AND p_head = v_origin.head) THEN
        outcome := 'FORK_POINT_INVALID';
        RETURN;
    END IF;

    INSERT INTO sessions (tenant_id, build_id, project_id, epoch, owner, head, segment, origin_build_id, inherited_head,
                          body_bytes)
    SELECT p_tenant_id, p_build_id, p_project_id, 0, '', p_head, max(e.segment), p_origin_build_id, p_head,
           sum(octet_length(e.sealed_body) - p_seal_bytes)
    FROM entries e WHERE e.tenant_id = p_tenant_id AND e.build_id = p_origin_build_id AND e.sequence <= p_head
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN  -- the same fork was made in this very moment, or another one
        outcome := fork_made(p_tenant_id, p_build_id, p_origin_build_id, p_project_id, p_head);
        RETURN;
    END IF;
    INSERT INTO entries (tenant_id, build_id, sequence, segment, epoch, kind, sealed_body, body_sha256, inbox_ids, call,
                         append_time, origin_build_id)
    SELECT e.tenant_id, p_build_id, e.sequence, e.segment, 0, e.kind, e.sealed_body, e.body_sha256, '{}', e.call,
           e.append_time, coalesce(e.origin_build_id, p_origin_build_id)
    FROM entries e WHERE e.tenant_id = p_tenant_id AND e.build_id = p_origin_build_id AND e.sequence <= p_head;
    outcome := 'DONE';
    head := p_head;
END $$;

-- Whether a build's session is exactly this fork: DONE, FORK_CONFLICT, or NONE where it has no session.
CREATE OR REPLACE FUNCTION fork_made(
    p_tenant_id text, p_build_id text, p_origin_build_id text, p_project_id text, p_head bigint
) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce((
        SELECT CASE WHEN (s.origin_build_id, s.inherited_head, s.project_id)
                         IS NOT DISTINCT FROM (p_origin_build_id, p_head, p_project_id)
                    THEN 'DONE' ELSE 'FORK_CONFLICT' END
        FROM sessions s WHERE s.tenant_id = p_tenant_id AND s.build_id = p_build_id), 'NONE')
$$;
