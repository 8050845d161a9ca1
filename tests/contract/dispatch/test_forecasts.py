"""A build that comes to rest tells in the event of it how it may go on."""

import datetime

import pytest
from taor.orchestrator.v1 import orchestrator_pb2 as pb

from taor_orchestrator import context, winddown
from taor_orchestrator.build import BuildState
from taor_orchestrator.history import Entry, EntryKind, History
from taor_orchestrator.money import Allowance, Forecast, Outlook
from taor_orchestrator.ports import Rest
from taor_orchestrator.store.events import EventStore
from taor_orchestrator.translate import wire_event
from tests.contract.dispatch.conftest import Bench
from tests.contract.dispatch.test_fences import claimed, row

SOON = datetime.datetime(2026, 11, 26, 9, 30, tzinfo=datetime.UTC)
FORECAST = Forecast(Outlook(10_000, SOON, 500_000, SOON), Outlook(20_000, None, 900_000, None))


async def rested(bench: Bench, forecast: Forecast | None) -> pb.Event.StateChanged:
    """The event of a rest as its watchers see it."""
    claim = await claimed(bench)
    rest = Rest(BuildState.SLEEPING, 3, 3600.0, forecast=forecast)
    assert await row(bench).rest(claim, rest, await row(bench).wake_generation(claim)) is not None
    stored = await EventStore(bench.pool).page(claim.tenant_id, claim.build_id, 0)
    return wire_event(stored[-1]).state_changed


async def test_a_rest_tells_how_the_build_may_go_on(bench: Bench) -> None:
    told = await rested(bench, FORECAST)
    assert (told.to, told.reason) == (pb.Build.SLEEPING, "no money for the next call")
    assert (told.p50.call_microdollars, told.p50.finish_microdollars) == (10_000, 500_000)
    assert told.p50.sleep_time.ToDatetime(datetime.UTC) == told.p50.finish_time.ToDatetime(datetime.UTC) == SOON
    assert told.p90.finish_microdollars == 900_000
    assert not told.p90.HasField("sleep_time")
    assert not told.p90.HasField("finish_time")


async def test_a_rest_without_a_forecast_tells_none(bench: Bench) -> None:
    told = await rested(bench, None)
    assert told.to == pb.Build.SLEEPING
    assert not told.HasField("p50")


async def test_an_allowance_at_its_end_is_told_once_with_the_forecast(bench: Bench) -> None:
    claim = await claimed(bench)
    allowance = Allowance(5_250_000, 5_250_000, 5_000_000, 5_000_000, SOON, 1)
    note = Entry(1, 1, claim.epoch, EntryKind.USER, context.note_body(winddown.note(allowance)))
    for _ in range(2):
        await row(bench).project(claim, History((note,)), 0, {1: FORECAST})
    stored = await EventStore(bench.pool).page(claim.tenant_id, claim.build_id, 0)
    [told] = [wire_event(each) for each in stored if each.log_sequence]
    assert told.allowance_low.limit_microdollars == 5_250_000
    assert told.allowance_low.refresh_time.ToDatetime(datetime.UTC) == SOON
    assert told.allowance_low.p50.finish_microdollars == 500_000
    assert told.allowance_low.p90.call_microdollars == 20_000


@pytest.mark.parametrize(("user_id", "turns"), [("user", [7, 5]), ("another", [])])
async def test_finished_builds_of_the_same_user_are_looked_at(bench: Bench, user_id: str, turns: list[int]) -> None:
    claim = await claimed(bench)
    done = "UPDATE builds SET state = $2, turns = $3, due_at = NULL, ended_at = taor_now() WHERE build_id = $1::uuid"
    for state, taken in (("SUCCEEDED", 5), ("FAILED", 6), ("SUCCEEDED", 7)):
        await bench.pool.execute(done, await bench.submit(user_id), state, taken)
    await bench.submit(user_id)
    assert list(await row(bench).finished_turns(claim)) == turns
