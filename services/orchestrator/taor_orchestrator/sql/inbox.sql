-- What people tell a build, and the two states in which it waits for people. Everything here takes the lock of the
-- build's row first, so that a text and a worker that goes to rest see each other.

-- Puts a text into the inbox; SENT, or the reason why not.
CREATE OR REPLACE FUNCTION send_to_build(
    p_tenant_id text, p_build_id uuid, p_inbox_id uuid, p_kind text, p_content text, p_most_unread integer)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_build builds%ROWTYPE;
    v_unread integer;
BEGIN
    SELECT * INTO v_build FROM builds WHERE build_id = p_build_id AND tenant_id = p_tenant_id FOR NO KEY UPDATE;
    IF v_build.ended_at IS NOT NULL OR v_build.cancel_requested THEN RETURN 'BUILD_ENDED'; END IF;
    IF p_kind = 'ANSWER' THEN
        PERFORM 1 FROM inbox WHERE build_id = p_build_id AND log_sequence = 0 AND kind = 'ANSWER';
        IF FOUND OR v_build.question_sequence = 0 THEN RETURN 'NO_OPEN_QUESTION'; END IF;
    ELSE
        -- An answer is let in even then: without it the others would never be read.
        SELECT count(*) INTO v_unread FROM inbox WHERE build_id = p_build_id AND log_sequence = 0 AND kind <> 'CANCEL';
        IF v_unread >= p_most_unread THEN RETURN 'INBOX_FULL'; END IF;
    END IF;
    INSERT INTO inbox (inbox_id, build_id, tenant_id, kind, content)
    VALUES (p_inbox_id, p_build_id, p_tenant_id, p_kind, p_content);
    IF p_kind = 'ANSWER' THEN PERFORM wake_build(p_build_id, 'answered'); END IF;
    PERFORM pg_notify('taor_builds', 'inbox:' || p_build_id);
    RETURN 'SENT';
END $$;

-- Asks for a pause. Whoever works on the build is hinted at it; a build that nobody works on is paused at once.
CREATE OR REPLACE FUNCTION pause_build(p_tenant_id text, p_build_id uuid) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_state text;
    v_ends boolean;
BEGIN
    SELECT state, ended_at IS NOT NULL OR cancel_requested INTO v_state, v_ends FROM builds
    WHERE build_id = p_build_id AND tenant_id = p_tenant_id FOR NO KEY UPDATE;
    IF v_ends THEN RETURN 'BUILD_ENDED'; END IF;
    UPDATE builds SET pause_requested = true WHERE build_id = p_build_id;
    IF v_state = 'RUNNING' THEN
        PERFORM pg_notify('taor_builds', 'pause:' || p_build_id);
    ELSIF v_state NOT IN ('PAUSED', 'FORKING') THEN  -- a fork is paused when it is claimed
        UPDATE builds SET state = 'PAUSED', due_at = NULL, wake_at = NULL WHERE build_id = p_build_id;
        PERFORM tell_state(p_build_id, v_state, 'PAUSED', 'paused');
    END IF;
    RETURN 'SENT';
END $$;

-- Ends a pause. The build is queued whatever it did before: its log tells its worker what it waits for.
CREATE OR REPLACE FUNCTION resume_build(p_tenant_id text, p_build_id uuid) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_build builds%ROWTYPE;
BEGIN
    SELECT * INTO v_build FROM builds WHERE build_id = p_build_id AND tenant_id = p_tenant_id FOR NO KEY UPDATE;
    IF v_build.ended_at IS NOT NULL OR v_build.cancel_requested THEN RETURN 'BUILD_ENDED'; END IF;
    IF v_build.state = 'PAUSED' THEN
        UPDATE builds SET pause_requested = false, state = 'QUEUED', due_at = taor_now() WHERE build_id = p_build_id;
        PERFORM tell_state(p_build_id, 'PAUSED', 'QUEUED', 'resumed');
        PERFORM pg_notify('taor_builds', 'due');
    ELSE
        UPDATE builds SET pause_requested = false WHERE build_id = p_build_id;
    END IF;
    RETURN 'SENT';
END $$;

-- Lets a worker's build wait for people, PAUSED or WAITING_ANSWER; false when it was taken, woken, cancelled, resumed,
-- or told what it waits for since the worker looked: it has to look again.
CREATE OR REPLACE FUNCTION let_build_wait(p_build_id uuid, p_epoch bigint, p_wake_generation bigint, p_state text)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE builds SET state = p_state, lease_owner = NULL, lease_until = NULL, fruitless_claims = 0
    WHERE build_id = p_build_id AND epoch = p_epoch AND state = 'RUNNING' AND wake_generation = p_wake_generation
      AND NOT cancel_requested AND pause_requested = (p_state = 'PAUSED');
    IF NOT FOUND THEN RETURN false; END IF;
    PERFORM tell_state(p_build_id, 'RUNNING', p_state,
                       CASE p_state WHEN 'PAUSED' THEN 'paused' ELSE 'waits for an answer' END);
    RETURN true;
END $$;
