"""Money in days and billing cycles: a hold stays in the day of its birth, and each day gets its share."""

from datetime import timedelta

from taor_budget.pricing import Usage
from taor_budget.reservations import Grant, Kind, Rid, Settlement
from tests.service.budget.books import CYCLE_MICRODOLLARS, MIDNIGHT, NOON, PRICE_CHANGE, TENANT, Books, need


async def spent_by_period(books: Books) -> dict[str, int]:
    """What is spent in each day and cycle."""
    rows = await books.pool.fetch("SELECT period, spent FROM periods WHERE starts_at IS NOT NULL ORDER BY period")
    return {row["period"]: row["spent"] for row in rows}


async def test_a_hold_is_settled_in_the_day_of_its_birth(books: Books) -> None:
    build = await books.build()
    await books.set_clock(MIDNIGHT - timedelta(minutes=1))
    await books.hold(build, 0)
    await books.set_clock(MIDNIGHT)
    await books.settle(build, 0, Usage(100, 20))
    await books.ledger.allowance(TENANT, "user")
    assert await spent_by_period(books) == {"cycle/2026-11-25": 200, "day/2026-11-25": 200, "day/2026-11-26": 0}


async def test_a_day_gets_an_equal_share_of_what_is_left_at_its_first_use(books: Books) -> None:
    build = await books.build()
    await books.hold(build, 0)
    await books.settle(build, 0, Usage(100, 20))
    await books.set_clock(MIDNIGHT - timedelta(minutes=1))
    await books.hold(build, 1)
    await books.set_clock(MIDNIGHT)
    left = CYCLE_MICRODOLLARS - 200 - 600
    allowance = await books.ledger.allowance(TENANT, "user")
    assert allowance.allowance_microdollars == left // 29
    assert allowance.hard_limit_microdollars == left // 29 * 110 // 100
    assert allowance.cycle_left_microdollars == left
    await books.settle(build, 1, Usage(100, 0))
    assert (await books.ledger.allowance(TENANT, "user")).allowance_microdollars == left // 29


async def test_an_advance_over_midnight_settles_in_the_old_day_and_holds_in_the_new(books: Books) -> None:
    build = await books.build()
    await books.set_clock(MIDNIGHT - timedelta(minutes=1))
    await books.hold(build, 0, most=360)
    await books.set_clock(MIDNIGHT)
    turn = await books.ledger.advance(build, 1, Settlement(Rid(build.build_id, 1, 0), Usage(100, 20)), need(build, 1))
    assert turn.closing is not None
    assert turn.closing.changed
    assert isinstance(turn.outcome, Grant)
    assert (turn.allowance.spent_microdollars, turn.allowance.reserved_microdollars) == (0, 600)
    assert await spent_by_period(books) == {"cycle/2026-11-25": 200, "day/2026-11-25": 200, "day/2026-11-26": 0}


async def test_an_advance_of_a_call_of_yesterday_books_it_yesterday(books: Books) -> None:
    """The service has seen the new day already, so one commit books in both days."""
    build = await books.build()
    await books.set_clock(MIDNIGHT - timedelta(minutes=1))
    await books.hold(build, 0)
    await books.set_clock(MIDNIGHT)
    await books.ledger.allowance(TENANT, "user")
    turn = await books.ledger.advance(build, 1, Settlement(Rid(build.build_id, 1, 0), Usage(100, 20)), need(build, 1))
    assert isinstance(turn.outcome, Grant)
    assert (turn.allowance.spent_microdollars, turn.allowance.reserved_microdollars) == (0, 600)
    assert await spent_by_period(books) == {"cycle/2026-11-25": 200, "day/2026-11-25": 200, "day/2026-11-26": 0}


async def test_a_call_is_priced_by_the_time_of_its_start(books: Books) -> None:
    """The price doubles in the middle of a day; a hold taken before that is settled at the old price."""
    build = await books.build()
    await books.set_clock(PRICE_CHANGE - timedelta(minutes=1))
    before = await books.hold(build, 0)
    await books.set_clock(PRICE_CHANGE)
    after = await books.hold(build, 1)
    assert after.held_microdollars == 2 * before.held_microdollars
    assert before.price_id != after.price_id
    assert (await books.settle(build, 0, Usage(100, 20))).booked_microdollars == 200
    assert (await books.settle(build, 1, Usage(100, 20))).booked_microdollars == 400


async def test_a_repeated_reserve_after_a_price_change_keeps_its_price(books: Books) -> None:
    build = await books.build()
    await books.set_clock(PRICE_CHANGE - timedelta(minutes=1))
    first = await books.hold(build, 0)
    await books.set_clock(PRICE_CHANGE)
    again = await books.hold(build, 0)
    assert (again.price_id, again.held_microdollars) == (first.price_id, first.held_microdollars)
    assert again.rates == first.rates


async def test_a_cycle_begins_with_its_whole_allowance(books: Books) -> None:
    build = await books.build()
    await books.hold(build, 0, most=360)
    await books.charge(build, 0)
    await books.set_clock(NOON + timedelta(days=30))
    allowance = await books.ledger.allowance(TENANT, "user")
    assert allowance.cycle_left_microdollars == CYCLE_MICRODOLLARS
    assert allowance.cycle_ends_at == MIDNIGHT + timedelta(days=29 + 31)


async def test_what_a_call_of_yesterday_cost_too_much_is_missing_today(books: Books) -> None:
    """On the last day of the cycle the day has all that is left; then less than that is left."""
    build = await books.build()
    last_day = MIDNIGHT + timedelta(days=28)
    await books.set_clock(last_day - timedelta(minutes=1))
    await books.hold(build, 0, kind=Kind.HANDOVER, least=1, most=50)
    await books.set_clock(last_day)
    left = (await books.ledger.allowance(TENANT, "user")).allowance_microdollars
    await books.settle(build, 0, Usage(0, left // 10))
    turn = await books.reserve(build, 1, least=1, most=left)
    assert isinstance(turn.outcome, Grant)
    assert turn.outcome.held_microdollars < left // 10
    assert turn.allowance.cycle_left_microdollars == 0


async def test_cycles_renew_on_the_local_day_of_the_opening(books: Books) -> None:
    """At noon in Greenwich it is tomorrow on Kiritimati."""
    account = await books.accounts.open(TENANT, "far away", "small", "Pacific/Kiritimati")
    assert account.anchor_day == NOON.day + 1
    allowance = await books.ledger.allowance(TENANT, "far away")
    assert allowance.refresh_at == NOON + timedelta(hours=22)
    assert allowance.cycle_ends_at == NOON + timedelta(days=29, hours=22)


async def test_a_clock_that_goes_back_reopens_no_day(books: Books) -> None:
    """The day of yesterday is still there; it is used again, not made anew."""
    build = await books.build()
    await books.hold(build, 0)
    await books.set_clock(MIDNIGHT)
    await books.hold(build, 1)
    await books.set_clock(NOON)
    assert (await books.ledger.allowance(TENANT, "user")).spent_microdollars == 600  # it expired meanwhile
