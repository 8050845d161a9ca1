"""From the messages of the contract to the nouns inside, and back; what cannot be meant is refused here."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from taor.budget.v1 import budget_pb2 as pb

from taor_budget.changes import Versions
from taor_budget.forecast import Finish, Forecast
from taor_budget.plans import Plan
from taor_budget.pricing import Price, Usage
from taor_budget.reservations import (
    Adjustment,
    Allowance,
    Balance,
    Cause,
    Closing,
    Denial,
    Grant,
    JournalEntry,
    Kind,
    Need,
    Reservation,
    Rid,
    Settlement,
    State,
    Turn,
)
from taor_budget.usage import Grouping, UsageRow
from taor_chassis.validation import FieldInvalid, FieldMissing, require, require_between, require_text

MAX_TEXT_BYTES = 200
MAX_TOKENS = 100_000_000  # far above any context window, far below what overflows a product with a rate
MAX_COUNT = 2**53
MAX_REQUEST_ID_BYTES = 128
MAX_TOOLS = 1000
MAX_FINISHED = 1000
MAX_TOP_UP_MICRODOLLARS = 10_000_000_000

_GROUPINGS = {pb.GetUsageRequest.Grouping.Value(grouping.value): grouping for grouping in Grouping}
_KINDS = {pb.Reservation.CALL: Kind.CALL, pb.Reservation.EARMARK: Kind.EARMARK, pb.Reservation.HANDOVER: Kind.HANDOVER}
_WIRE_KINDS = {kind: wire for wire, kind in _KINDS.items()}
_WIRE_STATES = {state: pb.Reservation.State.Value(state.value) for state in State}
_WIRE_CAUSES = {cause: pb.Denial.Cause.Value(cause.value) for cause in Cause}


def build_id_of(text: str) -> str:
    """A build id in the one spelling that names it: a UUID in lower case."""
    require_text("build_id", text, max_bytes=MAX_TEXT_BYTES)
    try:
        canonical = str(uuid.UUID(text)) == text
    except ValueError:
        canonical = False
    require(canonical, FieldInvalid("build_id", "is not a UUID in lower case"))
    return text


def short_text_of(field: str, text: str) -> str:
    """A name or a short word."""
    return require_text(field, text, max_bytes=MAX_TEXT_BYTES)


def epoch_of(epoch: int) -> int:
    """An epoch as the orchestrator counts them, from 1."""
    return require_between("epoch", epoch, 1, MAX_COUNT)


def request_id_of(text: str) -> str:
    """The id of a request, of its caller's making."""
    return require_text("request_id", text, max_bytes=MAX_REQUEST_ID_BYTES)


def top_up_of(microdollars: int) -> int:
    """The money of a top-up, in microdollars: neither nothing nor a slip of the keyboard."""
    return require_between("microdollars", microdollars, 1, MAX_TOP_UP_MICRODOLLARS)


def rid_of(field: str, text: str, build_id: str) -> Rid:
    """The id of a model call of this build."""
    require_text(field, text, max_bytes=MAX_TEXT_BYTES)
    try:
        rid = Rid.parse(text)
    except ValueError:
        raise FieldInvalid(field, "is not {build_id}/{epoch}/{k}") from None
    require(rid.build_id == build_id, FieldInvalid(field, f"does not belong to build {build_id}"))
    require_between(field, max(rid.epoch, rid.k), 0, MAX_COUNT)
    return rid


def closable_rid_of(text: str, build_id: str, epoch: int) -> Rid:
    """The id of a model call of this epoch or an older one."""
    rid = rid_of("rid", text, build_id)
    require(rid.epoch <= epoch, FieldInvalid("rid", f"is of a later epoch than {epoch}"))
    return rid


def need_of(need: pb.Need, build_id: str, epoch: int) -> Need:
    """What a call of this epoch needs, with the earmark beside it and the one that both replace."""
    wanted = _need_of("need", need, build_id, epoch)
    earmark = _need_of("need.earmark", need.earmark, build_id, epoch) if need.HasField("earmark") else None
    if earmark is not None:
        field = "need.earmark"
        require(wanted.kind is Kind.CALL, FieldInvalid(field, "stands beside a CALL only"))
        require(earmark.kind is Kind.EARMARK, FieldInvalid(f"{field}.kind", "is not EARMARK"))
        require(earmark.rid.k > wanted.rid.k, FieldInvalid(f"{field}.rid", "does not come after need.rid"))
        is_plain = not (need.earmark.HasField("earmark") or need.earmark.replaces_rid)
        require(is_plain, FieldInvalid(field, "can have no earmark and replace none"))
    replaces = None
    if need.replaces_rid:
        replaces = _rid_of_epoch("need.replaces_rid", need.replaces_rid, build_id, epoch)
        require(replaces.k < wanted.rid.k, FieldInvalid("need.replaces_rid", "does not come before need.rid"))
    return replace(wanted, earmark=earmark, replaces=replaces)


def _need_of(field: str, need: pb.Need, build_id: str, epoch: int) -> Need:
    rid = _rid_of_epoch(f"{field}.rid", need.rid, build_id, epoch)
    if (kind := _KINDS.get(need.kind)) is None:
        raise FieldMissing(f"{field}.kind", "say what the money is for")
    return Need(
        rid,
        kind,
        require_between(f"{field}.needs_sequence", need.needs_sequence, 0, MAX_COUNT),
        require_between(f"{field}.prompt_tokens", need.prompt_tokens, 1, MAX_TOKENS),
        require_between(f"{field}.min_output_tokens", need.min_output_tokens, 1, MAX_TOKENS),
        require_between(f"{field}.max_output_tokens", need.max_output_tokens, need.min_output_tokens, MAX_TOKENS),
    )


def _rid_of_epoch(field: str, text: str, build_id: str, epoch: int) -> Rid:
    rid = rid_of(field, text, build_id)
    require(rid.epoch == epoch, FieldInvalid(field, f"is not of epoch {epoch}"))
    return rid


def settlement_of(settlement: pb.Settlement, build_id: str) -> Settlement:
    """What a call has used."""
    rid = rid_of("settlement.rid", settlement.rid, build_id)
    require_between("settlement.tools", len(settlement.tools), 0, MAX_TOOLS)
    tools = tuple(short_text_of("settlement.tools", tool) for tool in settlement.tools)
    return Settlement(rid, _usage_of(settlement.usage) if settlement.HasField("usage") else None, tools)


def _usage_of(usage: pb.Usage) -> Usage:
    return Usage(
        *(require_between(f"settlement.usage.{field}", getattr(usage, field), 0, MAX_TOKENS) for field in _USAGE_FIELDS)
    )


_USAGE_FIELDS = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
)


def reserved(turn: Turn) -> pb.ReserveResponse:
    """The answer to Reserve."""
    response = pb.ReserveResponse(allowance=wire_allowance_of(turn.allowance))
    _put_outcome(response, turn)
    return response


def advanced(turn: Turn) -> pb.AdvanceResponse:
    """The answer to Advance."""
    response = pb.AdvanceResponse(closing=_settled(turn), allowance=wire_allowance_of(turn.allowance))
    _put_outcome(response, turn)
    return response


def settled(turn: Turn) -> pb.SettleResponse:
    """The answer to Settle."""
    return pb.SettleResponse(closing=_settled(turn), allowance=wire_allowance_of(turn.allowance))


def _put_outcome(response: pb.ReserveResponse | pb.AdvanceResponse, turn: Turn) -> None:
    match turn.outcome:
        case Grant() as grant:
            response.grant.CopyFrom(_wire_grant_of(grant))
        case Denial() as denial:
            response.denial.CopyFrom(_wire_denial_of(denial))
        case None:
            raise AssertionError("a need was answered with nothing")


def _settled(turn: Turn) -> pb.Closing:
    assert turn.closing is not None
    return wire_closing_of(turn.closing)


def _wire_grant_of(grant: Grant) -> pb.Grant:
    return pb.Grant(
        held_microdollars=grant.held_microdollars,
        max_output_tokens=grant.max_output_tokens,
        prompt_microdollars_per_mtok=grant.rates.prompt,
        output_microdollars_per_mtok=grant.rates.output,
        rates_hold_up_to_prompt_tokens=grant.rates.prompt_tokens_at_most,
        price_id=grant.price_id,
        life_seconds=grant.life_seconds,
        earmark=_wire_grant_of(grant.earmark) if grant.earmark else None,
    )


def _wire_denial_of(denial: Denial) -> pb.Denial:
    return pb.Denial(
        cause=_WIRE_CAUSES[denial.cause],
        account_version=denial.account_version,
        refresh_time=_timestamp(denial.refresh_at),
        needed_microdollars=denial.needed_microdollars,
        free_microdollars=denial.free_microdollars,
    )


def wire_closing_of(closing: Closing) -> pb.Closing:
    """How a reservation stands, as it is sent."""
    return pb.Closing(
        state=_WIRE_STATES[closing.state],
        booked_microdollars=closing.booked_microdollars,
        overrun_microdollars=closing.overrun_microdollars,
    )


def wire_allowance_of(allowance: Allowance) -> pb.Allowance:
    """An allowance as it is sent."""
    return pb.Allowance(
        limit_microdollars=allowance.allowance_microdollars,
        hard_limit_microdollars=allowance.hard_limit_microdollars,
        spent_microdollars=allowance.spent_microdollars,
        reserved_microdollars=allowance.reserved_microdollars,
        refresh_time=_timestamp(allowance.refresh_at),
        account_version=allowance.account_version,
        cycle_remaining_microdollars=allowance.cycle_left_microdollars,
        cycle_end_time=_timestamp(allowance.cycle_ends_at),
        build_spent_microdollars=allowance.build_spent_microdollars,
    )


def wire_reservation_of(reservation: Reservation) -> pb.Reservation:
    """A reservation as it is sent."""
    return pb.Reservation(
        rid=str(reservation.rid),
        build_id=reservation.rid.build_id,
        epoch=reservation.rid.epoch,
        kind=_WIRE_KINDS[reservation.kind],
        state=_WIRE_STATES[reservation.state],
        needs_sequence=reservation.needs_sequence,
        held_microdollars=reservation.held_microdollars,
        booked_microdollars=reservation.booked_microdollars,
        price_id=reservation.price_id,
        usage=_wire_usage_of(reservation.usage) if reservation.usage else None,
        reason=reservation.reason,
        reserve_time=_timestamp(reservation.reserved_at),
        expire_time=_timestamp(reservation.expires_at),
        close_time=_timestamp(reservation.closed_at) if reservation.closed_at else None,
    )


def _wire_usage_of(usage: Usage) -> pb.Usage:
    return pb.Usage(**{field: getattr(usage, field) for field in _USAGE_FIELDS})


def wire_plan_of(plan: Plan) -> pb.Plan:
    """A plan as it is sent."""
    return pb.Plan(
        tier=plan.tier,
        models=plan.models,
        max_concurrent_builds=plan.max_concurrent_builds,
        priority=plan.priority,
        cycle_microdollars=plan.cycle_microdollars,
    )


def wire_prices_of(price: Price) -> list[pb.Price]:
    """The rows of a price, one for each size of prompts, as they are sent."""
    return [
        pb.Price(
            price_id=price.price_id,
            model=price.model,
            effective_time=_timestamp(price.effective_at),
            above_prompt_tokens=tier.above_prompt_tokens,
            input_microdollars_per_mtok=tier.rates.input,
            output_microdollars_per_mtok=tier.rates.output,
            cache_read_microdollars_per_mtok=tier.rates.cache_read,
            cache_write_5m_microdollars_per_mtok=tier.rates.cache_write_5m,
            cache_write_1h_microdollars_per_mtok=tier.rates.cache_write_1h,
        )
        for tier in price.tiers
    ]


def wire_entry_of(entry: JournalEntry) -> pb.JournalEntry:
    """A journal entry as it is sent."""
    return pb.JournalEntry(
        sequence=entry.sequence,
        rid=str(entry.rid or ""),
        period=entry.period,
        allowance_delta_microdollars=entry.allowance_delta,
        limit_delta_microdollars=entry.limit_delta,
        reserved_delta_microdollars=entry.reserved_delta,
        spent_delta_microdollars=entry.spent_delta,
        overrun_delta_microdollars=entry.overrun_delta,
        time=_timestamp(entry.at),
        request_id=entry.request_id,
    )


def grouping_of(request: pb.GetUsageRequest) -> Grouping:
    """How rows are made: of one user or of one build, and of a build not by builds."""
    require(
        not (request.user_id and request.build_id), FieldInvalid("build_id", "cannot be given together with user_id")
    )
    if (grouping := _GROUPINGS.get(request.group_by)) is None:
        raise FieldMissing("group_by", "say how rows are made: BUILD, MODEL, DAY or TOOL")
    of_one_build = bool(request.build_id) and grouping is Grouping.BUILD
    require(not of_one_build, FieldInvalid("group_by", "of one build must be MODEL, DAY or TOOL"))
    return grouping


def finished_of(calls: Sequence[int]) -> tuple[int, ...]:
    """How many calls finished builds have made."""
    require_between("finished_build_calls", len(calls), 0, MAX_FINISHED)
    return tuple(require_between("finished_build_calls", each, 0, MAX_COUNT) for each in calls)


def wire_report_of(rows: Iterable[UsageRow], outlook: Forecast | None) -> pb.GetUsageResponse:
    """What was used, and how it may go on, as they are sent."""
    return pb.GetUsageResponse(rows=map(_wire_row_of, rows), forecast=_wire_forecast_of(outlook) if outlook else None)


def _wire_row_of(row: UsageRow) -> pb.UsageRow:
    return pb.UsageRow(
        group=row.group,
        calls=row.calls,
        usage=_wire_usage_of(row.usage),
        charged_calls=row.charged_calls,
        charged_microdollars=row.charged,
        cost_microdollars=row.cost,
    )


def _wire_forecast_of(outlook: Forecast) -> pb.Forecast:
    p50, p90 = outlook.p50, outlook.p90
    return pb.Forecast(
        p50_call_microdollars=p50.call_microdollars,
        p90_call_microdollars=p90.call_microdollars,
        p50_calls_left=p50.calls_left,
        p90_calls_left=p90.calls_left,
        p50_sleep_time=_timestamp(p50.sleep_at) if p50.sleep_at else None,
        p90_sleep_time=_timestamp(p90.sleep_at) if p90.sleep_at else None,
        p50_finish=_wire_finish_of(p50.finish) if p50.finish else None,
        p90_finish=_wire_finish_of(p90.finish) if p90.finish else None,
    )


def _wire_finish_of(finish: Finish) -> pb.Forecast.Finish:
    return pb.Forecast.Finish(microdollars=finish.microdollars, time=_timestamp(finish.at) if finish.at else None)


def wire_versions_of(tenant_id: str, told: Versions) -> pb.WatchAccountChangesResponse:
    """Some accounts of a tenant with their versions, as they are sent."""
    accounts = [pb.AccountVersion(user_id=user_id, version=version) for user_id, version in told.accounts]
    return pb.WatchAccountChangesResponse(tenant_id=tenant_id, accounts=accounts, complete=told.complete)


def wire_adjustment_of(adjustment: Adjustment) -> pb.Adjustment:
    """An adjustment as it is sent."""
    return pb.Adjustment(
        request_id=adjustment.request_id,
        kind=pb.Adjustment.Kind.Value(adjustment.kind.value),
        microdollars=adjustment.microdollars,
        tier_before=adjustment.tier_before,
        tier_after=adjustment.tier_after,
        cycle_delta_microdollars=adjustment.cycle_delta,
        allowance_delta_microdollars=adjustment.allowance_delta,
        hard_limit_delta_microdollars=adjustment.hard_limit_delta,
        time=_timestamp(adjustment.at),
    )


def wire_balance_of(balance: Balance) -> pb.PeriodBalance:
    """The counters of a period as they are sent."""
    return pb.PeriodBalance(
        period=balance.period,
        allowance_microdollars=balance.allowance,
        limit_microdollars=balance.limit,
        reserved_microdollars=balance.reserved,
        spent_microdollars=balance.spent,
        overrun_microdollars=balance.overrun,
    )


def _timestamp(instant: datetime) -> Timestamp:
    wire = Timestamp()
    wire.FromDatetime(instant.astimezone(UTC))
    return wire
