"""How a reservation is closed, once, and how a late truth corrects it."""

from datetime import timedelta

import pytest

from taor_budget.errors import IdConflict, ReservationClosed, ReservationNotFound
from taor_budget.pricing import Usage
from taor_budget.reservations import Closing, Kind, State
from tests.service.budget.books import Books

CHEAP = Usage(input_tokens=100, output_tokens=20)  # 200 microdollars
DEAR = Usage(input_tokens=100, output_tokens=140)  # 800 microdollars, of a hold of 600


async def test_a_settlement_books_the_real_cost(books: Books) -> None:
    build = await books.build()
    await books.hold(build, 0)
    assert await books.settle(build, 0, CHEAP) == Closing(State.SETTLED, 200, 0, changed=True)
    assert await books.settle(build, 0, CHEAP) == Closing(State.SETTLED, 200, 0, changed=False)


async def test_a_settlement_with_another_usage_conflicts(books: Books) -> None:
    build = await books.build()
    await books.hold(build, 0)
    await books.settle(build, 0, CHEAP)
    with pytest.raises(IdConflict):
        await books.settle(build, 0, DEAR)
    assert await books.settle(build, 0, None) == Closing(State.SETTLED, 200, 0, changed=False)


async def test_more_than_the_hold_is_booked_as_overrun(books: Books) -> None:
    build = await books.build()
    await books.hold(build, 0)
    assert await books.settle(build, 0, DEAR) == Closing(State.SETTLED, 800, 200, changed=True)


async def test_an_overrun_is_no_further_money(books: Books) -> None:
    """What was overrun counts as spent: it does not widen the limit for the next call."""
    build = await books.build()
    await books.hold(build, 0, most=360)
    await books.settle(build, 0, Usage(0, 500))
    allowance = await books.ledger.allowance(build.tenant_id, build.user_id)
    assert allowance.spent_microdollars == 2500
    with pytest.raises(AssertionError):
        await books.hold(build, 1, kind=Kind.HANDOVER)


async def test_an_unknown_usage_charges_the_hold(books: Books) -> None:
    build = await books.build()
    await books.hold(build, 0)
    assert await books.settle(build, 0, None) == Closing(State.CHARGED, 600, 0, changed=True)
    assert await books.settle(build, 0, None) == Closing(State.CHARGED, 600, 0, changed=False)


@pytest.mark.parametrize(("usage", "booked", "overrun"), [(CHEAP, 200, 0), (DEAR, 800, 200)])
@pytest.mark.parametrize("how", ["charged", "unknown", "expired"])
async def test_a_late_truth_corrects_a_charge_both_ways(
    books: Books, how: str, usage: Usage, booked: int, overrun: int
) -> None:
    build = await books.build()
    await books.hold(build, 0)
    match how:
        case "charged":
            await books.charge(build, 0)
        case "unknown":
            await books.settle(build, 0, None)
        case "expired":
            await books.pass_time(timedelta(minutes=31))
    assert await books.settle(build, 0, usage) == Closing(State.SETTLED, booked, overrun, changed=True)
    assert await books.settle(build, 0, usage) == Closing(State.SETTLED, booked, overrun, changed=False)
    allowance = await books.ledger.allowance(build.tenant_id, build.user_id)
    assert (allowance.spent_microdollars, allowance.reserved_microdollars) == (booked, 0)


async def test_a_release_gives_everything_back_once(books: Books) -> None:
    build = await books.build()
    await books.hold(build, 0)
    assert await books.release(build, 0) == Closing(State.RELEASED, 0, 0, changed=True)
    assert await books.release(build, 0) == Closing(State.RELEASED, 0, 0, changed=False)
    assert await books.charge(build, 0) == Closing(State.RELEASED, 0, 0, changed=False)
    with pytest.raises(ReservationClosed):
        await books.settle(build, 0, CHEAP)


async def test_a_charge_books_the_hold_once(books: Books) -> None:
    build = await books.build()
    await books.hold(build, 0)
    assert await books.charge(build, 0) == Closing(State.CHARGED, 600, 0, changed=True)
    assert await books.charge(build, 0) == Closing(State.CHARGED, 600, 0, changed=False)
    assert await books.release(build, 0) == Closing(State.CHARGED, 600, 0, changed=False)


async def test_a_settled_call_is_neither_released_nor_charged(books: Books) -> None:
    build = await books.build()
    await books.hold(build, 0)
    await books.settle(build, 0, CHEAP)
    assert await books.release(build, 0) == Closing(State.SETTLED, 200, 0, changed=False)
    assert await books.charge(build, 0) == Closing(State.SETTLED, 200, 0, changed=False)


async def test_an_earmark_is_released_and_nothing_else(books: Books) -> None:
    build = await books.build()
    await books.hold(build, 0, kind=Kind.EARMARK)
    with pytest.raises(ReservationClosed):
        await books.settle(build, 0, CHEAP)
    with pytest.raises(ReservationClosed):
        await books.charge(build, 0)
    assert await books.release(build, 0) == Closing(State.RELEASED, 0, 0, changed=True)


async def test_what_was_never_reserved_cannot_be_closed(books: Books) -> None:
    build = await books.build()
    for close in (books.settle(build, 0, CHEAP), books.release(build, 0), books.charge(build, 0)):
        with pytest.raises(ReservationNotFound):
            await close
