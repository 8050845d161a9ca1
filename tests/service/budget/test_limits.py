"""What top-ups and plans come to, in numbers that can be followed by hand: 60,000 a cycle of 30 days, 2,000 a day."""

from datetime import timedelta

from taor_budget.adjustments import Adjustments
from taor_budget.reservations import Allowance
from taor_budget.store.adjustments import AdjustmentStore
from tests.service.budget.adjusting import OFFERS, TIERS
from tests.service.budget.books import MIDNIGHT, NOON, TENANT, Books


def adjustments(books: Books) -> Adjustments:
    """What people change accounts with."""
    return Adjustments(AdjustmentStore(books.pool), books.accounts, OFFERS)


async def top_up(books: Books, microdollars: int) -> Allowance:
    """Add money."""
    return (await adjustments(books).top_up(TENANT, "user", microdollars, "top-up"))[1]


async def change_plan(books: Books, tier: str) -> Allowance:
    """Change the plan."""
    return (await adjustments(books).change_plan(TENANT, "user", tier, f"to {tier}"))[1]


async def test_a_downgrade_leaves_what_is_set_aside(books: Books) -> None:
    await books.hold(await books.build(), 0)
    left = await change_plan(books, "tiny")
    assert left.reserved_microdollars == 600
    assert (left.allowance_microdollars, left.hard_limit_microdollars) == (600, 600)
    assert left.cycle_left_microdollars == 0


async def test_a_top_up_after_it_ends_with_the_cycle(books: Books) -> None:
    await books.hold(await books.build(), 0)
    await change_plan(books, "tiny")
    added = await top_up(books, 1_000)
    assert (added.allowance_microdollars, added.hard_limit_microdollars) == (1_600, 1_600)
    assert added.cycle_left_microdollars == 1_000


async def test_what_was_topped_up_yesterday_is_shared_by_the_days_left(books: Books) -> None:
    await books.build()
    await top_up(books, 3_000)
    await books.set_clock(MIDNIGHT + timedelta(hours=1))
    upgraded = await change_plan(books, "large")
    assert upgraded.allowance_microdollars == (TIERS["large"] + 3_000) // 29


async def test_the_next_cycle_is_on_the_new_plan_without_the_top_up(books: Books) -> None:
    await books.build()
    await top_up(books, 3_000)
    await change_plan(books, "large")
    await books.set_clock(NOON + timedelta(days=31))
    renewed = await books.ledger.allowance(TENANT, "user")
    assert renewed.cycle_left_microdollars == TIERS["large"]


async def test_there_and_back_is_where_it_was(books: Books) -> None:
    build = await books.build()
    await books.hold(build, 0)
    before = await books.ledger.allowance(TENANT, "user")
    for tier in ("tiny", "large", "small"):
        await change_plan(books, tier)
    after = await books.ledger.allowance(TENANT, "user")
    assert after.cycle_left_microdollars == before.cycle_left_microdollars
    assert after.allowance_microdollars == before.allowance_microdollars
