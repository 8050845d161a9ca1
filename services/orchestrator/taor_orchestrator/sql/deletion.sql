-- The end of a project. Its builds' rows stay, with what they were and what they have cost; all that was said goes.

-- Both sides of "no build begins in a deleted project, and no project with a build at work is deleted".
CREATE OR REPLACE FUNCTION project_lock(p_tenant_id text, p_project_id text) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
    SELECT hashtextextended('taor project ' || p_tenant_id || '/' || p_project_id, 0)
$$;

-- Keeps a project from being deleted until this transaction has ended; false when it was deleted before. Whoever inserts
-- a build calls it in the same transaction.
CREATE OR REPLACE FUNCTION hold_project(p_tenant_id text, p_project_id text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(project_lock(p_tenant_id, p_project_id));
    RETURN NOT EXISTS (
        SELECT FROM deleted_projects WHERE tenant_id = p_tenant_id AND project_id = p_project_id);
END $$;

-- Deletes a project whose builds have all ended; its rows go later. Outcomes: DELETED (also when it was before),
-- NOT_FOUND, REQUEST_ID_CONFLICT, BUSY with at most ten of the builds that have not ended.
CREATE OR REPLACE FUNCTION delete_project(
    p_tenant_id text, p_project_id text, p_request_id text, OUT outcome text, OUT busy uuid[]
) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(project_lock(p_tenant_id, p_project_id));
    IF EXISTS (SELECT FROM deleted_projects
               WHERE tenant_id = p_tenant_id AND request_id = p_request_id AND project_id <> p_project_id) THEN
        outcome := 'REQUEST_ID_CONFLICT';
        RETURN;
    END IF;
    outcome := 'DELETED';
    IF EXISTS (SELECT FROM deleted_projects WHERE tenant_id = p_tenant_id AND project_id = p_project_id) THEN
        RETURN;
    END IF;
    IF NOT EXISTS (SELECT FROM builds WHERE tenant_id = p_tenant_id AND project_id = p_project_id) THEN
        outcome := 'NOT_FOUND';
        RETURN;
    END IF;
    busy := ARRAY(
        SELECT build_id FROM builds
        WHERE tenant_id = p_tenant_id AND project_id = p_project_id AND ended_at IS NULL ORDER BY build_id LIMIT 10);
    IF cardinality(busy) > 0 THEN
        outcome := 'BUSY';
        RETURN;
    END IF;
    INSERT INTO deleted_projects (tenant_id, project_id, request_id) VALUES (p_tenant_id, p_project_id, p_request_id);
END $$;

-- Deletes what was said in the builds of a deleted project: at most p_most rows of each kind; whether nothing is left.
-- False, too, while another process is at it: two that delete the same rows in two orders would wait for each other.
CREATE OR REPLACE FUNCTION delete_content(p_tenant_id text, p_project_id text, p_most integer) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    v_nothing_left boolean;
BEGIN
    IF NOT EXISTS (SELECT FROM deleted_projects WHERE tenant_id = p_tenant_id AND project_id = p_project_id) THEN
        RAISE EXCEPTION 'the project % was not deleted', p_project_id USING ERRCODE = 'restrict_violation';
    END IF;
    IF NOT pg_try_advisory_xact_lock(project_lock(p_tenant_id, p_project_id)) THEN
        RETURN false;
    END IF;
    WITH ours AS (
        SELECT build_id FROM builds WHERE tenant_id = p_tenant_id AND project_id = p_project_id
    ), told AS (
        DELETE FROM events WHERE (build_id, sequence) IN (
            SELECT build_id, sequence FROM ours JOIN events USING (build_id) LIMIT p_most) RETURNING 1
    ), sent AS (
        DELETE FROM inbox WHERE inbox_id IN (
            SELECT inbox_id FROM ours JOIN inbox USING (build_id) LIMIT p_most) RETURNING 1
    ), documented AS (
        DELETE FROM documents WHERE (build_id, section) IN (
            SELECT build_id, section FROM ours JOIN documents USING (build_id) LIMIT p_most) RETURNING 1
    ), assigned AS (
        DELETE FROM assignments WHERE build_id IN (
            SELECT build_id FROM ours JOIN assignments USING (build_id) LIMIT p_most) RETURNING 1
    ), forked AS (
        DELETE FROM forks WHERE build_id IN (
            SELECT build_id FROM ours JOIN forks USING (build_id) LIMIT p_most) RETURNING 1
    ), ended AS (
        UPDATE builds SET outcome_message = '' WHERE build_id IN (
            SELECT build_id FROM ours JOIN builds USING (build_id) WHERE outcome_message <> '' LIMIT p_most)
        RETURNING 1
    )
    SELECT NOT EXISTS (TABLE told) AND NOT EXISTS (TABLE sent) AND NOT EXISTS (TABLE documented)
       AND NOT EXISTS (TABLE assigned) AND NOT EXISTS (TABLE forked) AND NOT EXISTS (TABLE ended)
    INTO v_nothing_left;
    RETURN v_nothing_left;
END $$;
