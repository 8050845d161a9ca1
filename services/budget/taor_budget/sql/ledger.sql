-- The only functions that change money, with those of holds.sql, which ledger_turn calls. Each of ledger_turn,
-- ledger_turns, ledger_end, ledger_attach and ledger_expire_one_account is called alone in its transaction.
--
-- Each locks the account row first (ledger_lock) and only then reads; under READ COMMITTED every statement after the
-- lock sees what earlier holders committed. An account stands before all its periods, so one lock is the fixed order: no
-- two transactions of one account overlap. ledger_turns alone takes several accounts, in the order of their names.

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
    -- Mostly nothing is due in any account, and then the index alone tells so.
    IF EXISTS (SELECT FROM reservations WHERE state = 'HELD' AND expires_at <= v_now) THEN
        PERFORM ledger_expire_due(p_tenant, p_user, v_now);
    END IF;
    RETURN v_now;
END $$;

-- Books changes of a build's reservations of one day: the three periods once, the journal change by change, in their
-- order. Every growth of free money raises the version.
CREATE OR REPLACE FUNCTION ledger_book(
    p_tenant text, p_user text, p_build uuid, p_cycle text, p_day text, p_now timestamptz, p_changes ledger_change[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_periods text[] := ARRAY[p_cycle, p_day, 'build/' || p_build];
    c ledger_change;
    v_sum ledger_change := (NULL, NULL, 0, 0, 0);
    v_growths integer := 0;
    v_sequence bigint;
    v_changed integer;
BEGIN
    IF cardinality(p_changes) = 0 THEN
        RETURN;
    END IF;
    FOREACH c IN ARRAY p_changes LOOP
        v_sum := (NULL, NULL, v_sum.reserved + c.reserved, v_sum.spent + c.spent, v_sum.overrun + c.overrun);
        v_growths := v_growths + (c.reserved + c.spent < 0)::integer;
    END LOOP;
    UPDATE accounts
       SET journal_sequence = journal_sequence + 3 * cardinality(p_changes), version = version + v_growths
     WHERE tenant_id = p_tenant AND user_id = p_user
    RETURNING journal_sequence - 3 * cardinality(p_changes) INTO v_sequence;
    UPDATE periods
       SET reserved = reserved + v_sum.reserved, spent = spent + v_sum.spent, overrun = overrun + v_sum.overrun
     WHERE tenant_id = p_tenant AND user_id = p_user AND period = ANY (v_periods);
    GET DIAGNOSTICS v_changed = ROW_COUNT;
    ASSERT v_changed = 3, 'a reservation without its three periods';
    INSERT INTO journal (tenant_id, user_id, sequence, period, build_id, epoch, k,
                         reserved_delta, spent_delta, overrun_delta, at)
    SELECT p_tenant, p_user, v_sequence + 3 * (nth - 1) + i, v_periods[i], p_build, each.epoch, each.k,
           each.reserved, each.spent, each.overrun, p_now
      FROM unnest(p_changes) WITH ORDINALITY AS each (epoch, k, reserved, spent, overrun, nth),
           (VALUES (1), (2), (3)) AS three (i);
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

-- Closes a hold, or corrects a charge that was made because nobody knew the usage. What changes is still to be booked.
CREATE OR REPLACE FUNCTION ledger_close(
    r reservations, p_now timestamptz, p_state text, p_booked bigint, p_usage ledger_usage, p_reason text, p_tools text[],
    OUT closing ledger_closing, OUT change ledger_change
) LANGUAGE plpgsql AS $$
DECLARE
    v_overrun bigint := greatest(p_booked - r.held, 0);
BEGIN
    UPDATE reservations
       SET state = p_state, booked = p_booked, overrun = v_overrun, usage = p_usage, reason = p_reason, tools = p_tools,
           closed_at = p_now
     WHERE tenant_id = r.tenant_id AND build_id = r.build_id AND epoch = r.epoch AND k = r.k;
    closing := (NULL, p_state, p_booked, v_overrun, true);
    change := (r.epoch, r.k, CASE WHEN r.state = 'HELD' THEN -r.held ELSE 0 END, p_booked - r.booked,
               v_overrun - r.overrun);
END $$;

-- Closes the holds of an account that have outlived their life: a call may have been sent, so it is charged; an
-- earmark never was, so it is released.
CREATE OR REPLACE FUNCTION ledger_expire_due(p_tenant text, p_user text, p_now timestamptz)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    r reservations;
    closed record;
    v_count integer := 0;
BEGIN
    FOR r IN
        SELECT * FROM reservations
         WHERE state = 'HELD' AND expires_at <= p_now AND tenant_id = p_tenant AND user_id = p_user
         ORDER BY expires_at LIMIT 1000
    LOOP
        IF r.kind = 'EARMARK' THEN
            closed := ledger_close(r, p_now, 'RELEASED', 0, NULL, 'expired', NULL);
        ELSE
            closed := ledger_close(r, p_now, 'EXPIRED', r.held, NULL, 'expired', NULL);
        END IF;
        PERFORM ledger_book(p_tenant, p_user, r.build_id, r.cycle_period, r.day_period, p_now, ARRAY[closed.change]);
        v_count := v_count + 1;
    END LOOP;
    RETURN v_count;
END $$;

-- Closes a reservation with the truth, at any epoch, once. An unknown usage charges the hold. What changes, if anything
-- does, is still to be booked.
CREATE OR REPLACE FUNCTION ledger_settle(
    p_tenant text, p_build uuid, p_now timestamptz, s ledger_settlement, p_tools text[],
    OUT closing ledger_closing, OUT change ledger_change, OUT cycle_period text, OUT day_period text
) LANGUAGE plpgsql AS $$
DECLARE
    r reservations;
    closed record;
    v_known boolean := s.usage IS NOT NULL;
    v_cost bigint;
BEGIN
    SELECT * INTO r FROM reservations
     WHERE tenant_id = p_tenant AND build_id = p_build AND epoch = s.epoch AND k = s.k;
    IF NOT FOUND THEN
        closing := ('NOT_FOUND', NULL, NULL, NULL, false);
        RETURN;
    ELSIF r.kind = 'EARMARK' OR r.state = 'RELEASED' THEN
        closing := ('CLOSED', r.state, r.booked, r.overrun, false);
        RETURN;
    ELSIF r.state = 'SETTLED' AND v_known AND r.usage <> s.usage THEN
        closing := ('CONFLICT', r.state, r.booked, r.overrun, false);
        RETURN;
    ELSIF r.state = 'SETTLED' OR (r.state <> 'HELD' AND NOT v_known) THEN
        closing := (NULL, r.state, r.booked, r.overrun, false);
        RETURN;
    ELSIF NOT v_known THEN
        closed := ledger_close(r, p_now, 'CHARGED', r.held, NULL, 'usage_unknown', p_tools);
    ELSE
        v_cost := s.costs[array_position(s.price_ids, r.price_id)];
        IF v_cost IS NULL THEN
            RAISE EXCEPTION 'the price % of a hold is not in the price table', r.price_id;
        END IF;
        closed := ledger_close(r, p_now, 'SETTLED', v_cost, s.usage, '', p_tools);
    END IF;
    closing := closed.closing;
    change := closed.change;
    cycle_period := r.cycle_period;
    day_period := r.day_period;
END $$;

-- What a user may spend today, and what the build has spent, read under the lock of the account. What is left of the
-- cycle is below zero after an overrun of it.
CREATE OR REPLACE FUNCTION ledger_allowance(p_tenant text, p_user text, p_build uuid, today ledger_today)
RETURNS ledger_allowance LANGUAGE sql STABLE AS $$
    SELECT (d.allowance, d."limit", d.spent, d.reserved, c."limit" - c.spent - c.reserved, a.version,
            coalesce((SELECT b.spent FROM periods b WHERE b.tenant_id = p_tenant AND b.user_id = p_user
                         AND b.period = 'build/' || p_build), 0))::ledger_allowance
      FROM accounts a
      JOIN periods d USING (tenant_id, user_id)
      JOIN periods c USING (tenant_id, user_id)
     WHERE a.tenant_id = p_tenant AND a.user_id = p_user
       AND d.period = today.day_period AND c.period = today.cycle_period
$$;

-- One turn of the money: settle a call, hold for the next and for its earmark, tell the allowance; each part may be
-- absent (NULL). The settlement stands whatever becomes of the hold; both are booked in one pass where their periods are
-- the same. rolled, and then no allowance: the day or the price that the caller knows is not the one of this instant; it
-- finds them anew and calls again.
CREATE OR REPLACE FUNCTION ledger_turn(
    p_tenant text, p_user text, p_build uuid, p_epoch bigint, s ledger_settlement, p_tools text[],
    n ledger_need, e ledger_need, p_replaces bigint, today ledger_today,
    OUT at timestamptz, OUT rolled boolean, OUT closing ledger_closing, OUT answer ledger_answer,
    OUT earmark ledger_answer, OUT allowance ledger_allowance
) LANGUAGE plpgsql AS $$
DECLARE
    settled record;
    held record;
    v_changes ledger_change[] := '{}';
BEGIN
    at := ledger_lock(p_tenant, p_user);
    rolled := at < today.day_starts_at OR at >= today.day_ends_at
        OR coalesce(at < n.price_since, false) OR coalesce(at >= n.price_until, false);
    IF s.k IS NOT NULL THEN
        settled := ledger_settle(p_tenant, p_build, at, s, p_tools);
        closing := settled.closing;
        IF closing.refusal IS NOT NULL THEN
            RETURN;
        ELSIF closing.changed AND NOT rolled AND n.k IS NOT NULL
            AND (settled.cycle_period, settled.day_period) = (today.cycle_period, today.day_period) THEN
            v_changes := ARRAY[settled.change];
        ELSIF closing.changed THEN
            PERFORM ledger_book(p_tenant, p_user, p_build, settled.cycle_period, settled.day_period, at,
                                ARRAY[settled.change]);
        END IF;
    END IF;
    IF rolled THEN
        RETURN;
    END IF;
    allowance := ledger_allowance(p_tenant, p_user, p_build, today);
    IF allowance IS NULL THEN
        PERFORM ledger_open_day(p_tenant, p_user, at, today);
        allowance := ledger_allowance(p_tenant, p_user, p_build, today);
    END IF;
    IF n.k IS NOT NULL THEN
        IF cardinality(v_changes) > 0 THEN
            allowance := ledger_after(allowance, v_changes[1]);
        END IF;
        held := ledger_hold(p_tenant, p_build, p_epoch, at, n, e, p_replaces, today, allowance, v_changes);
        answer := held.answer;
        earmark := held.earmark;
        allowance := held.a;
        PERFORM ledger_book(p_tenant, p_user, p_build, today.cycle_period, today.day_period, at, held.changes);
    END IF;
END $$;

-- Several turns in one transaction, each as if it came alone after those before it: account by account in the order of
-- their names, so that no two transactions wait for each other in a circle, and within one as they were asked for.
CREATE OR REPLACE FUNCTION ledger_turns(p_calls ledger_call[])
RETURNS TABLE (
    nth bigint, at timestamptz, rolled boolean, closing ledger_closing, answer ledger_answer, earmark ledger_answer,
    allowance ledger_allowance
) LANGUAGE sql AS $$
    SELECT c.nth, turn.*
      FROM (SELECT * FROM unnest(p_calls) WITH ORDINALITY
                AS call (tenant_id, user_id, build_id, epoch, settlement, tools, need, earmark, replaces, today, nth)
             ORDER BY tenant_id, user_id, nth) AS c,
           ledger_turn(c.tenant_id, c.user_id, c.build_id, c.epoch, c.settlement, c.tools, c.need, c.earmark, c.replaces,
                       c.today) AS turn
$$;

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
    closed record;
BEGIN
    SELECT * INTO STRICT b FROM builds WHERE tenant_id = p_tenant AND build_id = p_build;
    highest_epoch := b.epoch;
    IF b.epoch <> p_epoch THEN
        closing := ('STALE_EPOCH', NULL, NULL, NULL, false);
        RETURN;
    END IF;
    SELECT * INTO r FROM reservations
     WHERE tenant_id = p_tenant AND build_id = p_build AND epoch = p_call_epoch AND k = p_k;
    IF NOT FOUND THEN
        UPDATE builds SET shown_epoch = p_call_epoch, shown_k = p_k, denied_cause = NULL, denied_version = NULL
         WHERE tenant_id = p_tenant AND build_id = p_build AND (shown_epoch, shown_k) < (p_call_epoch, p_k);
        closing := ('NOT_FOUND', NULL, NULL, NULL, false);
    ELSIF r.state <> 'HELD' THEN
        closing := (NULL, r.state, r.booked, r.overrun, false);
    ELSIF r.kind = 'EARMARK' AND p_state <> 'RELEASED' THEN
        closing := ('CLOSED', r.state, r.booked, r.overrun, false);
    ELSE
        closed := ledger_close(r, v_now, p_state, CASE p_state WHEN 'CHARGED' THEN r.held ELSE 0 END, NULL, p_reason, NULL);
        closing := closed.closing;
        PERFORM ledger_book(p_tenant, p_user, p_build, r.cycle_period, r.day_period, v_now, ARRAY[closed.change]);
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
