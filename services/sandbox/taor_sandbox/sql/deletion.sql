-- How the files and operations of a deleted project go: the sandboxes first, then a bounded number of rows per commit. The
-- rows of builds and sandboxes stay, as fences; they name ids only. Contents that no snapshot names any more go with the
-- next collection, whoever else has named them.

-- Gives up the sandboxes of at most p_most builds of a project; returns these builds.
CREATE OR REPLACE FUNCTION end_project(p_tenant text, p_project text, p_most integer) RETURNS SETOF text
LANGUAGE sql AS $$
    WITH living AS (
        SELECT tenant_id, build_id FROM builds
        WHERE tenant_id = p_tenant AND project_id = p_project AND state <> 'DESTROYED'
        ORDER BY build_id LIMIT p_most FOR NO KEY UPDATE
    ), ended AS (
        UPDATE builds b SET state = 'DESTROYED', kept_until = NULL, paused_tree_sha256 = NULL FROM living
        WHERE b.tenant_id = living.tenant_id AND b.build_id = living.build_id
    ), orphaned AS (
        UPDATE sandboxes s SET state = 'ORPHAN', changed_at = taor_now() FROM living
        WHERE s.tenant_id = living.tenant_id AND s.build_id = living.build_id AND s.state IN ('CREATING', 'LIVE')
    )
    SELECT build_id FROM living
$$;

-- Deletes at most p_most snapshots of a project, as many operations, and as many notes of seen files; none while another process is at it: two that
-- delete the same rows in two orders would wait for each other.
CREATE OR REPLACE FUNCTION delete_project_rows(p_tenant text, p_project text, p_most integer) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('taor_sandbox project ' || p_tenant || '/' || p_project, 0)) THEN
        RETURN;
    END IF;
    DELETE FROM snapshots WHERE (tenant_id, build_id, snapshot_id) IN (
        SELECT s.tenant_id, s.build_id, s.snapshot_id FROM builds b JOIN snapshots s USING (tenant_id, build_id)
        WHERE b.tenant_id = p_tenant AND b.project_id = p_project LIMIT p_most);
    DELETE FROM seen_files WHERE (tenant_id, build_id, path_sha256) IN (
        SELECT f.tenant_id, f.build_id, f.path_sha256 FROM builds b JOIN seen_files f USING (tenant_id, build_id)
        WHERE b.tenant_id = p_tenant AND b.project_id = p_project LIMIT p_most);
    DELETE FROM operations WHERE (tenant_id, build_id, op_id) IN (
        SELECT o.tenant_id, o.build_id, o.op_id FROM builds b JOIN operations o USING (tenant_id, build_id)
        WHERE b.tenant_id = p_tenant AND b.project_id = p_project LIMIT p_most);
END $$;

-- Whether nothing of a project is left but its fences.
CREATE OR REPLACE FUNCTION project_is_gone(p_tenant text, p_project text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT NOT EXISTS (
        SELECT FROM builds b WHERE b.tenant_id = p_tenant AND b.project_id = p_project AND (
            b.state <> 'DESTROYED'
            OR EXISTS (SELECT FROM snapshots s WHERE (s.tenant_id, s.build_id) = (b.tenant_id, b.build_id))
            OR EXISTS (SELECT FROM operations o WHERE (o.tenant_id, o.build_id) = (b.tenant_id, b.build_id))
            OR EXISTS (SELECT FROM seen_files f WHERE (f.tenant_id, f.build_id) = (b.tenant_id, b.build_id))
            OR EXISTS (SELECT FROM sandboxes x
                       WHERE (x.tenant_id, x.build_id) = (b.tenant_id, b.build_id) AND x.state <> 'GONE')))
$$;
