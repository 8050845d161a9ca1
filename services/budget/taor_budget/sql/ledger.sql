-- The only functions that change money. Each is called alone in its transaction.
--
-- Each locks the account row first (ledger_lock) and only then reads; under READ COMMITTED every statement after the
-- lock sees what earlier holders committed. An account stands before all its periods, so one lock is the fixed order:
-- no two transactions of one account overlap, and none takes two accounts.

-- Locks an account, closes what has outlived its life, and tells the time at which the lock was had.
CREATE OR REPLACE FUNCTION ledger_lock(p_tenant text, p_user text) RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE
    v_now timestamptz;
BEGIN
    PERFORM 1 FROM accounts WHERE tenant_id = p_tenant AND user_id = p_user FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no account % of tenant %', p_user, p_tenant USING ERRCODE = 'no_data_found';
    END IF;
    v_now := taor_now();
    PERFORM ledger_expire_due(p_tenant, p_user, v_now);
    RETURN v_now;
END $$;

-- Books one change of a reservation in its three periods and in the journal. Growth of free money raises the version.
CREATE OR REPLACE FUNCTION ledger_book(r reservations, p_now timestamptz, d_reserved bigint, d_spent bigint, d_overrun bigint)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_periods text[] := ARRAY[r.cycle_period, r.day_period, 'build/' || r.build_id];
    v_sequence bigint;
    v_changed integer;
BEGIN
    UPDATE accounts
       SET journal_sequence = journal_sequence + 3,
           version = version + (d_reserved + d_spent < 0)::integer
     WHERE tenant_id = r.tenant_id AND user_id = r.user_id
    RETURNING journal_sequence - 3 INTO v_sequence;
    UPDATE periods
       SET reserved = reserved + d_reserved, spent = spent + d_spent, overrun = overrun + d_overrun
     WHERE tenant_id = r.tenant_id AND user_id = r.user_id AND period = ANY (v_periods);
    GET DIAGNOSTICS v_changed = ROW_COUNT;
    ASSERT v_changed = 3, 'a reservation without its three periods';
    INSERT INTO journal (tenant_id, user_id, sequence, period, build_id, epoch, k,
                         reserved_delta, spent_delta, overrun_delta, at)
    SELECT r.tenant_id, r.user_id, v_sequence + i, v_periods[i], r.build_id, r.epoch, r.k,
           d_reserved, d_spent, d_overrun, p_now
      FROM (VALUES (1), (2), (3)) AS three (i);
END $$;

-- Opens a cycle or a day unless it is open, with the limits that it starts with, and journals them.
CREATE OR REPLACE FUNCTION ledger_open_period(
    p_tenant text, p_user text, p_now timestamptz, p_period text, p_starts_at timestamptz, p_ends_at timestamptz,
    p_allowance bigint, p_limit bigint
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_sequence bigint;
BEGIN
    INSERT INTO periods (tenant_id, user_id, period, starts_at, ends_at, allowance, "limit")
    VALUES (p_tenant, p_user, p_period, p_starts_at, p_ends_at, p_allowance, p_limit)
    ON CONFLICT DO NOTHING;
    IF FOUND THEN
        UPDATE accounts SET journal_sequence = journal_sequence + 1
         WHERE tenant_id = p_tenant AND user_id = p_user
        RETURNING journal_sequence INTO v_sequence;
        INSERT INTO journal (tenant_id, user_id, sequence, period, allowance_delta, limit_delta, at)
        VALUES (p_tenant, p_user, v_sequence, p_period, coalesce(p_allowance, 0), p_limit, p_now);
    END IF;
END $$;

-- Opens the day at its first use. Its allowance is an equal share of what is left of the cycle, for each day left;
-- its hard stop is 110 % of that, or what is left where that is less.
CREATE OR REPLACE FUNCTION ledger_open_day(p_tenant text, p_user text, p_now timestamptz, today ledger_today)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_left bigint;
    v_allowance bigint;
BEGIN
    PERFORM 1 FROM periods WHERE tenant_id = p_tenant AND user_id = p_user AND period = today.day_period;
    IF FOUND THEN
        RETURN;
    END IF;
    PERFORM ledger_open_period(p_tenant, p_user, p_now, today.cycle_period, today.cycle_starts_at, today.cycle_ends_at,
                               NULL, cycle_microdollars)
       FROM accounts WHERE tenant_id = p_tenant AND user_id = p_user;
    SELECT greatest("limit" - spent - reserved, 0) INTO STRICT v_left
      FROM periods WHERE tenant_id = p_tenant AND user_id = p_user AND period = today.cycle_period;
    v_allowance := v_left / today.days_left;
    PERFORM ledger_open_period(p_tenant, p_user, p_now, today.day_period, today.day_starts_at, today.day_ends_at,
                               v_allowance, least(v_allowance * 110 / 100, v_left));
END $$;

-- Closes a hold, or corrects a charge that was made because nobody knew the usage.
CREATE OR REPLACE FUNCTION ledger_close(
    r reservations, p_now timestamptz, p_state text, p_booked bigint, p_usage ledger_usage, p_reason text
) RETURNS ledger_closing LANGUAGE plpgsql AS $$
DECLARE
    v_overrun bigint := greatest(p_booked - r.held, 0);
BEGIN
    UPDATE reservations
       SET state = p_state, booked = p_booked, overrun = v_overrun, usage = p_usage, reason = p_reason, closed_at = p_now
     WHERE tenant_id = r.tenant_id AND build_id = r.build_id AND epoch = r.epoch AND k = r.k;
    PERFORM ledger_book(r, p_now, CASE WHEN r.state = 'HELD' THEN -r.held ELSE 0 END,
                        p_booked - r.booked, v_overrun - r.overrun);
    RETURN (NULL, p_state, p_booked, v_overrun, true)::ledger_closing;
END $$;

-- Closes the holds of an account that have outlived their life: a call may have been sent, so it is charged; an
-- earmark never was, so it is released.
CREATE OR REPLACE FUNCTION ledger_expire_due(p_tenant text, p_user text, p_now timestamptz)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    r reservations;
    v_count integer := 0;
BEGIN
    FOR r IN
        SELECT * FROM reservations
         WHERE state = 'HELD' AND expires_at <= p_now AND tenant_id = p_tenant AND user_id = p_user
         ORDER BY expires_at LIMIT 1000
    LOOP
        IF r.kind = 'EARMARK' THEN
            PERFORM ledger_close(r, p_now, 'RELEASED', 0, NULL, 'expired');
        ELSE
            PERFORM ledger_close(r, p_now, 'EXPIRED', r.held, NULL, 'expired');
        END IF;
        v_count := v_count + 1;
    END LOOP;
    RETURN v_count;
END $$;

-- Closes a reservation with the truth, at any epoch, once. An unknown usage charges the hold.
CREATE OR REPLACE FUNCTION ledger_settle(p_tenant text, p_build uuid, p_now timestamptz, s ledger_settlement)
RETURNS ledger_closing LANGUAGE plpgsql AS $$
DECLARE
    r reservations;
    v_known boolean := s.usage IS NOT NULL;
    v_cost bigint;
BEGIN
    SELECT * INTO r FROM reservations
     WHERE tenant_id = p_tenant AND build_id = p_build AND epoch = s.epoch AND k = s.k;
    IF NOT FOUND THEN
        RETURN ('NOT_FOUND', NULL, NULL, NULL, false)::ledger_closing;
    ELSIF r.kind = 'EARMARK' OR r.state = 'RELEASED' THEN
        RETURN ('CLOSED', r.state, r.booked, r.overrun, false)::ledger_closing;
    ELSIF r.state = 'SETTLED' AND v_known AND r.usage <> s.usage THEN
        RETURN ('CONFLICT', r.state, r.booked, r.overrun, false)::ledger_closing;
    ELSIF r.state = 'SETTLED' OR (r.state <> 'HELD' AND NOT v_known) THEN
        RETURN (NULL, r.state, r.booked, r.overrun, false)::ledger_closing;
    ELSIF NOT v_known THEN
        RETURN ledger_close(r, p_now, 'CHARGED', r.held, NULL, 'usage_unknown');
    END IF;
    v_cost := s.costs[array_position(s.price_ids, r.price_id)];
    IF v_cost IS NULL THEN
        RAISE EXCEPTION 'the price % of a hold is not in the price table', r.price_id;
    END IF;
    RETURN ledger_close(r, p_now, 'SETTLED', v_cost, s.usage, '');
END $$;

-- The answer to a Reserve that holds money.
CREATE OR REPLACE FUNCTION ledger_granted(r reservations, p_now timestamptz) RETURNS ledger_answer
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN (NULL, r.epoch, NULL, NULL, NULL, NULL, r.held, r.price_id,
            extract(epoch FROM r.expires_at - p_now))::ledger_answer;
END $$;

-- The answer to a Reserve that was shown before, by its row, its denial or its Release: its first answer, or that it is
-- stale. So is one that a later call was reserved after: no delayed copy may hold anything. NULL: it is new.
CREATE OR REPLACE FUNCTION ledger_answered(b builds, p_now timestamptz, n ledger_need)
RETURNS ledger_answer LANGUAGE plpgsql AS $$
DECLARE
    r reservations;
BEGIN
    SELECT * INTO r FROM reservations
     WHERE tenant_id = b.tenant_id AND build_id = b.build_id AND (epoch, k) >= (b.epoch, n.k)
     ORDER BY epoch, k LIMIT 1;
    IF (r.epoch, r.k) = (b.epoch, n.k) THEN
        IF (r.kind, r.needs_sequence, r.prompt_tokens, r.min_output_tokens, r.max_output_tokens)
           <> (n.kind, n.needs_sequence, n.prompt_tokens, n.min_output_tokens, n.max_output_tokens) THEN
            RETURN ('CONFLICT', b.epoch, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::ledger_answer;
        ELSIF r.state = 'HELD' THEN
            RETURN ledger_granted(r, p_now);
        END IF;
    ELSIF r.k IS NULL THEN
        IF (b.epoch, n.k) > (b.shown_epoch, b.shown_k) THEN
            RETURN NULL;
        ELSIF (b.epoch, n.k) = (b.shown_epoch, b.shown_k) AND b.denied_cause IS NOT NULL THEN
            RETURN (NULL, b.epoch, b.denied_cause, b.denied_version, n.min_held, NULL, NULL, NULL, NULL)::ledger_answer;
        END IF;
    END IF;
    RETURN (NULL, b.epoch, 'STALE', NULL, n.min_held, NULL, NULL, NULL, NULL)::ledger_answer;
END $$;

-- Denies a need, and for ever the call: for want of money, or because too much of it is set aside.
CREATE OR REPLACE FUNCTION ledger_deny(
    b builds, n ledger_need, p_cycle text, p_version bigint, p_free bigint, p_unspent bigint
)
RETURNS ledger_answer LANGUAGE plpgsql AS $$
DECLARE
    v_cause text;
BEGIN
    SELECT CASE WHEN least(p_unspent, "limit" - spent) < n.min_held THEN 'LIMIT' ELSE 'HOLDS' END INTO STRICT v_cause
      FROM periods WHERE tenant_id = b.tenant_id AND user_id = b.user_id AND period = p_cycle;
    UPDATE builds SET shown_epoch = b.epoch, shown_k = n.k, denied_cause = v_cause, denied_version = p_version
     WHERE tenant_id = b.tenant_id AND build_id = b.build_id;
    RETURN (NULL, b.epoch, v_cause, p_version, n.min_held, greatest(p_free, 0), NULL, NULL, NULL)::ledger_answer;
END $$;

-- Sets money aside: what was asked for, or what is free if that is enough. Only the hand-over may use what lies between
-- the allowance of a day and its hard stop. Returns the allowance as it is then.
CREATE OR REPLACE FUNCTION ledger_hold(
    p_tenant text, p_user text, p_build uuid, p_epoch bigint, p_now timestamptz, n ledger_need, today ledger_today,
    INOUT a ledger_allowance, OUT answer ledger_answer
) LANGUAGE plpgsql AS $$
DECLARE
    b builds;
    r reservations;
    v_ceiling bigint := CASE n.kind WHEN 'CALL' THEN a.allowance ELSE a.hard_limit END;
    v_free bigint := least(v_ceiling - a.spent - a.reserved, a.cycle_left);
BEGIN
    SELECT * INTO STRICT b FROM builds WHERE tenant_id = p_tenant AND build_id = p_build;
    IF b.epoch <> p_epoch THEN
        answer := ('STALE_EPOCH', b.epoch, 'STALE', NULL, n.min_held, NULL, NULL, NULL, NULL)::ledger_answer;
        RETURN;
    END IF;
    answer := ledger_answered(b, p_now, n);
    IF answer.highest_epoch IS NOT NULL THEN
        RETURN;
    ELSIF v_free < n.min_held THEN
        answer := ledger_deny(b, n, today.cycle_period, a.version, v_free, v_ceiling - a.spent);
        RETURN;
    END IF;
    INSERT INTO reservations (tenant_id, build_id, epoch, k, user_id, kind, state, needs_sequence, prompt_tokens,
                              min_output_tokens, max_output_tokens, price_id, cycle_period, day_period, held,
                              reserved_at, expires_at)
    VALUES (p_tenant, p_build, p_epoch, n.k, p_user, n.kind, 'HELD', n.needs_sequence, n.prompt_tokens,
            n.min_output_tokens, n.max_output_tokens, n.price_id, today.cycle_period, today.day_period, least(n.max_held, v_free),
            p_now, CASE n.kind WHEN 'EARMARK' THEN least(p_now + n.life, today.day_ends_at) ELSE p_now + n.life END)
    RETURNING * INTO r;
    PERFORM ledger_book(r, p_now, r.held, 0, 0);
    a.reserved := a.reserved + r.held;
    a.cycle_left := a.cycle_left - r.held;
    answer := ledger_granted(r, p_now);
END $$;

-- What a user may spend today, and what the build has spent, read under the lock of the account.
CREATE OR REPLACE FUNCTION ledger_allowance(p_tenant text, p_user text, p_build uuid, today ledger_today)
RETURNS ledger_allowance LANGUAGE sql STABLE AS $$
    SELECT (d.allowance, d."limit", d.spent, d.reserved, greatest(c."limit" - c.spent - c.reserved, 0), a.version,
            coalesce((SELECT b.spent FROM periods b WHERE b.tenant_id = p_tenant AND b.user_id = p_user
                         AND b.period = 'build/' || p_build), 0))::ledger_allowance
      FROM accounts a
      JOIN periods d USING (tenant_id, user_id)
      JOIN periods c USING (tenant_id, user_id)
     WHERE a.tenant_id = p_tenant AND a.user_id = p_user
       AND d.period = today.day_period AND c.period = today.cycle_period
$$;

-- One turn of the money: settle a call, hold for the next, tell the allowance; each half may be absent (NULL). The
-- settlement stands whatever becomes of the hold. rolled, and then no allowance: the day or the price that the caller
-- knows is not the one of this instant; it finds them anew and calls again.
CREATE OR REPLACE FUNCTION ledger_turn(
    p_tenant text, p_user text, p_build uuid, p_epoch bigint, s ledger_settlement, n ledger_need, today ledger_today,
    OUT at timestamptz, OUT rolled boolean, OUT closing ledger_closing, OUT answer ledger_answer, OUT allowance ledger_allowance
) LANGUAGE plpgsql AS $$
DECLARE
    held record;
BEGIN
    at := ledger_lock(p_tenant, p_user);
    rolled := false;
    IF s.k IS NOT NULL THEN
        closing := ledger_settle(p_tenant, p_build, at, s);
        IF closing.refusal IS NOT NULL THEN
            RETURN;
        END IF;
    END IF;
    rolled := at < today.day_starts_at OR at >= today.day_ends_at
        OR coalesce(at < n.price_since, false) OR coalesce(at >= n.price_until, false);
    IF rolled THEN
        RETURN;
    END IF;
    allowance := ledger_allowance(p_tenant, p_user, p_build, today);
    IF allowance IS NULL THEN
        PERFORM ledger_open_day(p_tenant, p_user, at, today);
        allowance := ledger_allowance(p_tenant, p_user, p_build, today);
    END IF;
    IF n.k IS NOT NULL THEN
        held := ledger_hold(p_tenant, p_user, p_build, p_epoch, at, n, today, allowance);
        answer := held.answer;
        allowance := held.a;
    END IF;
END $$;

-- Ends a hold without a usage: RELEASED when its call was not billed, CHARGED when nobody knows. What is ended, or was
-- never here, can no longer be reserved by a delayed copy.
CREATE OR REPLACE FUNCTION ledger_end(
    p_tenant text, p_user text, p_build uuid, p_epoch bigint, p_call_epoch bigint, p_k bigint, p_state text, p_reason text,
    OUT closing ledger_closing, OUT highest_epoch bigint
) LANGUAGE plpgsql AS $$
DECLARE
    v_now timestamptz := ledger_lock(p_tenant, p_user);
    b builds;
    r reservations;
BEGIN
    SELECT * INTO STRICT b FROM builds WHERE tenant_id = p_tenant AND build_id = p_build;
    highest_epoch := b.epoch;
    IF b.epoch <> p_epoch THEN
        closing := ('STALE_EPOCH', NULL, NULL, NULL, false)::ledger_closing;
        RETURN;
    END IF;
    SELECT * INTO r FROM reservations
     WHERE tenant_id = p_tenant AND build_id = p_build AND epoch = p_call_epoch AND k = p_k;
    IF NOT FOUND THEN
        UPDATE builds SET shown_epoch = p_call_epoch, shown_k = p_k, denied_cause = NULL, denied_version = NULL
         WHERE tenant_id = p_tenant AND build_id = p_build AND (shown_epoch, shown_k) < (p_call_epoch, p_k);
        closing := ('NOT_FOUND', NULL, NULL, NULL, false)::ledger_closing;
    ELSIF r.state <> 'HELD' THEN
        closing := (NULL, r.state, r.booked, r.overrun, false)::ledger_closing;
    ELSIF p_state = 'RELEASED' THEN
        closing := ledger_close(r, v_now, 'RELEASED', 0, NULL, p_reason);
    ELSIF r.kind = 'EARMARK' THEN
        closing := ('CLOSED', r.state, r.booked, r.overrun, false)::ledger_closing;
    ELSE
        closing := ledger_close(r, v_now, 'CHARGED', r.held, NULL, p_reason);
    END IF;
END $$;

-- Raises the fence of a build; an equal epoch only for the same owner. Returns the epoch and owner that stand.
CREATE OR REPLACE FUNCTION ledger_attach(
    p_tenant text, p_user text, p_build uuid, p_epoch bigint, p_owner text, OUT attached boolean, OUT highest_epoch bigint
) LANGUAGE plpgsql AS $$
DECLARE
    b builds;
BEGIN
    PERFORM ledger_lock(p_tenant, p_user);
    SELECT * INTO STRICT b FROM builds WHERE tenant_id = p_tenant AND build_id = p_build;
    attached := p_epoch > b.epoch OR (p_epoch = b.epoch AND p_owner = b.owner);
    highest_epoch := greatest(b.epoch, p_epoch);
    IF p_epoch > b.epoch THEN
        UPDATE builds SET epoch = p_epoch, owner = p_owner WHERE tenant_id = p_tenant AND build_id = p_build;
    END IF;
END $$;

-- Closes what is due of one account that nobody works on at this moment. Returns how many it closed; 0: none is left.
CREATE OR REPLACE FUNCTION ledger_expire_one_account() RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    v_now timestamptz := taor_now();
    a accounts;
BEGIN
    SELECT accounts.* INTO a
      FROM (SELECT DISTINCT d.tenant_id, d.user_id
              FROM (SELECT tenant_id, user_id FROM reservations
                     WHERE state = 'HELD' AND expires_at <= v_now ORDER BY expires_at LIMIT 1000) AS d) AS due
      JOIN accounts USING (tenant_id, user_id)
     LIMIT 1
       FOR NO KEY UPDATE OF accounts SKIP LOCKED;
    RETURN CASE WHEN a.user_id IS NULL THEN 0 ELSE ledger_expire_due(a.tenant_id, a.user_id, v_now) END;
END $$;
