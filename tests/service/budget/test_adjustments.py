"""Top-ups and changes of plan over the wire: they count at once, once, and stand in the journal."""

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import grpc
import pytest
from taor.budget.v1 import budget_pb2 as pb

from tests.service.budget.conftest import Bench
from tests.service.budget.test_calls import refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable

DOLLAR = 1_000_000


async def allowance(bench: Bench) -> pb.Allowance:
    """What ada may spend now."""
    return (await bench.stub.GetAllowance(pb.GetAllowanceRequest(user_id="ada"))).allowance


def top_up(
    bench: Bench, microdollars: int, request_id: str = "top-up", user_id: str = "ada"
) -> "Awaitable[pb.TopUpResponse]":
    """Add money."""
    return bench.stub.TopUp(pb.TopUpRequest(user_id=user_id, microdollars=microdollars, request_id=request_id))


def change_plan(bench: Bench, tier: str, request_id: str = "plan") -> "Awaitable[pb.ChangePlanResponse]":
    """Put ada on another plan."""
    return bench.stub.ChangePlan(pb.ChangePlanRequest(user_id="ada", tier=tier, request_id=request_id))


async def test_a_top_up_can_be_spent_at_once(bench: Bench) -> None:
    await bench.admit()
    await bench.attach()
    before = await allowance(bench)
    too_much = {"prompt_tokens": before.limit_microdollars, "min_output_tokens": 1, "max_output_tokens": 1}
    denied = (await bench.reserve(0, **too_much)).denial
    assert denied.cause == pb.Denial.LIMIT
    topped_up = await top_up(bench, 9 * DOLLAR)
    after = topped_up.allowance
    assert after.limit_microdollars == before.limit_microdollars + 9 * DOLLAR
    assert after.hard_limit_microdollars == after.limit_microdollars * 11 // 10
    assert after.cycle_remaining_microdollars == before.cycle_remaining_microdollars + 9 * DOLLAR
    assert after.account_version > denied.account_version
    assert (await bench.reserve(1, **too_much)).HasField("grant")


async def test_a_request_counts_once_however_often_it_comes(bench: Bench) -> None:
    await bench.admit()
    before = await allowance(bench)
    answers = await asyncio.gather(*(top_up(bench, DOLLAR) for _ in range(8)))
    assert len({answer.adjustment.SerializeToString(deterministic=True) for answer in answers}) == 1
    await bench.shift_clock(timedelta(days=40))
    assert (await top_up(bench, DOLLAR)).adjustment == answers[0].adjustment
    assert (await allowance(bench)).cycle_remaining_microdollars == before.cycle_remaining_microdollars


@pytest.mark.parametrize("other", ["money", "user", "kind"])
async def test_an_id_stands_for_one_request(bench: Bench, other: str) -> None:
    await bench.admit()
    await bench.stub.CreateAccount(pb.CreateAccountRequest(user_id="bob", tier="partner"))
    await top_up(bench, DOLLAR)
    again: Awaitable[object]
    match other:
        case "money":
            again = top_up(bench, 2 * DOLLAR)
        case "user":
            again = top_up(bench, DOLLAR, user_id="bob")
        case _:
            again = change_plan(bench, "partner", "top-up")
    assert await refusal(again) == (grpc.StatusCode.ALREADY_EXISTS, "ID_CONFLICT")


@pytest.mark.parametrize("microdollars", [0, -1, 10_000 * DOLLAR + 1])
async def test_a_top_up_has_bounds(bench: Bench, microdollars: int) -> None:
    await bench.admit()
    assert await refusal(top_up(bench, microdollars)) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")


async def test_nobody_is_adjusted_who_has_no_account_or_to_no_plan(bench: Bench) -> None:
    await bench.admit()
    assert await refusal(top_up(bench, DOLLAR, user_id="bob")) == (grpc.StatusCode.NOT_FOUND, "ACCOUNT_NOT_FOUND")
    assert await refusal(change_plan(bench, "gold")) == (grpc.StatusCode.INVALID_ARGUMENT, "TIER_UNKNOWN")


async def test_an_upgrade_counts_today_and_for_new_builds(bench: Bench) -> None:
    model = (await bench.admit()).model
    before = await allowance(bench)
    changed = await change_plan(bench, "partner")
    assert (changed.adjustment.tier_before, changed.adjustment.tier_after) == ("bootstrapper", "partner")
    assert changed.allowance.limit_microdollars == 4 * before.limit_microdollars
    assert changed.allowance.cycle_remaining_microdollars == 120 * DOLLAR
    assert changed.allowance.account_version > before.account_version
    again = await bench.admit()
    assert (again.model, again.tier) == (model, "partner")
    other = await bench.admit("00000000-0000-4000-8000-000000000001", tier="partner", model="claude-opus-5-5")
    assert other.model == "claude-opus-5-5"
    reopened = await bench.stub.CreateAccount(pb.CreateAccountRequest(user_id="ada", tier="bootstrapper"))
    assert reopened.tier == "partner"


async def test_a_downgrade_takes_nothing_that_is_spent_or_set_aside(bench: Bench) -> None:
    await bench.admit(tier="partner", model="claude-opus-5-5")
    await bench.attach()
    before = await allowance(bench)
    held = (await bench.reserve(0, prompt_tokens=before.limit_microdollars // 10)).grant.held_microdollars
    changed = await change_plan(bench, "bootstrapper")
    assert changed.allowance.limit_microdollars == max(held, changed.allowance.limit_microdollars)
    assert changed.allowance.limit_microdollars < before.limit_microdollars
    assert changed.allowance.account_version == before.account_version
    back = (await change_plan(bench, "partner", "back")).allowance
    assert back.cycle_remaining_microdollars == 120 * DOLLAR - held
    assert back.limit_microdollars == before.limit_microdollars


async def test_adjustments_stand_in_the_journal(bench: Bench) -> None:
    await bench.admit()
    await top_up(bench, DOLLAR)
    journal = await bench.stub.ListJournal(pb.ListJournalRequest(user_id="ada"))
    entries = [entry for entry in journal.entries if entry.request_id == "top-up"]
    assert [entry.limit_delta_microdollars for entry in entries] == [DOLLAR, DOLLAR * 11 // 10]
    assert [entry.period.partition("/")[0] for entry in entries] == ["cycle", "day"]
    assert [entry.allowance_delta_microdollars for entry in entries] == [0, DOLLAR]
