-- The two ways in which FORKING ends, each once.

-- The fork has its log and its files: from here on it is a build like any other. What it has inherited counts as projected.
CREATE OR REPLACE FUNCTION ticket_fork(p_build_id uuid, p_head bigint, p_sections text[], p_contents text[])
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE builds SET state = 'QUEUED', due_at = taor_now(), projected_sequence = p_head, claimed_at_sequence = p_head
    WHERE build_id = p_build_id AND state = 'FORKING';
    IF NOT FOUND THEN RETURN false; END IF;
    INSERT INTO documents (build_id, section, tenant_id, content, log_sequence)
    SELECT p_build_id, d.section, b.tenant_id, d.content, p_head
    FROM unnest(p_sections, p_contents) AS d (section, content) JOIN builds b ON b.build_id = p_build_id;
    PERFORM tell_state(p_build_id, 'FORKING', 'QUEUED', 'forked');
    PERFORM pg_notify('taor_builds', 'due');
    RETURN true;
END $$;

-- What it was to inherit is gone for good.
CREATE OR REPLACE FUNCTION fail_fork(p_build_id uuid, p_message text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE builds SET state = 'FAILED', ended_at = taor_now(), outcome_message = p_message
    WHERE build_id = p_build_id AND state = 'FORKING';
    IF NOT FOUND THEN RETURN false; END IF;
    PERFORM tell_state(p_build_id, 'FORKING', 'FAILED', 'it could not be forked');
    WITH told AS (
        UPDATE builds SET event_sequence = event_sequence + 1 WHERE build_id = p_build_id
        RETURNING build_id, tenant_id, event_sequence
    )
    INSERT INTO events (build_id, sequence, tenant_id, log_sequence, position, payload)
    SELECT build_id, event_sequence, tenant_id, 0, 0,
           json_build_object('kind', 'ended', 'state', 'FAILED', 'message', p_message, 'verification_command', '',
                             'verification_outcome', '', 'preview_port', 0)::text
    FROM told;
    RETURN true;
END $$;
