"""The money of builds, at the budget service."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from taor.budget.v1 import budget_pb2 as pb
from taor.budget.v1 import budget_pb2_grpc

from taor_chassis.clock import Clock
from taor_orchestrator.build import Claim
from taor_orchestrator.clients.patience import patiently
from taor_orchestrator.money import (
    Allowance,
    Denial,
    DenialCause,
    Forecast,
    Grant,
    Hold,
    HoldState,
    Need,
    Outlook,
    Reserved,
    Settlement,
)
from taor_orchestrator.ports import Budget, Holds

MAX_TOOLS = 1000
MAX_FINISHED = 1000
ODD_TOOL = "(other)"
"""Stands for a name that is none: models invent tools, and what they say is no error of the ledger."""
_TOOL = re.compile("[A-Za-z0-9_-]{1,64}")


class BudgetClient(Budget):
    """Implements the `Budget` port."""

    def __init__(self, channel: grpc.aio.Channel, clock: Clock) -> None:
        self._stub: budget_pb2_grpc.BudgetServiceAsyncStub = budget_pb2_grpc.BudgetServiceStub(channel)
        self._clock = clock

    async def attach(self, claim: Claim) -> Holds:
        request = pb.AttachBuildRequest(build_id=claim.build_id, epoch=claim.epoch, owner=claim.owner)
        response = await patiently(lambda: self._stub.AttachBuild(request))
        return Holds(tuple(map(_hold, response.reservations)), _allowance(response.allowance))

    async def reserve(self, claim: Claim, need: Need) -> Reserved:
        request = pb.ReserveRequest(build_id=claim.build_id, epoch=claim.epoch, need=_need(need))
        asked_at_seconds = self._clock.boottime_seconds()
        response = await patiently(lambda: self._stub.Reserve(request))
        return _reserved(need, response, asked_at_seconds)

    async def advance(self, claim: Claim, settlement: Settlement, need: Need) -> Reserved:
        settled = _settlement(settlement)
        request = pb.AdvanceRequest(build_id=claim.build_id, epoch=claim.epoch, settlement=settled, need=_need(need))
        asked_at_seconds = self._clock.boottime_seconds()
        response = await patiently(lambda: self._stub.Advance(request))
        return _reserved(need, response, asked_at_seconds)

    async def settle(self, claim: Claim, settlement: Settlement) -> Allowance:
        """Book what a call has used; no usage books its whole hold."""
        request = pb.SettleRequest(build_id=claim.build_id, settlement=_settlement(settlement))
        response = await patiently(lambda: self._stub.Settle(request))
        return _allowance(response.allowance)

    async def release(self, claim: Claim, rid: str, reason: str) -> None:
        """Give back the hold of a call that was never sent, or was refused unbilled."""
        request = pb.ReleaseRequest(build_id=claim.build_id, epoch=claim.epoch, rid=rid, reason=reason)
        await patiently(lambda: self._stub.Release(request))

    async def charge(self, claim: Claim, rid: str, reason: str) -> Allowance:
        """Book the whole hold of a call whose outcome nobody knows."""
        request = pb.ChargeRequest(build_id=claim.build_id, epoch=claim.epoch, rid=rid, reason=reason)
        response = await patiently(lambda: self._stub.Charge(request))
        return _allowance(response.allowance)

    async def forecast(self, claim: Claim, finished_turns: Sequence[int]) -> Forecast | None:
        """How the build may go on; None after too few calls."""
        by_model = pb.GetUsageRequest.MODEL  # one row, as small as it gets: what is wanted is the forecast beside it
        request = pb.GetUsageRequest(
            build_id=claim.build_id, group_by=by_model, finished_build_calls=finished_turns[:MAX_FINISHED]
        )
        response = await patiently(lambda: self._stub.GetUsage(request))
        return _forecast(response.forecast) if response.HasField("forecast") else None


def _forecast(told: pb.Forecast) -> Forecast:
    p50_finish = told.p50_finish if told.HasField("p50_finish") else None
    p90_finish = told.p90_finish if told.HasField("p90_finish") else None
    return Forecast(
        _outlook(told.p50_call_microdollars, told.p50_sleep_time, p50_finish),
        _outlook(told.p90_call_microdollars, told.p90_sleep_time, p90_finish),
    )


def _outlook(call_microdollars: int, sleep_time: Timestamp, finish: pb.Forecast.Finish | None) -> Outlook:
    return Outlook(
        call_microdollars,
        _moment(sleep_time),
        None if finish is None else finish.microdollars,
        None if finish is None else _moment(finish.time),
    )


def _moment(stamp: Timestamp) -> datetime.datetime | None:
    """A timestamp as a time; None where none was sent."""
    return stamp.ToDatetime(datetime.UTC) if stamp.seconds else None


def _need(need: Need) -> pb.Need:
    return pb.Need(
        rid=need.rid,
        needs_sequence=need.needs_sequence,
        kind=pb.Reservation.Kind.Value(need.purpose.value),
        prompt_tokens=need.prompt_tokens,
        min_output_tokens=need.min_output_tokens,
        max_output_tokens=need.max_output_tokens,
        earmark=_need(need.earmark) if need.earmark else None,
        replaces_rid=need.replaces,
    )


def _settlement(settlement: Settlement) -> pb.Settlement:
    rid, usage = settlement.rid, settlement.usage
    tools = [tool if _TOOL.fullmatch(tool) else ODD_TOOL for tool in settlement.tools[:MAX_TOOLS]]
    if usage is None:
        return pb.Settlement(rid=rid, tools=tools)
    counted = pb.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_5m_tokens=usage.cache_write_5m_tokens,
        cache_write_1h_tokens=usage.cache_write_1h_tokens,
    )
    return pb.Settlement(rid=rid, usage=counted, tools=tools)


def _reserved(need: Need, response: pb.ReserveResponse | pb.AdvanceResponse, asked_at_seconds: float) -> Reserved:
    allowance = _allowance(response.allowance)
    if response.HasField("grant"):
        return Reserved(_grant(need, response.grant, asked_at_seconds), allowance)
    return Reserved(_denial(response.denial), allowance)


def _grant(need: Need, grant: pb.Grant, asked_at_seconds: float) -> Grant:
    """The life of the hold is counted from before the question, so it never seems longer than it is."""
    return Grant(
        rid=need.rid,
        held_microdollars=grant.held_microdollars,
        prompt_microdollars_per_mtok=grant.prompt_microdollars_per_mtok,
        output_microdollars_per_mtok=grant.output_microdollars_per_mtok,
        rates_hold_up_to_prompt_tokens=grant.rates_hold_up_to_prompt_tokens,
        max_output_tokens=grant.max_output_tokens,
        price_id=grant.price_id,
        expires_at_seconds=asked_at_seconds + grant.life_seconds,
        prompt_tokens=need.prompt_tokens,
        earmark=_earmark(need, grant, asked_at_seconds),
    )


def _earmark(need: Need, grant: pb.Grant, asked_at_seconds: float) -> Grant | None:
    if need.earmark is None or not grant.HasField("earmark"):
        return None
    return _grant(need.earmark, grant.earmark, asked_at_seconds)


def _denial(denial: pb.Denial) -> Denial:
    return Denial(
        cause=DenialCause(pb.Denial.Cause.Name(denial.cause)),
        account_version=denial.account_version,
        refresh_time=denial.refresh_time.ToDatetime(datetime.UTC),
        needed_microdollars=denial.needed_microdollars,
        free_microdollars=denial.free_microdollars,
    )


def _hold(reservation: pb.Reservation) -> Hold:
    return Hold(
        rid=reservation.rid,
        state=HoldState(pb.Reservation.State.Name(reservation.state)),
        needs_sequence=reservation.needs_sequence,
        earmark=reservation.kind == pb.Reservation.EARMARK,
    )


def _allowance(allowance: pb.Allowance) -> Allowance:
    return Allowance(
        limit_microdollars=allowance.limit_microdollars,
        hard_limit_microdollars=allowance.hard_limit_microdollars,
        spent_microdollars=allowance.spent_microdollars,
        build_spent_microdollars=allowance.build_spent_microdollars,
        refresh_time=allowance.refresh_time.ToDatetime(datetime.UTC),
        account_version=allowance.account_version,
    )
