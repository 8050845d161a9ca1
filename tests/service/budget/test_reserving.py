"""What a Reserve is granted, and what it is denied for."""

from datetime import timedelta

import pytest

from taor_budget.errors import IdConflict, ReservationNotFound
from taor_budget.pricing import Usage
from taor_budget.reservations import Cause, Denial, Grant, Kind, Turn
from tests.service.budget.books import DAY_MICRODOLLARS, HARD_LIMIT_MICRODOLLARS, MIDNIGHT, Books


def denied(turn: Turn) -> Denial:
    """The denial of a turn that must be denied."""
    assert isinstance(turn.outcome, Denial)
    return turn.outcome


async def test_a_hold_is_the_bound_of_the_call(books: Books) -> None:
    build = await books.build()
    turn = await books.reserve(build, 0)
    assert isinstance(turn.outcome, Grant)
    assert (turn.outcome.held_microdollars, turn.outcome.max_output_tokens) == (600, 100)
    assert turn.allowance.allowance_microdollars == DAY_MICRODOLLARS
    assert turn.allowance.hard_limit_microdollars == HARD_LIMIT_MICRODOLLARS
    assert turn.allowance.reserved_microdollars == 600
    assert turn.allowance.refresh_at == MIDNIGHT


async def test_what_is_free_is_granted_when_it_is_enough(books: Books) -> None:
    build = await books.build()
    await books.hold(build, 0, most=300)
    grant = await books.hold(build, 1)
    assert (grant.held_microdollars, grant.max_output_tokens) == (400, 60)


async def test_holds_of_others_deny_until_they_close(books: Books) -> None:
    build, sibling = await books.build(), await books.build()
    await books.hold(sibling, 0, most=360)
    denial = denied(await books.reserve(build, 0))
    assert (denial.cause, denial.needed_microdollars, denial.free_microdollars) == (Cause.HOLDS, 150, 100)
    await books.release(sibling, 0)
    assert await books.version() > denial.account_version
    await books.hold(build, 1)


async def test_the_limit_denies_until_midnight(books: Books) -> None:
    build = await books.build()
    await books.hold(build, 0, most=380)
    await books.settle(build, 0, Usage(0, 380))
    denial = denied(await books.reserve(build, 1))
    assert (denial.cause, denial.free_microdollars) == (Cause.LIMIT, 100)
    assert denial.refresh_at == MIDNIGHT
    await books.set_clock(denial.refresh_at)
    await books.hold(build, 2)


@pytest.mark.parametrize("kind", [Kind.HANDOVER, Kind.EARMARK])
async def test_only_the_hand_over_may_use_what_lies_above_the_allowance(books: Books, kind: Kind) -> None:
    build = await books.build()
    await books.hold(build, 0, most=380)
    assert denied(await books.reserve(build, 1)).cause is Cause.HOLDS
    grant = await books.hold(build, 2, kind=kind)
    assert grant.held_microdollars == HARD_LIMIT_MICRODOLLARS - DAY_MICRODOLLARS
    assert denied(await books.reserve(build, 3, kind=kind)).cause is Cause.HOLDS


async def test_a_repeated_reserve_gets_its_first_hold(books: Books) -> None:
    build = await books.build()
    await books.hold(build, 0, most=350)
    first = await books.hold(build, 1)
    await books.release(build, 0)
    again = await books.hold(build, 1)
    assert (again.held_microdollars, again.max_output_tokens) == (first.held_microdollars, first.max_output_tokens)
    assert again.life_seconds <= first.life_seconds


async def test_a_repeated_reserve_with_other_arguments_conflicts(books: Books) -> None:
    build = await books.build()
    await books.hold(build, 0)
    for change in ({"needs": 1}, {"prompt": 101}, {"least": 11}, {"most": 99}, {"kind": Kind.EARMARK}):
        with pytest.raises(IdConflict):
            await books.reserve(build, 0, **change)


async def test_a_repeated_denial_stays_one_whatever_has_become_free(books: Books) -> None:
    """A delayed copy must not leave a hold behind a build that has gone to rest."""
    build, sibling = await books.build(), await books.build()
    await books.hold(sibling, 0, most=360)
    first = denied(await books.reserve(build, 0))
    await books.release(sibling, 0)
    again = denied(await books.reserve(build, 0))
    assert (again.cause, again.account_version) == (Cause.HOLDS, first.account_version)


async def test_a_delayed_copy_of_an_older_reserve_is_stale(books: Books) -> None:
    build = await books.build()
    await books.hold(build, 5)
    assert denied(await books.reserve(build, 4)).cause is Cause.STALE
    await books.release(build, 5)
    assert denied(await books.reserve(build, 5)).cause is Cause.STALE


async def test_a_reserve_that_its_release_overtook_is_stale(books: Books) -> None:
    build = await books.build()
    with pytest.raises(ReservationNotFound):
        await books.release(build, 3)
    assert denied(await books.reserve(build, 3)).cause is Cause.STALE
    await books.hold(build, 4)


async def test_every_growth_of_free_money_raises_the_version(books: Books) -> None:
    build = await books.build()
    before = await books.version()
    await books.hold(build, 0)
    await books.release(build, 0)
    assert await books.version() == before + 1
    await books.hold(build, 1)
    await books.settle(build, 1, Usage(100, 1))
    assert await books.version() == before + 2
    await books.hold(build, 2, kind=Kind.EARMARK)
    await books.pass_time(timedelta(minutes=31))
    assert await books.version() == before + 3
    await books.hold(build, 3)
    await books.charge(build, 3)
    await books.settle(build, 3, Usage(100, 1))
    assert await books.version() == before + 4


async def test_money_that_goes_leaves_the_version(books: Books) -> None:
    build = await books.build()
    before = await books.version()
    await books.hold(build, 0)
    await books.charge(build, 0)
    await books.hold(build, 1)
    await books.settle(build, 1, Usage(100, 100))
    assert await books.version() == before


async def test_accounts_do_not_share_money(books: Books) -> None:
    ada, bob = await books.build("ada"), await books.build("bob")
    await books.hold(ada, 0, most=380)
    await books.hold(bob, 0, most=380)


async def test_the_last_day_of_a_cycle_ends_with_the_cycle(books: Books) -> None:
    """All but nothing of the cycle is left, so its hard stop lies below 110 % of the allowance."""
    build = await books.build()
    await books.set_clock(MIDNIGHT + timedelta(days=28, hours=12))
    allowance = await books.ledger.allowance(build.tenant_id, build.user_id)
    assert allowance.allowance_microdollars == allowance.hard_limit_microdollars == allowance.cycle_left_microdollars
