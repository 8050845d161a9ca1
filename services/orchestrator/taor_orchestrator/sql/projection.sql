-- Brings a build's row, events, documents and inbox up to its log, in one transaction under the row's lock.
-- Answers PROJECTED; or MOVED with the real cursor, when the caller counted from another; or FENCED.
CREATE OR REPLACE FUNCTION project_build(
    p_build_id uuid, p_epoch bigint, p_from bigint, p_to bigint, p_spent bigint, p_turns integer, p_tool_calls integer,
    p_event_sequences bigint[], p_event_positions integer[], p_event_payloads text[],
    p_document_sections text[], p_document_contents text[], p_inbox_ids uuid[], p_inbox_sequences bigint[],
    p_end_state text, p_end_message text, p_end_preview_port integer, p_question_sequence bigint)
RETURNS TABLE (outcome text, cursor bigint) LANGUAGE plpgsql AS $$
DECLARE
    v_build builds%ROWTYPE;
    v_count integer := cardinality(p_event_payloads);
    v_events bigint;
BEGIN
    SELECT * INTO v_build FROM builds b WHERE b.build_id = p_build_id FOR NO KEY UPDATE;
    IF v_build.epoch <> p_epoch OR v_build.state <> 'RUNNING' THEN
        RETURN QUERY SELECT 'FENCED'::text, v_build.projected_sequence;
        RETURN;
    END IF;
    IF v_build.projected_sequence <> p_from THEN
        RETURN QUERY SELECT 'MOVED'::text, v_build.projected_sequence;
        RETURN;
    END IF;
    v_events := v_build.event_sequence;
    IF p_end_state IS NOT NULL THEN
        -- The change of state comes before the last event of all, which the OUTCOME entry is derived to.
        INSERT INTO events (build_id, sequence, tenant_id, log_sequence, position, payload)
        VALUES (p_build_id, v_events + v_count, v_build.tenant_id, 0, 0,
                json_build_object('kind', 'state_changed', 'from', 'RUNNING', 'to', p_end_state, 'reason', 'ended')::text);
    END IF;
    IF v_count > 0 THEN
        INSERT INTO events (build_id, sequence, tenant_id, log_sequence, position, payload)
        SELECT p_build_id, v_events + e.number + CASE WHEN p_end_state IS NOT NULL AND e.number = v_count THEN 1 ELSE 0 END,
               v_build.tenant_id, e.log_sequence, e.position, e.payload
        FROM unnest(p_event_sequences, p_event_positions, p_event_payloads)
             WITH ORDINALITY AS e (log_sequence, position, payload, number);
    END IF;
    IF cardinality(p_document_sections) > 0 THEN
        INSERT INTO documents (build_id, section, tenant_id, content, log_sequence)
        SELECT p_build_id, d.section, v_build.tenant_id, d.content, p_to
        FROM unnest(p_document_sections, p_document_contents) AS d (section, content)
        ON CONFLICT (build_id, section) DO UPDATE SET content = EXCLUDED.content, log_sequence = EXCLUDED.log_sequence;
    END IF;
    IF cardinality(p_inbox_ids) > 0 THEN
        UPDATE inbox i SET log_sequence = read.log_sequence
        FROM unnest(p_inbox_ids, p_inbox_sequences) AS read (inbox_id, log_sequence)
        WHERE i.inbox_id = read.inbox_id AND i.build_id = p_build_id;
    END IF;
    UPDATE builds b SET
        projected_sequence = p_to,
        event_sequence = v_events + v_count + CASE WHEN p_end_state IS NULL THEN 0 ELSE 1 END,
        spent_microdollars = GREATEST(b.spent_microdollars, p_spent),
        turns = b.turns + p_turns,
        tool_calls = b.tool_calls + p_tool_calls,
        state = COALESCE(p_end_state, b.state),
        outcome_message = COALESCE(p_end_message, b.outcome_message),
        question_sequence = CASE WHEN p_to > p_from THEN p_question_sequence ELSE b.question_sequence END,
        preview_port = COALESCE(p_end_preview_port, b.preview_port),
        ended_at = CASE WHEN p_end_state IS NULL THEN NULL ELSE taor_now() END,
        lease_owner = CASE WHEN p_end_state IS NULL THEN b.lease_owner END,
        lease_until = CASE WHEN p_end_state IS NULL THEN b.lease_until END
    WHERE b.build_id = p_build_id;
    RETURN QUERY SELECT 'PROJECTED'::text, p_to;
END $$;
