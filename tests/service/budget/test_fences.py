"""An older epoch neither reserves nor gives back; the truth is welcome from any."""

import pytest

from taor_budget.errors import StaleEpoch
from taor_budget.pricing import Usage
from taor_budget.reservations import Cause, Denial, Rid, Settlement, State
from tests.service.budget.books import Books, need

USAGE = Usage(100, 20)


async def test_a_take_over_is_told_what_is_undecided(books: Books) -> None:
    build = await books.build()
    for k in range(4):
        await books.hold(build, k, least=1, most=1)
    await books.settle(build, 1, USAGE)
    await books.release(build, 2)
    undecided = await books.ledger.attach(build, 2, "another")
    assert [(each.rid.k, each.state) for each in undecided] == [(0, State.HELD), (3, State.HELD)]


async def test_an_epoch_belongs_to_one_owner(books: Books) -> None:
    build = await books.build()
    await books.ledger.attach(build, 3, "me")
    await books.ledger.attach(build, 3, "me")
    for epoch, owner in ((3, "another"), (2, "me")):
        with pytest.raises(StaleEpoch):
            await books.ledger.attach(build, epoch, owner)


@pytest.mark.parametrize("epoch", [1, 3])
async def test_only_the_attached_epoch_reserves_releases_and_charges(books: Books, epoch: int) -> None:
    build = await books.build()
    await books.hold(build, 0)
    await books.ledger.attach(build, 2, "another")
    rid = Rid(build.build_id, 1, 0)
    with pytest.raises(StaleEpoch):
        await books.reserve(build, 1, epoch=epoch)
    with pytest.raises(StaleEpoch):
        await books.ledger.release(build, epoch, rid, "never_sent")
    with pytest.raises(StaleEpoch):
        await books.ledger.charge(build, epoch, rid, "cut_stream")
    assert await books.state(build, 0) is State.HELD


async def test_a_stale_release_does_not_count_as_shown(books: Books) -> None:
    build = await books.build()
    with pytest.raises(StaleEpoch):
        await books.ledger.release(build, 2, Rid(build.build_id, 2, 9), "never_sent")
    await books.hold(build, 0)


async def test_a_stale_advance_settles_and_reserves_nothing(books: Books) -> None:
    build = await books.build()
    await books.hold(build, 0)
    await books.ledger.attach(build, 2, "another")
    turn = await books.ledger.advance(build, 1, Settlement(Rid(build.build_id, 1, 0), USAGE), need(build, 1))
    assert turn.closing is not None
    assert (turn.closing.state, turn.closing.booked_microdollars) == (State.SETTLED, 200)
    assert isinstance(turn.outcome, Denial)
    assert turn.outcome.cause is Cause.STALE
    assert turn.allowance.reserved_microdollars == 0


async def test_an_older_epoch_may_settle(books: Books) -> None:
    build = await books.build()
    await books.hold(build, 0)
    await books.ledger.attach(build, 2, "another")
    assert (await books.settle(build, 0, USAGE)).state is State.SETTLED


async def test_the_new_epoch_closes_the_holds_of_the_old(books: Books) -> None:
    build = await books.build()
    await books.hold(build, 0)
    await books.hold(build, 1)
    await books.ledger.attach(build, 2, "another")
    assert (await books.ledger.release(build, 2, Rid(build.build_id, 1, 0), "never_sent")).state is State.RELEASED
    assert (await books.ledger.charge(build, 2, Rid(build.build_id, 1, 1), "cut_stream")).state is State.CHARGED
    await books.hold(build, 0, epoch=2)


async def test_builds_have_fences_of_their_own(books: Books) -> None:
    build, sibling = await books.build(), await books.build()
    await books.ledger.attach(build, 9, "another")
    await books.hold(sibling, 0)
