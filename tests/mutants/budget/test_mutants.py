"""Bugs planted into the SQL of the ledger: each one must be caught by the test that it names."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from importlib.resources import files

import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, settings

from taor_budget.reservations import Kind
from taor_chassis.errors import ServiceError
from tests.service.budget import test_closing as closing
from tests.service.budget import test_expiry as expiry
from tests.service.budget import test_fences as fences
from tests.service.budget import test_interleavings as interleavings
from tests.service.budget import test_midnight as midnight
from tests.service.budget import test_pairs as pairs
from tests.service.budget import test_reserving as reserving
from tests.service.budget import test_shared_commits as shared
from tests.service.budget.audit import audit
from tests.service.budget.books import PRICES, TENANT, Books, open_books
from tests.service.budget.test_ledger_properties import run_histories
from tests.support.postgres import MigratedDatabase

Test = Callable[[Books], Awaitable[None]]
LEDGER = "".join((files("taor_budget") / "sql" / name).read_text("utf-8") for name in ("ledger.sql", "holds.sql"))
# What a test fails with: an assertion, an expectation of pytest, a constraint of the database, a refusal.
CAUGHT = (AssertionError, pytest.fail.Exception, asyncpg.PostgresError, ServiceError, TimeoutError)
RACES = 5
HISTORIES = settings(
    max_examples=40,
    stateful_step_count=30,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@dataclass(frozen=True, slots=True)
class Mutant:
    """A change of the SQL, and the test that must fail with it."""

    bug: str
    old: str
    new: str
    caught_by: Test


MUTANTS = [
    Mutant("no lock", "p_user FOR NO KEY UPDATE;", "p_user;", interleavings.test_the_last_money_is_given_once),
    Mutant(
        "fence read without a lock",
        "p_user FOR NO KEY UPDATE;",
        "p_user;",
        interleavings.test_a_fence_that_rises_meanwhile_stops_a_reserve,
    ),
    Mutant(
        "lock too weak",
        "p_user FOR NO KEY UPDATE;",
        "p_user FOR KEY SHARE;",
        interleavings.test_a_fence_that_rises_meanwhile_stops_half_an_advance,
    ),
    Mutant(
        "stale epoch reserves",
        "IF b.epoch <> p_epoch THEN\n        answer",
        "IF false THEN\n        answer",
        fences.test_a_stale_advance_settles_and_reserves_nothing,
    ),
    Mutant(
        "stale epoch releases",
        "IF b.epoch <> p_epoch THEN\n        closing",
        "IF false THEN\n        closing",
        partial(fences.test_only_the_attached_epoch_reserves_releases_and_charges, epoch=1),
    ),
    Mutant(
        "equal epoch for another owner",
        "(p_epoch = b.epoch AND p_owner = b.owner)",
        "p_epoch = b.epoch",
        fences.test_an_epoch_belongs_to_one_owner,
    ),
    Mutant(
        "fence never rises",
        "SET epoch = p_epoch, owner = p_owner",
        "SET owner = p_owner",
        fences.test_the_new_epoch_closes_the_holds_of_the_old,
    ),
    Mutant(
        "settlement stops at a stale epoch",
        "    IF s.k IS NOT NULL THEN",
        "    IF s.k IS NOT NULL AND s.epoch >= (SELECT epoch FROM builds WHERE build_id = p_build) THEN",
        fences.test_an_older_epoch_may_settle,
    ),
    Mutant(
        "denied only when nothing is free",
        "IF v_free < n.min_held",
        "IF v_free < 0",
        reserving.test_the_limit_denies_until_midnight,
    ),
    Mutant(
        "more than was asked is held",
        "least(n.max_held, v_free), today",
        "v_free, today",
        reserving.test_a_hold_is_the_bound_of_the_call,
    ),
    Mutant(
        "hold missing in the allowance told",
        "    a.reserved := a.reserved + c.reserved;\n",
        "",
        reserving.test_a_hold_is_the_bound_of_the_call,
    ),
    Mutant(
        "cause of denial mixed up",
        'CASE WHEN least(p_unspent, "limit" - spent - p_kept) < n.min_held',
        "CASE WHEN p_free < n.min_held",
        reserving.test_holds_of_others_deny_until_they_close,
    ),
    Mutant(
        "calls use the hand-over's money",
        "CASE n.kind WHEN 'CALL' THEN a.allowance ELSE a.hard_limit END",
        "a.hard_limit",
        partial(reserving.test_only_the_hand_over_may_use_what_lies_above_the_allowance, kind=Kind.HANDOVER),
    ),
    Mutant(
        "cycle not looked at",
        "least(v_ceiling - a.spent - a.reserved, a.cycle_left - v_kept)",
        "v_ceiling - a.spent - a.reserved",
        midnight.test_what_a_call_of_yesterday_cost_too_much_is_missing_today,
    ),
    Mutant(
        "other arguments accepted",
        "OR NOT ledger_is_for(r, n) ",
        "",
        reserving.test_a_repeated_reserve_with_other_arguments_conflicts,
    ),
    Mutant(
        "delayed copy tried again",
        "IF (b.epoch, n.k) > (b.shown_epoch, b.shown_k) THEN",
        "IF (b.epoch, n.k) >= (b.shown_epoch, b.shown_k) THEN",
        reserving.test_a_reserve_that_its_release_overtook_is_stale,
    ),
    Mutant(
        "older call reserved",
        "AND (epoch, k) >= (b.epoch, n.k)",
        "AND (epoch, k) = (b.epoch, n.k)",
        reserving.test_a_delayed_copy_of_an_older_reserve_is_stale,
    ),
    Mutant(
        "denial forgotten",
        "denied_cause = v_cause",
        "denied_cause = NULL",
        reserving.test_a_repeated_denial_stays_one_whatever_has_become_free,
    ),
    Mutant(
        "release not shown",
        "AND (shown_epoch, shown_k) < (p_call_epoch, p_k)",
        "AND false",
        reserving.test_a_reserve_that_its_release_overtook_is_stale,
    ),
    Mutant(
        "release not told",
        "v_growths + (c.reserved + c.spent < 0)::integer",
        "v_growths + (c.reserved + c.spent < 0 AND c.spent > 0)::integer",
        reserving.test_every_growth_of_free_money_raises_the_version,
    ),
    Mutant(
        "late settlement not told",
        "v_growths + (c.reserved + c.spent < 0)::integer",
        "v_growths + (c.reserved < 0 AND c.reserved + c.spent < 0)::integer",
        reserving.test_every_growth_of_free_money_raises_the_version,
    ),
    Mutant(
        "charge told as growth",
        "v_growths + (c.reserved + c.spent < 0)::integer",
        "v_growths + (c.reserved < 0)::integer",
        reserving.test_money_that_goes_leaves_the_version,
    ),
    Mutant(
        "late settlement only lowers",
        "p_booked - r.booked,\n",
        "CASE r.state WHEN 'HELD' THEN p_booked ELSE least(p_booked - r.booked, 0) END,\n",
        partial(
            closing.test_a_late_truth_corrects_a_charge_both_ways,
            how="expired",
            usage=closing.DEAR,
            booked=800,
            overrun=200,
        ),
    ),
    Mutant(
        "settled twice",
        "ELSIF r.state = 'SETTLED' OR (r.state",
        "ELSIF (r.state",
        closing.test_a_settlement_books_the_real_cost,
    ),
    Mutant(
        "another usage accepted",
        "AND r.usage <> s.usage",
        "AND false",
        closing.test_a_settlement_with_another_usage_conflicts,
    ),
    Mutant(
        "unknown usage refunded",
        "ledger_close(r, p_now, 'CHARGED', r.held, NULL, 'usage_unknown', p_tools);",
        "ledger_close(r, p_now, 'RELEASED', 0, NULL, 'usage_unknown', p_tools);",
        closing.test_an_unknown_usage_charges_the_hold,
    ),
    Mutant(
        "earmark settled",
        "ELSIF r.kind = 'EARMARK' OR r.state = 'RELEASED' THEN",
        "ELSIF r.state = 'RELEASED' THEN",
        closing.test_an_earmark_is_released_and_nothing_else,
    ),
    Mutant(
        "released hold settled",
        "ELSIF r.kind = 'EARMARK' OR r.state = 'RELEASED' THEN",
        "ELSIF r.kind = 'EARMARK' THEN",
        closing.test_a_release_gives_everything_back_once,
    ),
    Mutant(
        "charged hold released",
        "    ELSIF r.state <> 'HELD' THEN\n        closing",
        "    ELSIF r.state = 'SETTLED' THEN\n        closing",
        closing.test_a_charge_books_the_hold_once,
    ),
    Mutant(
        "overrun not journalled",
        "each.reserved, each.spent, each.overrun, p_now",
        "each.reserved, each.spent, 0, p_now",
        closing.test_more_than_the_hold_is_booked_as_overrun,
    ),
    Mutant(
        "gap in the journal",
        "SET journal_sequence = journal_sequence + 3 * cardinality(p_changes),",
        "SET journal_sequence = journal_sequence + 3 * cardinality(p_changes) + 1,",
        reserving.test_a_hold_is_the_bound_of_the_call,
    ),
    Mutant(
        "earmark charged at its expiry",
        "        IF r.kind = 'EARMARK' THEN\n            closed",
        "        IF false THEN\n            closed",
        expiry.test_due_holds_are_charged_and_earmarks_released,
    ),
    Mutant(
        "expired hold refunded",
        "ledger_close(r, p_now, 'EXPIRED', r.held, NULL, 'expired', NULL);",
        "ledger_close(r, p_now, 'RELEASED', 0, NULL, 'expired', NULL);",
        expiry.test_due_holds_are_charged_and_earmarks_released,
    ),
    Mutant(
        "earmark outlives its day",
        "least(p_now + n.life, today.day_ends_at)",
        "p_now + n.life",
        expiry.test_midnight_releases_an_earmark,
    ),
    Mutant(
        "due hold released",
        "        PERFORM ledger_expire_due(p_tenant, p_user, v_now);\n",
        "        NULL;\n",
        expiry.test_a_hold_that_is_due_expires_before_anything_else_is_done_with_it,
    ),
    Mutant(
        "expiry waits for one account",
        "FOR NO KEY UPDATE OF accounts SKIP LOCKED",
        "FOR NO KEY UPDATE OF accounts",
        expiry.test_an_account_that_somebody_works_on_is_left_for_the_next_look,
    ),
    Mutant(
        "day not checked under the lock",
        "rolled := at < today.day_starts_at OR at >= today.day_ends_at",
        "rolled := false",
        midnight.test_an_advance_over_midnight_settles_in_the_old_day_and_holds_in_the_new,
    ),
    Mutant(
        "price not checked under the lock",
        "OR coalesce(at >= n.price_until, false)",
        "",
        midnight.test_a_call_is_priced_by_the_time_of_its_start,
    ),
    Mutant(
        "open holds shared out",
        'greatest("limit" - spent - reserved, 0) INTO STRICT v_left',
        'greatest("limit" - spent, 0) INTO STRICT v_left',
        midnight.test_a_day_gets_an_equal_share_of_what_is_left_at_its_first_use,
    ),
    Mutant(
        "call held without its earmark",
        "    IF v_free < n.min_held THEN",
        "    IF v_free + v_kept < n.min_held THEN",
        pairs.test_where_only_the_call_would_fit_nothing_is_held,
    ),
    Mutant(
        "earmark not kept free of the call",
        "least(CASE n.kind WHEN 'CALL' THEN a.allowance ELSE a.hard_limit END, a.hard_limit - v_kept)",
        "CASE n.kind WHEN 'CALL' THEN a.allowance ELSE a.hard_limit END",
        pairs.test_where_only_the_call_would_fit_nothing_is_held,
    ),
    Mutant(
        "pair forgets its earmark",
        "    IF e.k IS NOT NULL THEN\n        step",
        "    IF false THEN\n        step",
        pairs.test_a_call_and_its_earmark_are_held_together,
    ),
    Mutant(
        "another earmark accepted",
        "IF r.earmark_k IS DISTINCT FROM e.k OR",
        "IF",
        pairs.test_a_repetition_gets_both_first_holds,
    ),
    Mutant(
        "outgrown earmark kept beside the new",
        "    IF r.k IS NOT NULL THEN\n        step",
        "    IF false THEN\n        step",
        pairs.test_an_outgrown_earmark_is_replaced_in_the_commit_that_advances,
    ),
    Mutant(
        "earmark given back before it is replaced",
        "        v_free := v_free + coalesce(r.held, 0);\n    END IF;\n",
        "        v_free := v_free + coalesce(r.held, 0);\n    END IF;\n"
        "    PERFORM ledger_end(p_tenant, b.user_id, p_build, p_epoch, p_epoch, p_replaces, 'RELEASED', 'replaced');\n",
        pairs.test_an_earmark_that_cannot_be_replaced_is_kept,
    ),
    Mutant(
        "call replaced",
        "           AND kind = 'EARMARK' AND state = 'HELD' AND day",
        "           AND state = 'HELD' AND day",
        pairs.test_only_an_open_earmark_is_replaced,
    ),
    Mutant(
        "closed earmark replaced",
        "           AND kind = 'EARMARK' AND state = 'HELD' AND day",
        "           AND kind = 'EARMARK' AND day",
        pairs.test_only_an_open_earmark_is_replaced,
    ),
    Mutant(
        "settlement not seen by the hold of its turn",
        "            allowance := ledger_after(allowance, v_changes[1]);",
        "            NULL;",
        pairs.test_an_outgrown_earmark_is_replaced_in_the_commit_that_advances,
    ),
    Mutant(
        "settlement of another day booked today",
        "            AND (settled.cycle_period, settled.day_period) = (today.cycle_period, today.day_period) THEN",
        "            THEN",
        midnight.test_an_advance_of_a_call_of_yesterday_books_it_yesterday,
    ),
    Mutant(
        "denial forgets the settlement of its turn",
        "        PERFORM ledger_book(p_tenant, b.user_id, p_build, today.cycle_period, today.day_period, "
        "p_now, changes);\n",
        "",
        pairs.test_a_denied_advance_settles_all_the_same,
    ),
    Mutant(
        "settled twice in one commit",
        "ELSIF r.state = 'SETTLED' OR (r.state",
        "ELSIF (r.state",
        shared.test_copies_in_one_commit_count_once,
    ),
    Mutant(
        "accounts locked in the order of the calls",
        "ORDER BY tenant_id, user_id, nth",
        "ORDER BY nth",
        shared.test_accounts_are_locked_in_the_order_of_their_names,
    ),
    Mutant(
        "answers numbered as they are found",
        "SELECT c.nth, turn.*",
        "SELECT row_number() OVER (), turn.*",
        shared.test_each_gets_its_own_answer,
    ),
    Mutant(
        "hard stop beyond the cycle",
        "least(v_allowance * 110 / 100, v_left)",
        "v_allowance * 110 / 100",
        reserving.test_the_last_day_of_a_cycle_ends_with_the_cycle,
    ),
]
FOUND_BY_HISTORIES = {
    "charge told as growth",
    "day not checked under the lock",
    "fence never rises",
    "late settlement only lowers",
    "outgrown earmark kept beside the new",
    "release not told",
}


def planted(mutant: Mutant) -> str:
    """The ledger with the bug."""
    assert LEDGER.count(mutant.old) == 1, f"{mutant.bug}: the SQL does not hold this text once"
    return LEDGER.replace(mutant.old, mutant.new)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.bug.replace(" ", "-"))
async def test_a_planted_bug_is_caught(mutant: Mutant, migrated_database: MigratedDatabase) -> None:
    assert await is_caught(mutant, migrated_database), f"{mutant.caught_by} passes with the bug: {mutant.bug}"


async def is_caught(mutant: Mutant, migrated_database: MigratedDatabase) -> bool:
    """Whether the test fails with the bug; a bug that needs a race is given a few of them, each on a fresh ledger."""
    for _ in range(RACES):
        async with open_books(migrated_database("taor_budget")) as books:
            await books.pool.execute(planted(mutant))
            if await fails(mutant.caught_by, books):
                return True
    return False


async def fails(test: Test, books: Books) -> bool:
    """Whether the test, or the audit that follows it as in its fixture, finds something wrong."""
    try:
        await test(books)
        return bool(await audit(books.pool, TENANT, PRICES))
    except CAUGHT:
        return True


@pytest.mark.parametrize(
    "mutant",
    [each for each in MUTANTS if each.bug in FOUND_BY_HISTORIES],
    ids=lambda mutant: mutant.bug.replace(" ", "-"),
)
def test_random_histories_catch_it_too(mutant: Mutant, migrated_database: MigratedDatabase) -> None:
    with pytest.raises((*CAUGHT, ExceptionGroup)):
        run_histories(migrated_database("taor_budget"), HISTORIES, planted(mutant))
