-- Who works on which build. Every change of state tells its event in the same transaction.

CREATE OR REPLACE FUNCTION tell_state(p_build_id uuid, p_from text, p_to text, p_reason text, p_more jsonb)
RETURNS void LANGUAGE sql AS $$
    WITH told AS (
        UPDATE builds SET event_sequence = event_sequence + 1 WHERE build_id = p_build_id
        RETURNING build_id, tenant_id, event_sequence
    )
    INSERT INTO events (build_id, sequence, tenant_id, log_sequence, position, payload)
    SELECT build_id, event_sequence, tenant_id, 0, 0,
           (jsonb_build_object('kind', 'state_changed', 'from', p_from, 'to', p_to, 'reason', p_reason) || p_more)::text
    FROM told
$$;

CREATE OR REPLACE FUNCTION tell_state(p_build_id uuid, p_from text, p_to text, p_reason text) RETURNS void
LANGUAGE sql AS $$
    SELECT tell_state(p_build_id, p_from, p_to, p_reason, '{}')
$$;

-- Claims at most p_slots builds for p_owner: those that are due and those whose worker has not been heard of for its
-- lease. One claim at a time, so that the caps of the users are exact. A minute of waiting weighs as much as a step of
-- priority, so nobody starves.
CREATE OR REPLACE FUNCTION claim_builds(p_owner text, p_slots integer, p_lease interval)
RETURNS TABLE (build_id uuid, epoch bigint, fruitless integer) LANGUAGE plpgsql AS $$
DECLARE
    v_now timestamptz;
    v_row record;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('taor.claim_builds'));
    v_now := taor_now();
    FOR v_row IN
        WITH busy AS (
            SELECT b.tenant_id, b.user_id, count(*) AS running FROM builds b
            WHERE b.state = 'RUNNING' AND b.lease_until > v_now GROUP BY 1, 2
        ), runnable AS (
            SELECT b.build_id, b.tenant_id, b.user_id, b.max_concurrent_builds, true AS vanished,
                   b.lease_until - b.priority * interval '1 minute' AS urgency
            FROM builds b WHERE b.state = 'RUNNING' AND b.lease_until <= v_now
            UNION ALL
            SELECT b.build_id, b.tenant_id, b.user_id, b.max_concurrent_builds, false,
                   b.due_at - b.priority * interval '1 minute'
            FROM builds b WHERE b.state = 'QUEUED' AND b.due_at <= v_now
        ), ranked AS (
            SELECT r.*, COALESCE(y.running, 0) + row_number() OVER (
                       PARTITION BY r.tenant_id, r.user_id ORDER BY r.vanished DESC, r.urgency) AS place
            FROM runnable r LEFT JOIN busy y USING (tenant_id, user_id)
        )
        SELECT r.build_id, r.vanished FROM ranked r WHERE r.place <= r.max_concurrent_builds
        ORDER BY r.urgency LIMIT p_slots
    LOOP
        -- Rechecked under the row's own lock: its worker may have ended or renewed it in this moment.
        UPDATE builds b SET
            state = 'RUNNING', due_at = NULL, lease_owner = p_owner, lease_until = v_now + p_lease, epoch = b.epoch + 1,
            fruitless_claims = CASE WHEN b.projected_sequence > b.claimed_at_sequence THEN 0 ELSE b.fruitless_claims + 1 END,
            claimed_at_sequence = b.projected_sequence
        WHERE b.build_id = v_row.build_id
          AND ((b.state = 'QUEUED' AND b.due_at <= v_now) OR (b.state = 'RUNNING' AND b.lease_until <= v_now))
        RETURNING b.build_id, b.epoch, b.fruitless_claims INTO build_id, epoch, fruitless;
        IF FOUND THEN
            IF v_row.vanished THEN
                PERFORM tell_state(build_id, 'RUNNING', 'RUNNING', 'taken over from a worker that vanished');
            ELSE
                PERFORM tell_state(build_id, 'QUEUED', 'RUNNING', 'claimed');
            END IF;
            RETURN NEXT;
        END IF;
    END LOOP;
END $$;

-- Gives a build back to the queue; nothing happens when its epoch has moved. A claim that could not even begin was not
-- in vain: else an outage of a service would make up the number of claims after which a build is given up.
CREATE OR REPLACE FUNCTION requeue_build(
    p_build_id uuid, p_epoch bigint, p_delay interval, p_reason text, p_in_vain boolean)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE builds SET state = 'QUEUED', due_at = taor_now() + p_delay, lease_owner = NULL, lease_until = NULL,
                      fruitless_claims = CASE WHEN p_in_vain THEN fruitless_claims ELSE greatest(fruitless_claims - 1, 0) END
    WHERE build_id = p_build_id AND epoch = p_epoch AND state = 'RUNNING';
    IF NOT FOUND THEN RETURN false; END IF;
    PERFORM tell_state(p_build_id, 'RUNNING', 'QUEUED', p_reason);
    PERFORM pg_notify('taor_builds', 'due');
    RETURN true;
END $$;

-- Puts a build to rest, unless it was taken, woken, cancelled or paused since the money was denied. It rests for p_at_least by the clock that will wake it, whatever
-- p_not_before says by another. Returns the time of its wake; NULL when it was taken or woken.
CREATE OR REPLACE FUNCTION rest_build(
    p_build_id uuid, p_epoch bigint, p_wake_generation bigint, p_state text, p_denied_version bigint,
    p_not_before timestamptz, p_at_least interval, p_forecast jsonb)
RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE
    v_wake_at timestamptz := greatest(p_not_before, taor_now() + p_at_least);
BEGIN
    UPDATE builds SET state = p_state, wake_at = v_wake_at, denied_version = p_denied_version,
                      lease_owner = NULL, lease_until = NULL, fruitless_claims = 0
    WHERE build_id = p_build_id AND epoch = p_epoch AND state = 'RUNNING' AND wake_generation = p_wake_generation
      AND NOT cancel_requested AND NOT pause_requested;
    IF NOT FOUND THEN RETURN NULL; END IF;
    PERFORM tell_state(p_build_id, 'RUNNING', p_state, 'no money for the next call', p_forecast);
    RETURN v_wake_at;
END $$;

-- Wakes a build: in every state before the last the generation rises, and a resting one is queued; a paused one only
-- for its cancellation.
CREATE OR REPLACE FUNCTION wake_build(p_build_id uuid, p_reason text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_state text;
    v_cancelled boolean;
BEGIN
    SELECT state, cancel_requested INTO v_state, v_cancelled FROM builds
    WHERE build_id = p_build_id AND ended_at IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN RETURN; END IF;
    UPDATE builds SET wake_generation = wake_generation + 1 WHERE build_id = p_build_id;
    IF v_state IN ('SLEEPING', 'WAITING_BUDGET', 'WAITING_ANSWER') OR (v_state = 'PAUSED' AND v_cancelled) THEN
        UPDATE builds SET state = 'QUEUED', due_at = taor_now(), wake_at = NULL WHERE build_id = p_build_id;
        PERFORM tell_state(p_build_id, v_state, 'QUEUED', p_reason);
    END IF;
    PERFORM pg_notify('taor_builds', 'due');
END $$;

-- Wakes a build if it rests and nobody is at it in this moment; whether it was so.
CREATE OR REPLACE FUNCTION wake_resting_build(p_build_id uuid, p_reason text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM builds WHERE build_id = p_build_id AND state IN ('SLEEPING', 'WAITING_BUDGET')
        FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN RETURN false; END IF;
    PERFORM wake_build(p_build_id, p_reason);
    RETURN true;
END $$;

-- Wakes the resting builds whose time has come, at most p_most of them: the tenants in turn, so that at a midnight none
-- waits for all builds of another.
CREATE OR REPLACE FUNCTION wake_due_builds(p_most integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v_build_id uuid;
    v_count integer := 0;
BEGIN
    FOR v_build_id IN
        SELECT r.build_id FROM (
            SELECT b.build_id, b.wake_at, row_number() OVER (PARTITION BY b.tenant_id ORDER BY b.wake_at) AS place
            FROM builds b WHERE b.state IN ('SLEEPING', 'WAITING_BUDGET') AND b.wake_at <= taor_now()) AS r
        ORDER BY r.place, r.wake_at LIMIT p_most
    LOOP
        v_count := v_count + wake_resting_build(v_build_id, 'its time has come')::integer;
    END LOOP;
    RETURN v_count;
END $$;

-- Wakes the builds that rest although their account has had more money since it was denied to them, at most p_most of
-- them: the users in turn.
CREATE OR REPLACE FUNCTION wake_funded_builds(
    p_tenant_id text, p_user_ids text[], p_versions bigint[], p_most integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v_build_id uuid;
    v_count integer := 0;
BEGIN
    FOR v_build_id IN
        SELECT r.build_id FROM (
            SELECT b.build_id, b.wake_at, row_number() OVER (PARTITION BY b.user_id ORDER BY b.wake_at) AS place
            FROM unnest(p_user_ids, p_versions) AS risen (user_id, version)
            JOIN builds b ON b.tenant_id = p_tenant_id AND b.user_id = risen.user_id
                         AND b.state IN ('SLEEPING', 'WAITING_BUDGET') AND b.denied_version < risen.version) AS r
        ORDER BY r.place, r.wake_at LIMIT p_most
    LOOP
        v_count := v_count + wake_resting_build(v_build_id, 'there is money again')::integer;
    END LOOP;
    RETURN v_count;
END $$;

-- Cancels a build: one inbox item for ever, and a hint for the worker that holds it.
CREATE OR REPLACE FUNCTION cancel_build(p_tenant_id text, p_build_id uuid, p_inbox_id uuid) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE builds SET cancel_requested = true
    WHERE build_id = p_build_id AND tenant_id = p_tenant_id AND NOT cancel_requested AND ended_at IS NULL;
    IF NOT FOUND THEN RETURN; END IF;
    INSERT INTO inbox (inbox_id, build_id, tenant_id, kind) VALUES (p_inbox_id, p_build_id, p_tenant_id, 'CANCEL');
    PERFORM wake_build(p_build_id, 'cancelled');
    PERFORM pg_notify('taor_builds', 'cancel:' || p_build_id);
END $$;
