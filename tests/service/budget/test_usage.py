"""What was used, by build, model and day: the sums of what was booked, charged unknowns told apart."""

from datetime import timedelta

import grpc
import pytest
from taor.budget.v1 import budget_pb2 as pb

from tests.service.budget.conftest import Bench
from tests.service.budget.test_calls import refusal

USED = pb.Usage(input_tokens=900, output_tokens=50, cache_read_tokens=100)
OTHER = "00000000-0000-4000-8000-000000000001"


async def work(bench: Bench, *, calls: int, charged: int = 0) -> int:
    """Calls of the build that are settled, and then some that are charged; what they cost."""
    await bench.admit()
    await bench.attach()
    booked = 0
    for k in range(calls):
        await bench.reserve(k)
        booked += (await bench.settle(k, USED)).closing.booked_microdollars
    for k in range(calls, calls + charged):
        await bench.reserve(k)
        booked += (await bench.charge(k)).closing.booked_microdollars
    return booked


async def usage(bench: Bench, **fields: object) -> pb.GetUsageResponse:
    """A report."""
    return await bench.stub.GetUsage(pb.GetUsageRequest(**fields))  # type: ignore[arg-type] # fields by name


async def test_a_build_is_summed_with_what_was_charged_told_apart(bench: Bench) -> None:
    booked = await work(bench, calls=2, charged=1)
    (row,) = (await usage(bench, build_id=bench.build_id, group_by=pb.GetUsageRequest.MODEL)).rows
    assert (row.group, row.calls, row.charged_calls) == ("claude-sonnet-5-5", 2, 1)
    assert row.usage == pb.Usage(input_tokens=1800, output_tokens=100, cache_read_tokens=200)
    assert row.cost_microdollars == booked
    assert 0 < row.charged_microdollars < booked


async def test_a_user_is_summed_by_builds_the_dearest_first(bench: Bench) -> None:
    first = bench.build_id
    cheap = await work(bench, calls=1)
    bench.build_id = OTHER
    dear = await work(bench, calls=3)
    rows = (await usage(bench, user_id="ada", group_by=pb.GetUsageRequest.BUILD)).rows
    assert [(row.group, row.cost_microdollars) for row in rows] == [(OTHER, dear), (first, cheap)]


async def test_days_are_those_on_which_money_was_set_aside(bench: Bench) -> None:
    await work(bench, calls=1)
    await bench.reserve(1)
    await bench.shift_clock(timedelta(hours=24))
    await bench.settle(1, USED)
    await bench.reserve(2)
    await bench.settle(2, USED)
    rows = (await usage(bench, build_id=bench.build_id, group_by=pb.GetUsageRequest.DAY)).rows
    assert [row.calls + row.charged_calls for row in rows] == [1, 2]
    assert rows[0].group > rows[1].group


async def test_another_cycle_is_not_counted_for_a_user(bench: Bench) -> None:
    await work(bench, calls=1)
    await bench.shift_clock(timedelta(days=32))
    assert not (await usage(bench, user_id="ada", group_by=pb.GetUsageRequest.DAY)).rows
    assert len((await usage(bench, build_id=bench.build_id, group_by=pb.GetUsageRequest.DAY)).rows) == 1


async def test_a_build_with_a_few_calls_is_forecast(bench: Bench) -> None:
    await work(bench, calls=2)
    assert not (await usage(bench, build_id=bench.build_id, group_by=pb.GetUsageRequest.DAY)).HasField("forecast")
    for k in (2, 3):
        await bench.reserve(k)
        booked = (await bench.settle(k, USED)).closing.booked_microdollars
    forecast = (await usage(bench, build_id=bench.build_id, group_by=pb.GetUsageRequest.DAY)).forecast
    allowance = (await bench.stub.GetAllowance(pb.GetAllowanceRequest(user_id="ada"))).allowance
    assert forecast.p50_call_microdollars == booked
    assert forecast.p50_calls_left == (allowance.limit_microdollars - allowance.spent_microdollars) // booked
    assert forecast.HasField("p50_sleep_time")


async def test_the_end_is_forecast_by_builds_that_are_finished(bench: Bench) -> None:
    booked = await work(bench, calls=3)
    report = {"build_id": bench.build_id, "group_by": pb.GetUsageRequest.DAY}
    assert not (await usage(bench, **report, finished_build_calls=[9, 9, 3])).forecast.HasField("p50_finish")
    forecast = (await usage(bench, **report, finished_build_calls=[4, 5, 13, 2])).forecast
    assert forecast.p50_finish.microdollars == 2 * booked // 3
    assert forecast.p90_finish.microdollars == 10 * booked // 3
    assert forecast.p50_finish.time.ToDatetime() <= forecast.p90_finish.time.ToDatetime()


@pytest.mark.parametrize(
    "fields",
    [
        {"user_id": "ada"},
        {"group_by": 1},
        {"user_id": "ada", "build_id": OTHER, "group_by": 2},
        {"build_id": OTHER, "group_by": 1},
    ],
)
async def test_a_report_of_nothing_is_refused(bench: Bench, fields: dict[str, object]) -> None:
    assert (await refusal(usage(bench, **fields)))[0] is grpc.StatusCode.INVALID_ARGUMENT
