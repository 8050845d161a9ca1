"""What a user may spend and has spent, as people see it, and the budget service that knows it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from taor.budget.v1 import budget_pb2 as pb

from taor_cli.translate import moment

if TYPE_CHECKING:  # the generated async stubs are types only
    from taor.budget.v1.budget_pb2_grpc import BudgetServiceAsyncStub


class Grouping(StrEnum):
    """How usage is told apart."""

    BUILD = "build"
    MODEL = "model"
    DAY = "day"
    TOOL = "tool"


@dataclass(frozen=True, slots=True)
class Account:
    """What a user may spend today and in this billing cycle."""

    user_id: str
    tier: str
    time_zone: str
    limit_microdollars: int
    hard_limit_microdollars: int
    spent_microdollars: int
    reserved_microdollars: int
    refresh_time: datetime
    cycle_remaining_microdollars: int
    cycle_end_time: datetime

    @property
    def percent(self) -> int:
        """How much of today's allowance is spent, rounded down."""
        return self.spent_microdollars * 100 // max(self.limit_microdollars, 1)


@dataclass(frozen=True, slots=True)
class UsageRow:
    """What one build, model or day has used."""

    group: str
    calls: int
    prompt_tokens: int
    cache_read_tokens: int
    output_tokens: int
    charged_calls: int
    charged_microdollars: int
    cost_microdollars: int


@dataclass(frozen=True, slots=True)
class Finish:
    """What a build costs until its end and when that is reached; no time where no day's allowance carries a call."""

    microdollars: int
    time: datetime | None


@dataclass(frozen=True, slots=True)
class Forecast:
    """How a build may go on, if it is the only one of its user."""

    p50_call_microdollars: int
    p90_call_microdollars: int
    p50_calls_left: int
    p90_calls_left: int
    p50_sleep_time: datetime | None
    p90_sleep_time: datetime | None
    p50_finish: "Finish | None" = None
    p90_finish: "Finish | None" = None


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A top-up or a change of plan, as it was made."""

    request_id: str
    kind: str
    tier_before: str
    tier_after: str
    cycle_delta_microdollars: int
    allowance_delta_microdollars: int
    hard_limit_delta_microdollars: int
    time: datetime


class Budget:
    """The budget of one installation."""

    def __init__(self, stub: "BudgetServiceAsyncStub") -> None:
        self._stub = stub

    async def account(self, user_id: str) -> Account:
        """What a user may spend."""
        told = await self._stub.GetAllowance(pb.GetAllowanceRequest(user_id=user_id))
        today = told.allowance
        return Account(
            user_id=user_id,
            tier=told.tier,
            time_zone=told.time_zone,
            limit_microdollars=today.limit_microdollars,
            hard_limit_microdollars=today.hard_limit_microdollars,
            spent_microdollars=today.spent_microdollars,
            reserved_microdollars=today.reserved_microdollars,
            refresh_time=moment(today.refresh_time),
            cycle_remaining_microdollars=today.cycle_remaining_microdollars,
            cycle_end_time=moment(today.cycle_end_time),
        )

    async def usage(
        self, grouping: Grouping, *, user_id: str = "", build_id: str = "", finished: Sequence[int] = ()
    ) -> tuple[Sequence[UsageRow], Forecast | None]:
        """What a user has used in this cycle, or a build in all.

        Of a build also how it may go on, judged by how many calls finished ones have made.
        """
        group_by = pb.GetUsageRequest.Grouping.Value(grouping.name)
        request = pb.GetUsageRequest(
            user_id=user_id, build_id=build_id, group_by=group_by, finished_build_calls=finished
        )
        told = await self._stub.GetUsage(request)
        return [_row(row) for row in told.rows], _forecast(told.forecast) if told.HasField("forecast") else None

    async def top_up(self, user_id: str, microdollars: int, request_id: str) -> Adjustment:
        """Add money to the user's billing cycle."""
        request = pb.TopUpRequest(user_id=user_id, microdollars=microdollars, request_id=request_id)
        return _adjustment((await self._stub.TopUp(request)).adjustment)

    async def change_plan(self, user_id: str, tier: str, request_id: str) -> Adjustment:
        """Put the user on another plan."""
        request = pb.ChangePlanRequest(user_id=user_id, tier=tier, request_id=request_id)
        return _adjustment((await self._stub.ChangePlan(request)).adjustment)


def _row(row: pb.UsageRow) -> UsageRow:
    usage = row.usage
    written = usage.cache_write_5m_tokens + usage.cache_write_1h_tokens
    return UsageRow(
        group=row.group,
        calls=row.calls,
        prompt_tokens=usage.input_tokens + usage.cache_read_tokens + written,
        cache_read_tokens=usage.cache_read_tokens,
        output_tokens=usage.output_tokens,
        charged_calls=row.charged_calls,
        charged_microdollars=row.charged_microdollars,
        cost_microdollars=row.cost_microdollars,
    )


def _forecast(told: pb.Forecast) -> Forecast:
    return Forecast(
        p50_call_microdollars=told.p50_call_microdollars,
        p90_call_microdollars=told.p90_call_microdollars,
        p50_calls_left=told.p50_calls_left,
        p90_calls_left=told.p90_calls_left,
        p50_sleep_time=_moment(told, "p50_sleep_time"),
        p90_sleep_time=_moment(told, "p90_sleep_time"),
        p50_finish=_finish(told.p50_finish) if told.HasField("p50_finish") else None,
        p90_finish=_finish(told.p90_finish) if told.HasField("p90_finish") else None,
    )


def _finish(told: pb.Forecast.Finish) -> Finish:
    return Finish(told.microdollars, moment(told.time) if told.HasField("time") else None)


def _adjustment(made: pb.Adjustment) -> Adjustment:
    return Adjustment(
        request_id=made.request_id,
        kind=pb.Adjustment.Kind.Name(made.kind),
        tier_before=made.tier_before,
        tier_after=made.tier_after,
        cycle_delta_microdollars=made.cycle_delta_microdollars,
        allowance_delta_microdollars=made.allowance_delta_microdollars,
        hard_limit_delta_microdollars=made.hard_limit_delta_microdollars,
        time=moment(made.time),
    )


def _moment(message: Message, field: str) -> datetime | None:
    timestamp = getattr(message, field)
    assert isinstance(timestamp, Timestamp)
    return moment(timestamp) if message.HasField(field) else None
