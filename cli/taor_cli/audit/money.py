"""Checks 4 and 9: what was booked for each call is what it cost, and covers what the provider billed."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime

from taor_cli.audit.evidence import Billed, Call, Evidence, Hold, HoldState, LogRow, Price, Usage
from taor_cli.audit.findings import Check, Finding
from taor_cli.audit.prices import cost, price_row


def settled(evidence: Evidence) -> Iterator[Finding]:
    """4: each logged call has exactly one reservation, SETTLED with the logged usage at the price of its start."""
    holds = Counter(hold.rid for hold in evidence.holds)
    for rid, count in holds.items():
        if count > 1:
            yield Finding(f"reservation {rid}", f"stands {count} times")
    by_rid = {hold.rid: hold for hold in evidence.holds}
    calls = evidence.own_calls
    newest = next(reversed(calls), None)
    for rid, row in calls.items():
        assert row.call is not None
        hold = by_rid.get(rid)
        if hold is None:
            yield Finding(f"log {row.sequence}", f"its call {rid} was never reserved")
        elif not (rid == newest and hold.state is HoldState.HELD and not evidence.build.state.is_resting):
            yield from _settled(row.call, hold, evidence.prices)


def _settled(call: Call, hold: Hold, prices: tuple[Price, ...]) -> Iterator[Finding]:
    name = f"reservation {hold.rid}"
    if call.price_id != hold.price_id:
        yield Finding(name, f"priced by {hold.price_id}, its call by {call.price_id}")
    if call.usage is None:
        if (
            hold.state not in (HoldState.CHARGED, HoldState.EXPIRED)
            or hold.booked_microdollars != hold.held_microdollars
        ):
            yield Finding(name, f"its usage is unknown, so the whole hold must be charged; it is {hold.state}")
        return
    if hold.state is not HoldState.SETTLED or hold.usage != call.usage:
        yield Finding(name, f"is {hold.state} with {hold.usage}, the log says {call.usage}")
        return
    row = price_row(prices, call.model, hold.reserve_time, call.usage)
    if row is None or row.price_id != hold.price_id:
        yield Finding(
            name, f"priced by {hold.price_id}, the price at its start is {row.price_id if row else 'unknown'}"
        )
        return
    due = cost(call.usage, row)
    if hold.booked_microdollars != due:
        yield Finding(name, f"booked {hold.booked_microdollars} µ$, its usage costs {due} µ$")


def billed(evidence: Evidence) -> Iterator[Finding]:
    """9: what was booked covers what the provider billed; overrun is what calls cost beyond their holds."""
    period = f"build/{evidence.build.build_id}"
    overrun = sum(max(0, hold.booked_microdollars - hold.held_microdollars) for hold in evidence.holds)
    for balance in evidence.balances:
        if balance.period == period and balance.overrun != overrun:
            yield Finding(f"period {period}", f"overrun is {balance.overrun} µ$, the reservations give {overrun} µ$")
    if evidence.billed is not None:
        yield from _billed(evidence, evidence.billed)


def _billed(evidence: Evidence, lines: tuple[Billed, ...]) -> Iterator[Finding]:
    usages: defaultdict[bytes, list[Usage]] = defaultdict(list)
    for line in lines:
        usages[line.request_sha256].append(line.usage)
    for row in evidence.own_calls.values():
        assert row.call is not None
        if row.call.usage is not None and row.call.usage not in usages[row.call.request_sha256]:
            yield Finding(
                f"log {row.sequence}", f"the provider billed {usages[row.call.request_sha256]}, not {row.call.usage}"
            )
    starts = {row.call.request_sha256: _start(row) for row in evidence.own_calls.values() if row.call}
    due = 0
    for line in lines:
        price = price_row(evidence.prices, line.model, starts.get(line.request_sha256, line.time), line.usage)
        if price is None:
            yield Finding(f"billing record {line.line}", f"no price for {line.model}")
            continue
        due += cost(line.usage, price)
    booked = sum(hold.booked_microdollars for hold in evidence.holds)
    if booked < due:
        yield Finding("reservations", f"{booked} µ$ are booked, the provider billed {due} µ$")


def _start(row: LogRow) -> datetime:
    assert row.call is not None
    return row.call.start_time


CHECKS = (
    Check(4, "every logged call is settled once, at its price", settled),
    Check(9, "what was booked covers what the provider billed", billed, at_rest_only=True),
)
