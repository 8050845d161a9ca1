-- The only functions that change what an account may spend. As in ledger.sql, the account's lock comes first.
--
-- A top-up counts for the cycle in which it is made: all of it may be spent today, and what is not is shared among the
-- days left. A plan counts from now on: the cycle gets the whole difference, today its share of it. Nothing that is
-- lowered goes below what is spent and set aside already.

-- What was topped up in a cycle, or on one day of it.
CREATE OR REPLACE FUNCTION ledger_topped_up(p_tenant text, p_user text, p_cycle text, p_day text) RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT coalesce(sum(microdollars), 0)::bigint FROM adjustments
     WHERE tenant_id = p_tenant AND user_id = p_user AND cycle_period = p_cycle AND p_day IN (day_period, '')
$$;

-- The limits after a top-up.
CREATE OR REPLACE FUNCTION ledger_limits_topped_up(c periods, d periods, p_microdollars bigint) RETURNS ledger_limits
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    v_cycle bigint := c."limit" + p_microdollars;
    v_reach bigint := d.spent + d.reserved + greatest(v_cycle - c.spent - c.reserved, 0);
    v_hard bigint := greatest(d."limit", least((d.allowance + p_microdollars) * 110 / 100, v_reach));
BEGIN
    RETURN (v_cycle, least(d.allowance + p_microdollars, v_hard), v_hard)::ledger_limits;
END $$;

-- The limits on a plan that grants p_planned to this cycle, top-ups included, of which p_today were made today. They
-- are found anew from it and never from the limits before, so that going back and forth between plans gains nothing.
CREATE OR REPLACE FUNCTION ledger_limits_planned(
    c periods, d periods, p_planned bigint, p_today bigint, p_days_left integer
) RETURNS ledger_limits LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    v_used bigint := d.spent + d.reserved;
    v_cycle bigint := CASE WHEN p_planned >= c."limit" THEN p_planned
                           ELSE least(c."limit", greatest(p_planned, c.spent + c.reserved)) END;
    v_reach bigint := v_used + greatest(v_cycle - c.spent - c.reserved, 0);
    v_share bigint := least(v_reach, p_today + greatest(v_reach - p_today, 0) / p_days_left);
    v_allowance bigint;
BEGIN
    IF p_planned >= c."limit" THEN
        v_allowance := greatest(d.allowance, v_share);
        RETURN (v_cycle, v_allowance, greatest(d."limit", least(v_allowance * 110 / 100, v_reach)))::ledger_limits;
    END IF;
    v_allowance := least(d.allowance, greatest(v_share, v_used));
    RETURN (v_cycle, v_allowance,
            least(d."limit", greatest(least(v_allowance * 110 / 100, v_reach), v_used)))::ledger_limits;
END $$;

-- Sets the limits of a cycle and a day as an adjustment changes them, and journals it.
CREATE OR REPLACE FUNCTION ledger_book_limits(a adjustments) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_sequence bigint;
BEGIN
    UPDATE periods SET "limit" = "limit" + a.cycle_delta
     WHERE tenant_id = a.tenant_id AND user_id = a.user_id AND period = a.cycle_period;
    UPDATE periods SET allowance = allowance + a.allowance_delta, "limit" = "limit" + a.limit_delta
     WHERE tenant_id = a.tenant_id AND user_id = a.user_id AND period = a.day_period;
    UPDATE accounts
       SET journal_sequence = journal_sequence + 2,
           version = version + (greatest(a.cycle_delta, a.allowance_delta, a.limit_delta) > 0)::integer
     WHERE tenant_id = a.tenant_id AND user_id = a.user_id
    RETURNING journal_sequence - 2 INTO v_sequence;
    INSERT INTO journal (tenant_id, user_id, sequence, period, allowance_delta, limit_delta, at, request_id)
    VALUES (a.tenant_id, a.user_id, v_sequence + 1, a.cycle_period, 0, a.cycle_delta, a.at, a.request_id),
           (a.tenant_id, a.user_id, v_sequence + 2, a.day_period, a.allowance_delta, a.limit_delta, a.at, a.request_id);
END $$;

-- Tops up, or changes the plan, under the account's lock, with its day open.
CREATE OR REPLACE FUNCTION ledger_grant(p_tenant text, p_user text, p_now timestamptz, w ledger_wish, today ledger_today)
RETURNS adjustments LANGUAGE plpgsql AS $$
DECLARE
    a accounts;
    c periods;
    d periods;
    v ledger_limits;
    v_adjustment adjustments;
BEGIN
    SELECT * INTO STRICT a FROM accounts WHERE tenant_id = p_tenant AND user_id = p_user;
    SELECT * INTO STRICT c FROM periods WHERE tenant_id = p_tenant AND user_id = p_user AND period = today.cycle_period;
    SELECT * INTO STRICT d FROM periods WHERE tenant_id = p_tenant AND user_id = p_user AND period = today.day_period;
    IF w.kind = 'TOP_UP' THEN
        v := ledger_limits_topped_up(c, d, w.microdollars);
    ELSE
        v := ledger_limits_planned(
            c, d, w.cycle_microdollars + ledger_topped_up(p_tenant, p_user, c.period, ''),
            ledger_topped_up(p_tenant, p_user, c.period, d.period), today.days_left);
        UPDATE accounts
           SET tier = w.tier, cycle_microdollars = w.cycle_microdollars, opening_tier = coalesce(opening_tier, a.tier)
         WHERE tenant_id = p_tenant AND user_id = p_user;
    END IF;
    INSERT INTO adjustments
    VALUES (p_tenant, w.request_id, w.request_sha256, p_user, w.kind, w.microdollars, a.tier, coalesce(w.tier, a.tier),
            c.period, d.period, v.cycle - c."limit", v.allowance - d.allowance, v.hard - d."limit", p_now)
    RETURNING * INTO v_adjustment;
    PERFORM ledger_book_limits(v_adjustment);
    RETURN v_adjustment;
END $$;

-- Adjusts an account once for its request, and tells the adjustment that the request stands for and the allowance. An
-- id stands for one request of the whole tenant, so it is locked before the account. rolled: as in ledger_turn.
CREATE OR REPLACE FUNCTION ledger_adjust(
    p_tenant text, p_user text, w ledger_wish, today ledger_today,
    OUT at timestamptz, OUT rolled boolean, OUT adjustment adjustments, OUT allowance ledger_allowance
) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(p_tenant || '/' || w.request_id, 0));
    at := ledger_lock(p_tenant, p_user);
    rolled := at < today.day_starts_at OR at >= today.day_ends_at;
    IF rolled THEN
        RETURN;
    END IF;
    PERFORM ledger_open_day(p_tenant, p_user, at, today);
    SELECT * INTO adjustment FROM adjustments WHERE tenant_id = p_tenant AND request_id = w.request_id;
    IF NOT FOUND THEN
        adjustment := ledger_grant(p_tenant, p_user, at, w, today);
    END IF;
    allowance := ledger_allowance(p_tenant, p_user, NULL, today);
END $$;
