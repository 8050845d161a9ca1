-- How logs go: a log is first given up, in one commit that every reader and writer sees, and then its rows are deleted,
-- a bounded number per commit. So a kill at any moment leaves either a whole log or one that nobody is shown.

-- Destroys the key of a project, for good: its row stays and keeps the next attach from making another. A project that
-- was never seen is deleted too, so that what was on its way cannot begin it.
CREATE OR REPLACE FUNCTION shred_project(p_tenant_id text, p_project_id text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO project_keys AS k (tenant_id, project_id, wrapped_key, delete_time)
    VALUES (p_tenant_id, p_project_id, NULL, taor_now())
    ON CONFLICT (tenant_id, project_id) DO UPDATE SET wrapped_key = NULL, delete_time = taor_now()
    WHERE k.delete_time IS NULL
$$;

-- Gives up at most p_most logs of deleted projects; how many.
CREATE OR REPLACE FUNCTION give_up_deleted(p_most integer) RETURNS integer LANGUAGE sql AS $$
    WITH given_up AS (
        UPDATE sessions s SET delete_time = taor_now()
        WHERE (s.tenant_id, s.build_id) IN (
            SELECT o.tenant_id, o.build_id
            FROM project_keys k JOIN sessions o USING (tenant_id, project_id)
            WHERE k.delete_time IS NOT NULL AND k.purge_time IS NULL AND o.delete_time IS NULL
            LIMIT p_most FOR NO KEY UPDATE OF o SKIP LOCKED)
        RETURNING 1
    )
    SELECT count(*)::integer FROM given_up
$$;

-- Gives up at most p_most logs that were closed at least p_age ago; how many. A log without an OUTCOME is never one.
CREATE OR REPLACE FUNCTION give_up_expired(p_age interval, p_most integer) RETURNS integer LANGUAGE sql AS $$
    WITH given_up AS (
        UPDATE sessions s SET delete_time = taor_now()
        WHERE (s.tenant_id, s.build_id) IN (
            SELECT o.tenant_id, o.build_id FROM sessions o
            WHERE o.close_time <= taor_now() - p_age AND o.delete_time IS NULL
            ORDER BY o.close_time LIMIT p_most FOR UPDATE SKIP LOCKED)
        RETURNING 1
    )
    SELECT count(*)::integer FROM given_up
$$;

-- Deletes rows of one log that was given up: at most p_most entries and, but for one, p_bytes of them. NULL when there is
-- no such log that nobody else is at.
CREATE OR REPLACE FUNCTION purge_some(p_most integer, p_bytes bigint) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v_session sessions%ROWTYPE;
    v_last bigint;
    v_count integer;
BEGIN
    SELECT * INTO v_session FROM sessions s
    WHERE s.delete_time IS NOT NULL AND s.purge_time IS NULL
    ORDER BY s.delete_time LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN RETURN NULL; END IF;

    SELECT max(sequence) INTO v_last FROM (
        SELECT sequence, row_number() OVER (ORDER BY sequence) AS number,
               sum(octet_length(sealed_body)) OVER (ORDER BY sequence) AS bytes_so_far
        FROM (
            SELECT * FROM entries e
            WHERE e.tenant_id = v_session.tenant_id AND e.build_id = v_session.build_id
            ORDER BY e.sequence LIMIT p_most
        ) AS first_ones
    ) AS counted
    WHERE number = 1 OR bytes_so_far <= p_bytes;

    DELETE FROM inbox_entries i
    WHERE i.tenant_id = v_session.tenant_id AND i.build_id = v_session.build_id AND i.inbox_id IN (
        SELECT unnest(e.inbox_ids) FROM entries e
        WHERE e.tenant_id = v_session.tenant_id AND e.build_id = v_session.build_id AND e.sequence <= v_last);
    DELETE FROM entries e
    WHERE e.tenant_id = v_session.tenant_id AND e.build_id = v_session.build_id AND e.sequence <= v_last;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    IF v_count = 0 THEN
        UPDATE sessions s SET purge_time = taor_now()
        WHERE s.tenant_id = v_session.tenant_id AND s.build_id = v_session.build_id;
    END IF;
    RETURN v_count;
END $$;

-- Notes of at most p_most deleted projects that nothing is left; how many.
CREATE OR REPLACE FUNCTION finish_deletions(p_most integer) RETURNS integer LANGUAGE sql AS $$
    WITH finished AS (
        UPDATE project_keys k SET purge_time = taor_now()
        WHERE (k.tenant_id, k.project_id) IN (
            SELECT d.tenant_id, d.project_id FROM project_keys d
            WHERE d.delete_time IS NOT NULL AND d.purge_time IS NULL AND NOT EXISTS (
                SELECT 1 FROM sessions s
                WHERE s.tenant_id = d.tenant_id AND s.project_id = d.project_id AND s.purge_time IS NULL)
            LIMIT p_most FOR NO KEY UPDATE SKIP LOCKED)
        RETURNING 1
    )
    SELECT count(*)::integer FROM finished
$$;

-- Rows of a log are only ever added; they go only when the log was given up, and never change.
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM 1 FROM sessions s
        WHERE s.tenant_id = OLD.tenant_id AND s.build_id = OLD.build_id AND s.delete_time IS NOT NULL;
        IF FOUND THEN RETURN OLD; END IF;
    END IF;
    RAISE EXCEPTION 'rows of % are only ever added', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
