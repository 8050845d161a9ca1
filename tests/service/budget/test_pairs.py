"""A call and the earmark for the hand-over after it: both in one commit, or neither."""

import pytest

from taor_budget.errors import IdConflict, StaleEpoch
from taor_budget.pricing import Usage
from taor_budget.reservations import Cause, Denial, Grant, Kind, Need, Rid, Settlement, State, Turn
from taor_budget.store.accounts import Binding
from tests.service.budget.books import MIDNIGHT, Books, need

CALL_AND_EARMARK = 150 + 150  # what the two need at the least


def earmark(build: Binding, k: int, *, prompt: int = 100, most: int = 100) -> Need:
    """An earmark of between 150 and 600 microdollars."""
    return need(build, k, kind=Kind.EARMARK, prompt=prompt, most=most)


def granted(turn: Turn) -> tuple[int, int]:
    """What a turn that must be granted holds for the call and for its earmark."""
    assert isinstance(turn.outcome, Grant)
    assert turn.outcome.earmark is not None
    return turn.outcome.held_microdollars, turn.outcome.earmark.held_microdollars


def denied(turn: Turn) -> Denial:
    """The denial of a turn that must be denied."""
    assert isinstance(turn.outcome, Denial)
    return turn.outcome


async def test_a_call_and_its_earmark_are_held_together(books: Books) -> None:
    build = await books.build()
    turn = await books.reserve(build, 0, earmark=earmark(build, 1, most=50))
    assert granted(turn) == (600, 350)
    assert turn.allowance.reserved_microdollars == 950
    assert (await books.ledger.standing(build)).reserved_microdollars == 950


async def test_where_only_the_call_would_fit_nothing_is_held(books: Books) -> None:
    build, sibling = await books.build(), await books.build()
    await books.hold(sibling, 0, most=350)  # leaves 150 of the allowance and 350 of the hard stop
    denial = denied(await books.reserve(build, 0, earmark=earmark(build, 1, prompt=160)))
    assert (denial.cause, denial.needed_microdollars, denial.free_microdollars) == (Cause.HOLDS, 360, 350)
    assert (await books.ledger.standing(build)).reserved_microdollars == 1850
    await books.hold(build, 2)


async def test_the_earmark_may_lie_above_the_allowance_and_the_call_leaves_it_room(books: Books) -> None:
    build = await books.build()
    await books.hold(build, 0, most=350)
    assert granted(await books.reserve(build, 1, earmark=earmark(build, 2))) == (150, 200)
    assert (await books.ledger.standing(build)).reserved_microdollars == 1850 + 350


async def test_the_limit_denies_both(books: Books) -> None:
    build = await books.build()
    await books.hold(build, 0, most=380)
    await books.settle(build, 0, Usage(0, 390))
    denial = denied(await books.reserve(build, 1, earmark=earmark(build, 2)))
    assert (denial.cause, denial.needed_microdollars, denial.free_microdollars) == (Cause.LIMIT, CALL_AND_EARMARK, 200)
    assert denial.refresh_at == MIDNIGHT


async def test_a_repetition_gets_both_first_holds(books: Books) -> None:
    build = await books.build()
    first = granted(await books.reserve(build, 0, earmark=earmark(build, 1)))
    assert granted(await books.reserve(build, 0, earmark=earmark(build, 1))) == first
    assert (await books.ledger.standing(build)).reserved_microdollars == sum(first)
    for changed in (None, earmark(build, 1, most=99), earmark(build, 2)):
        with pytest.raises(IdConflict):
            await books.reserve(build, 0, earmark=changed)


async def test_a_repetition_tells_no_earmark_that_is_closed(books: Books) -> None:
    build = await books.build()
    await books.reserve(build, 0, earmark=earmark(build, 1))
    await books.release(build, 1)
    again = await books.reserve(build, 0, earmark=earmark(build, 1))
    assert isinstance(again.outcome, Grant)
    assert again.outcome.earmark is None


async def test_a_denied_pair_stays_denied_and_its_delayed_copy_holds_nothing(books: Books) -> None:
    build, sibling = await books.build(), await books.build()
    await books.hold(sibling, 0, most=380)
    first = denied(await books.reserve(build, 0, earmark=earmark(build, 1)))
    await books.release(sibling, 0)
    again = denied(await books.reserve(build, 0, earmark=earmark(build, 1)))
    assert (again.cause, again.account_version) == (first.cause, first.account_version)
    assert again.needed_microdollars == CALL_AND_EARMARK


async def test_an_outgrown_earmark_is_replaced_in_the_commit_that_advances(books: Books) -> None:
    build = await books.build()
    await books.reserve(build, 0, earmark=earmark(build, 1, most=50))
    settlement = Settlement(Rid(build.build_id, 1, 0), Usage(100, 20))
    wanted = need(build, 2, most=50, earmark=earmark(build, 3, most=60), replaces=1)
    turn = await books.ledger.advance(build, 1, settlement, wanted)
    assert granted(turn) == (350, 400)
    assert [await books.state(build, k) for k in range(4)] == [
        State.SETTLED,
        State.RELEASED,
        State.HELD,
        State.HELD,
    ]
    assert (turn.allowance.spent_microdollars, turn.allowance.reserved_microdollars) == (200, 750)


async def test_an_earmark_that_cannot_be_replaced_is_kept(books: Books) -> None:
    build, sibling = await books.build(), await books.build()
    await books.hold(sibling, 0, most=300)
    await books.reserve(build, 0, most=10, earmark=earmark(build, 1, most=10))
    wanted = need(build, 2, least=50, most=50, earmark=earmark(build, 3, most=60), replaces=1)
    assert denied(await books.ledger.reserve(build, 1, wanted)).cause is Cause.HOLDS
    assert await books.state(build, 1) is State.HELD


async def test_a_denied_advance_settles_all_the_same(books: Books) -> None:
    build = await books.build()
    await books.hold(build, 0, most=380)
    settlement = Settlement(Rid(build.build_id, 1, 0), Usage(0, 390))
    turn = await books.ledger.advance(build, 1, settlement, need(build, 1))
    assert turn.closing is not None
    assert (denied(turn).cause, turn.closing.state) == (Cause.LIMIT, State.SETTLED)
    assert denied(turn).account_version == turn.allowance.account_version == await books.version()
    assert (await books.ledger.standing(build)).spent_microdollars == 1950


async def test_the_earmark_becomes_the_hold_of_the_hand_over(books: Books) -> None:
    """Its money is never free in between, so nobody else can take it."""
    build = await books.build()
    await books.hold(build, 0, most=380)
    await books.hold(build, 1, kind=Kind.EARMARK)
    assert denied(await books.reserve(build, 2, kind=Kind.HANDOVER)).cause is Cause.HOLDS
    handed_over = await books.hold(build, 3, kind=Kind.HANDOVER, replaces=1)
    assert handed_over.held_microdollars == 200
    assert await books.state(build, 1) is State.RELEASED


async def test_only_an_open_earmark_is_replaced(books: Books) -> None:
    build = await books.build()
    await books.hold(build, 0)
    await books.hold(build, 1, kind=Kind.EARMARK)
    await books.release(build, 1)
    await books.hold(build, 2, least=260, most=260, replaces=0)
    assert await books.state(build, 0) is State.HELD
    assert denied(await books.reserve(build, 3, replaces=1)).free_microdollars == 0


async def test_a_stale_pair_replaces_nothing(books: Books) -> None:
    build = await books.build()
    await books.reserve(build, 0, earmark=earmark(build, 1))
    await books.ledger.attach(build, 2, "next")
    with pytest.raises(StaleEpoch):
        await books.reserve(build, 2, earmark=earmark(build, 3), replaces=1)
    assert await books.state(build, 1) is State.HELD
