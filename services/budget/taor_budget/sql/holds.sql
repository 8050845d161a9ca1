-- How a turn of the money sets money aside: called by ledger_turn (ledger.sql), under the account's lock.

-- The answer to a Reserve that holds money.
CREATE OR REPLACE FUNCTION ledger_granted(r reservations, p_now timestamptz) RETURNS ledger_answer
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN (NULL, r.epoch, NULL, NULL, NULL, NULL, r.held, r.price_id,
            extract(epoch FROM r.expires_at - p_now))::ledger_answer;
END $$;

-- Whether a reservation was made for this need.
CREATE OR REPLACE FUNCTION ledger_is_for(r reservations, n ledger_need) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT (r.kind, r.needs_sequence, r.prompt_tokens, r.min_output_tokens, r.max_output_tokens)
         = (n.kind, n.needs_sequence, n.prompt_tokens, n.min_output_tokens, n.max_output_tokens)
$$;

-- The answer to a Reserve that was shown before, by its row, its denial or its Release: its first answer, or that it is
-- stale. So is one that a later call was reserved after: no delayed copy may hold anything. NULL: it is new. An earmark
-- that was granted with the call and is closed by now is told no more.
CREATE OR REPLACE FUNCTION ledger_answered(
    b builds, p_now timestamptz, n ledger_need, e ledger_need, OUT answer ledger_answer, OUT earmark ledger_answer
) LANGUAGE plpgsql AS $$
DECLARE
    r reservations;
    v_earmark reservations;
BEGIN
    answer := (NULL, b.epoch, 'STALE', NULL, n.min_held, NULL, NULL, NULL, NULL);
    SELECT * INTO r FROM reservations
     WHERE tenant_id = b.tenant_id AND build_id = b.build_id AND (epoch, k) >= (b.epoch, n.k)
     ORDER BY epoch, k LIMIT 1;
    IF (r.epoch, r.k) = (b.epoch, n.k) THEN
        SELECT * INTO v_earmark FROM reservations
         WHERE tenant_id = b.tenant_id AND build_id = b.build_id AND epoch = b.epoch AND k = r.earmark_k;
        IF r.earmark_k IS DISTINCT FROM e.k OR NOT ledger_is_for(r, n) OR NOT ledger_is_for(v_earmark, e) THEN
            answer := ('CONFLICT', b.epoch, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
        ELSIF r.state = 'HELD' THEN
            answer := ledger_granted(r, p_now);
            earmark := CASE WHEN v_earmark.state = 'HELD' THEN ledger_granted(v_earmark, p_now) END;
        END IF;
    ELSIF r.k IS NULL THEN
        IF (b.epoch, n.k) > (b.shown_epoch, b.shown_k) THEN
            answer := NULL;
        ELSIF (b.epoch, n.k) = (b.shown_epoch, b.shown_k) AND b.denied_cause IS NOT NULL THEN
            answer := (NULL, b.epoch, b.denied_cause, b.denied_version, n.min_held + coalesce(e.min_held, 0),
                       NULL, NULL, NULL, NULL);
        END IF;
    END IF;
END $$;

-- Denies a need, and for ever the call: for want of money, or because too much of it is set aside. p_free is what the
-- call could have, and p_unspent what it could if nothing were set aside, p_kept of the cycle being for its earmark.
CREATE OR REPLACE FUNCTION ledger_deny(
    b builds, n ledger_need, p_kept bigint, p_cycle text, p_version bigint, p_free bigint, p_unspent bigint
)
RETURNS ledger_answer LANGUAGE plpgsql AS $$
DECLARE
    v_cause text;
BEGIN
    SELECT CASE WHEN least(p_unspent, "limit" - spent - p_kept) < n.min_held THEN 'LIMIT' ELSE 'HOLDS' END
      INTO STRICT v_cause
      FROM periods WHERE tenant_id = b.tenant_id AND user_id = b.user_id AND period = p_cycle;
    UPDATE builds SET shown_epoch = b.epoch, shown_k = n.k, denied_cause = v_cause, denied_version = p_version
     WHERE tenant_id = b.tenant_id AND build_id = b.build_id;
    RETURN (NULL, b.epoch, v_cause, p_version, n.min_held + p_kept, greatest(p_free + p_kept, 0),
            NULL, NULL, NULL)::ledger_answer;
END $$;

-- Writes down a hold; it is still to be booked.
CREATE OR REPLACE FUNCTION ledger_set_aside(
    b builds, p_now timestamptz, n ledger_need, p_earmark_k bigint, p_held bigint, today ledger_today,
    OUT answer ledger_answer, OUT change ledger_change
) LANGUAGE plpgsql AS $$
DECLARE
    r reservations;
BEGIN
    INSERT INTO reservations (tenant_id, build_id, epoch, k, user_id, kind, state, needs_sequence, prompt_tokens,
                              min_output_tokens, max_output_tokens, price_id, cycle_period, day_period, held,
                              earmark_k, reserved_at, expires_at)
    VALUES (b.tenant_id, b.build_id, b.epoch, n.k, b.user_id, n.kind, 'HELD', n.needs_sequence, n.prompt_tokens,
            n.min_output_tokens, n.max_output_tokens, n.price_id, today.cycle_period, today.day_period, p_held,
            p_earmark_k, p_now,
            CASE n.kind WHEN 'EARMARK' THEN least(p_now + n.life, today.day_ends_at) ELSE p_now + n.life END)
    RETURNING * INTO r;
    answer := ledger_granted(r, p_now);
    change := (r.epoch, r.k, r.held, 0, 0);
END $$;

-- What the allowance is after a change that is booked in its periods, or will be in the same commit.
CREATE OR REPLACE FUNCTION ledger_after(a ledger_allowance, c ledger_change) RETURNS ledger_allowance
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    a.spent := a.spent + c.spent;
    a.reserved := a.reserved + c.reserved;
    a.cycle_left := a.cycle_left - c.spent - c.reserved;
    a.version := a.version + (c.reserved + c.spent < 0)::integer;
    a.build_spent := a.build_spent + c.spent;
    RETURN a;
END $$;

-- Sets money aside: what was asked for, or what is free if that is enough; for a call and its earmark, or for neither. An
-- earmark that they replace is given back, if they are granted. Only the hand-over may use what lies between the allowance
-- of a day and its hard stop. Tells the allowance as it is then, and with the changes before it what is to be booked.
CREATE OR REPLACE FUNCTION ledger_hold(
    p_tenant text, p_build uuid, p_epoch bigint, p_now timestamptz, n ledger_need, e ledger_need, p_replaces bigint,
    today ledger_today,
    INOUT a ledger_allowance, INOUT changes ledger_change[], OUT answer ledger_answer, OUT earmark ledger_answer
) LANGUAGE plpgsql AS $$
DECLARE
    b builds;
    r reservations;
    step record;
    v_kept bigint := coalesce(e.min_held, 0);
    v_ceiling bigint := least(CASE n.kind WHEN 'CALL' THEN a.allowance ELSE a.hard_limit END, a.hard_limit - v_kept);
    v_free bigint := least(v_ceiling - a.spent - a.reserved, a.cycle_left - v_kept);
BEGIN
    SELECT * INTO STRICT b FROM builds WHERE tenant_id = p_tenant AND build_id = p_build;
    IF b.epoch <> p_epoch THEN
        answer := ('STALE_EPOCH', b.epoch, 'STALE', NULL, n.min_held, NULL, NULL, NULL, NULL);
        RETURN;
    END IF;
    step := ledger_answered(b, p_now, n, e);
    IF (step.answer).highest_epoch IS NOT NULL THEN
        answer := step.answer;
        earmark := step.earmark;
        RETURN;
    END IF;
    IF p_replaces IS NOT NULL THEN
        SELECT * INTO r FROM reservations
         WHERE tenant_id = p_tenant AND build_id = p_build AND epoch = p_epoch AND k = p_replaces
           AND kind = 'EARMARK' AND state = 'HELD' AND day_period = today.day_period;
        v_free := v_free + coalesce(r.held, 0);
    END IF;
    IF v_free < n.min_held THEN
        PERFORM ledger_book(p_tenant, b.user_id, p_build, today.cycle_period, today.day_period, p_now, changes);
        changes := '{}';
        answer := ledger_deny(b, n, v_kept, today.cycle_period, a.version, v_free, v_ceiling - a.spent);
        RETURN;
    END IF;
    IF r.k IS NOT NULL THEN
        step := ledger_close(r, p_now, 'RELEASED', 0, NULL, 'replaced', NULL);
        changes := changes || step.change;
        a := ledger_after(a, step.change);
    END IF;
    step := ledger_set_aside(b, p_now, n, e.k, least(n.max_held, v_free), today);
    answer := step.answer;
    changes := changes || step.change;
    a := ledger_after(a, step.change);
    IF e.k IS NOT NULL THEN
        step := ledger_set_aside(b, p_now, e, NULL,
                                 least(e.max_held, a.hard_limit - a.spent - a.reserved, a.cycle_left), today);
        earmark := step.answer;
        changes := changes || step.change;
        a := ledger_after(a, step.change);
    END IF;
END $$;
