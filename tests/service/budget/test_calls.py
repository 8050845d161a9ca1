"""The calls over the wire: what they refuse, with which status and reason, and what they list."""

import asyncio
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable
from datetime import timedelta

import grpc
import pytest
from taor.budget.v1 import budget_pb2 as pb
from taor.budget.v1 import errors_pb2
from taor.budget.v1.budget_pb2_grpc import BudgetServiceStub

from taor_chassis.boundary import error_info
from taor_chassis.client import open_channel
from tests.service.budget.conftest import TOKEN, Bench, running_bench
from tests.support.postgres import MigratedDatabase

USAGE = pb.Usage(input_tokens=900, output_tokens=50)


async def refusal(call: Awaitable[object]) -> tuple[grpc.StatusCode, str]:
    """The status and the reason of a call that must be refused; the reason stands in the contract."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    info = error_info(caught.value)
    assert info is not None
    assert info.reason in errors_pb2.ErrorReason.keys()  # noqa: SIM118 an enum wrapper is no mapping
    return caught.value.code(), info.reason


async def test_admission_is_idempotent_by_build(bench: Bench) -> None:
    first = await bench.admit(model="claude-haiku-5-5")
    assert await bench.admit(model="claude-haiku-5-5") == first
    assert first.model == "claude-haiku-5-5"
    assert first.max_output_tokens > 0
    conflict = (grpc.StatusCode.ALREADY_EXISTS, "ID_CONFLICT")
    assert await refusal(bench.admit(model="")) == conflict
    assert await refusal(bench.admit(model="claude-haiku-5-5", user_id="bob")) == conflict
    assert await refusal(bench.admit(model="claude-haiku-5-5", tier="partner")) == conflict


@pytest.mark.parametrize(
    ("fields", "status", "reason"),
    [
        ({"tier": "free"}, grpc.StatusCode.INVALID_ARGUMENT, "TIER_UNKNOWN"),
        ({"model": "claude-fable-5-2"}, grpc.StatusCode.FAILED_PRECONDITION, "MODEL_NOT_ALLOWED"),
        ({"user_id": ""}, grpc.StatusCode.INVALID_ARGUMENT, "FIELD_MISSING"),
        ({"user_id": "x" * 201}, grpc.StatusCode.INVALID_ARGUMENT, "FIELD_TOO_LARGE"),
        ({"build_id": "not-a-uuid"}, grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID"),
    ],
)
async def test_a_build_is_refused_with_what_to_do(
    bench: Bench, fields: dict[str, str], status: grpc.StatusCode, reason: str
) -> None:
    assert await refusal(bench.admit(**fields)) == (status, reason)


async def test_the_account_is_the_truth_about_the_tier(bench: Bench) -> None:
    await bench.admit()
    answer = await refusal(bench.admit(str(uuid.uuid4()), tier="partner"))
    assert answer == (grpc.StatusCode.FAILED_PRECONDITION, "PLAN_MISMATCH")


async def test_no_account_is_opened_unless_the_configuration_says_so(migrated_database: MigratedDatabase) -> None:
    async with running_bench(migrated_database("taor_budget"), create_accounts=False) as bench:
        not_found = (grpc.StatusCode.NOT_FOUND, "ACCOUNT_NOT_FOUND")
        assert await refusal(bench.admit()) == not_found
        assert await refusal(bench.stub.GetAllowance(pb.GetAllowanceRequest(user_id="ada"))) == not_found


async def test_an_account_is_opened_once(migrated_database: MigratedDatabase) -> None:
    async with running_bench(migrated_database("taor_budget"), create_accounts=False) as bench:
        request = pb.CreateAccountRequest(user_id="ada", tier="partner", time_zone="Europe/Berlin")
        opened = await bench.stub.CreateAccount(request)
        assert (opened.tier, opened.time_zone) == ("partner", "Europe/Berlin")
        assert await bench.stub.CreateAccount(request) == opened
        assert (await bench.admit(tier="partner")).tier == "partner"
        for change in ({"tier": "bootstrapper"}, {"time_zone": "UTC"}):
            other = pb.CreateAccountRequest(
                user_id="ada", **{"tier": "partner", "time_zone": "Europe/Berlin", **change}
            )
            assert await refusal(bench.stub.CreateAccount(other)) == (grpc.StatusCode.ALREADY_EXISTS, "ID_CONFLICT")
        request.time_zone = "Mars/Olympus"
        answer = await refusal(bench.stub.CreateAccount(request))
        assert answer == (grpc.StatusCode.INVALID_ARGUMENT, "TIME_ZONE_UNKNOWN")


async def test_an_unknown_build_is_refused(bench: Bench) -> None:
    assert await refusal(bench.attach()) == (grpc.StatusCode.NOT_FOUND, "BUILD_NOT_FOUND")
    assert await refusal(bench.reserve(0)) == (grpc.StatusCode.NOT_FOUND, "BUILD_NOT_FOUND")


async def test_a_stale_epoch_is_aborted(bench: Bench) -> None:
    await bench.admit()
    await bench.attach(2)
    stale = (grpc.StatusCode.ABORTED, "STALE_EPOCH")
    assert await refusal(bench.attach(1)) == stale
    assert await refusal(bench.attach(2, "another")) == stale
    assert await refusal(bench.reserve(0)) == stale
    assert await refusal(bench.release(0)) == stale
    assert await refusal(bench.charge(0)) == stale


async def test_a_stale_or_denied_half_of_an_advance_is_returned(bench: Bench) -> None:
    await bench.admit()
    await bench.attach(1)
    await bench.reserve(0)
    await bench.attach(2, "another")
    advanced = await bench.advance(0, USAGE)
    assert advanced.closing.state == pb.Reservation.SETTLED
    assert advanced.denial.cause == pb.Denial.STALE


async def test_other_refusals_have_reasons(bench: Bench) -> None:
    await bench.admit()
    await bench.attach()
    await bench.reserve(0)
    assert await refusal(bench.reserve(0, prompt_tokens=7)) == (grpc.StatusCode.ALREADY_EXISTS, "ID_CONFLICT")
    assert await refusal(bench.settle(9, USAGE)) == (grpc.StatusCode.NOT_FOUND, "RESERVATION_NOT_FOUND")
    assert await refusal(bench.charge(9)) == (grpc.StatusCode.NOT_FOUND, "RESERVATION_NOT_FOUND")
    await bench.release(0)
    assert await refusal(bench.settle(0, USAGE)) == (grpc.StatusCode.FAILED_PRECONDITION, "RESERVATION_CLOSED")


@pytest.mark.parametrize(
    "change",
    [
        {"prompt_tokens": 0},
        {"prompt_tokens": 10**9},
        {"min_output_tokens": 0},
        {"max_output_tokens": 99},
        {"needs_sequence": -1},
        {"kind": pb.Reservation.KIND_UNSPECIFIED},
    ],
)
async def test_a_need_that_cannot_be_meant_is_refused(bench: Bench, change: dict[str, int]) -> None:
    await bench.admit()
    await bench.attach()
    status, reason = await refusal(bench.reserve(0, **change))
    assert status is grpc.StatusCode.INVALID_ARGUMENT
    assert reason in ("FIELD_INVALID", "FIELD_MISSING")


@pytest.mark.parametrize("rid", ["", "x", "{other}/1/0", "{build}/2/0", "{build}/1/-1", "{build}/1/007"])
async def test_an_id_of_another_call_is_refused(bench: Bench, rid: str) -> None:
    await bench.admit()
    await bench.attach()
    need = bench.need(0)
    need.rid = rid.format(build=bench.build_id, other=uuid.uuid4())
    request = pb.ReserveRequest(build_id=bench.build_id, epoch=1, need=need)
    assert (await refusal(bench.stub.Reserve(request)))[0] is grpc.StatusCode.INVALID_ARGUMENT


async def test_an_empty_request_is_never_a_surprise(bench: Bench) -> None:
    service = pb.DESCRIPTOR.services_by_name["BudgetService"]
    async with open_channel(bench.address, token=TOKEN) as channel:
        stub = BudgetServiceStub(channel)
        for method in service.methods:
            call = getattr(stub, method.name)(getattr(pb, method.input_type.name)())
            if method.name in ("ListPlans", "ListPrices"):
                await call
            elif method.name == "WatchAccountChanges":
                assert (await anext(aiter(call))).complete
            else:
                assert (await refusal(call))[0] is grpc.StatusCode.INVALID_ARGUMENT, method.name


async def test_an_unknown_usage_charges_the_hold(bench: Bench) -> None:
    await bench.admit()
    await bench.attach()
    held = (await bench.reserve(0)).grant.held_microdollars
    closing = (await bench.settle(0, None)).closing
    assert (closing.state, closing.booked_microdollars) == (pb.Reservation.CHARGED, held)


async def test_a_hold_left_alone_is_charged_by_the_service_itself(bench: Bench) -> None:
    await bench.admit()
    await bench.attach()
    await bench.reserve(0)
    await bench.shift_clock(timedelta(minutes=31))
    for _ in range(3000):
        page = await bench.stub.ListReservations(pb.ListReservationsRequest(build_id=bench.build_id))
        if page.reservations[0].state == pb.Reservation.EXPIRED:
            break
        await asyncio.sleep(0.02)
    assert page.reservations[0].state == pb.Reservation.EXPIRED
    assert page.reservations[0].reason == "expired"


async def test_the_allowance_is_told(bench: Bench) -> None:
    await bench.admit()
    told = await bench.stub.GetAllowance(pb.GetAllowanceRequest(user_id="ada"))
    assert (told.tier, told.time_zone) == ("bootstrapper", "UTC")
    assert 0 < told.allowance.limit_microdollars <= told.allowance.hard_limit_microdollars
    assert told.allowance.cycle_remaining_microdollars == 30_000_000
    assert told.allowance.refresh_time.ToDatetime() <= told.allowance.cycle_end_time.ToDatetime()


async def test_reservations_are_listed_page_by_page(bench: Bench) -> None:
    await bench.admit()
    await bench.attach()
    for k in range(5):
        await bench.reserve(k)
    await bench.settle(1, USAGE)
    found = [each async for each in reservations(bench, page_size=2)]
    assert [each.rid for each in found] == [bench.rid(k) for k in range(5)]
    assert found[1].usage == USAGE
    assert found[1].booked_microdollars == 2300
    assert not found[0].HasField("close_time")
    assert found[1].HasField("close_time")


async def reservations(bench: Bench, page_size: int) -> AsyncIterator[pb.Reservation]:
    """Every reservation of the build."""
    request = pb.ListReservationsRequest(build_id=bench.build_id, page_size=page_size)
    while True:
        page = await bench.stub.ListReservations(request)
        for reservation in page.reservations:
            yield reservation
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


async def test_the_journal_adds_up_to_the_balances_of_its_last_page(bench: Bench) -> None:
    await bench.admit()
    await bench.attach()
    await bench.reserve(0)
    await bench.advance(0, USAGE)
    await bench.release(1)
    request = pb.ListJournalRequest(user_id="ada", page_size=4)
    sums: dict[str, list[int]] = defaultdict(lambda: [0] * 5)
    sequence = 0
    while True:
        page = await bench.stub.ListJournal(request)
        for entry in page.entries:
            sequence += 1
            assert entry.sequence == sequence
            sums[entry.period] = [
                total + change for total, change in zip(sums[entry.period], deltas(entry), strict=True)
            ]
        if not page.next_page_token:
            break
        assert not page.balances
        request.page_token = page.next_page_token
    assert sequence == 2 + 4 * 3
    assert {balance.period: counters(balance) for balance in page.balances} == sums


def deltas(entry: pb.JournalEntry) -> list[int]:
    """The changes of an entry."""
    return [
        entry.allowance_delta_microdollars,
        entry.limit_delta_microdollars,
        entry.reserved_delta_microdollars,
        entry.spent_delta_microdollars,
        entry.overrun_delta_microdollars,
    ]


def counters(balance: pb.PeriodBalance) -> list[int]:
    """The counters of a period."""
    return [
        balance.allowance_microdollars,
        balance.limit_microdollars,
        balance.reserved_microdollars,
        balance.spent_microdollars,
        balance.overrun_microdollars,
    ]


@pytest.mark.parametrize("token", ["x", "1", "1-2-3", "-1-2", "9" * 40 + "-1"])
async def test_a_made_up_page_token_is_refused(bench: Bench, token: str) -> None:
    await bench.admit()
    request = pb.ListReservationsRequest(build_id=bench.build_id, page_token=token)
    assert await refusal(bench.stub.ListReservations(request)) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")


async def test_plans_and_prices_are_listed(bench: Bench) -> None:
    plans = (await bench.stub.ListPlans(pb.ListPlansRequest())).plans
    prices = (await bench.stub.ListPrices(pb.ListPricesRequest())).prices
    assert [plan.tier for plan in plans] == ["bootstrapper", "partner", "cto_scale"]
    priced = {price.model for price in prices}
    assert priced.issuperset(model for plan in plans for model in plan.models)
    haiku = [price for price in prices if price.model == "claude-haiku-5-5"]
    assert [price.above_prompt_tokens for price in haiku] == [0, 100_000]
    assert len({price.price_id for price in haiku}) == 1
