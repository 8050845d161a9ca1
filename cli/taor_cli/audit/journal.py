"""Check 8: the account is the sum of its journal, and was never over its limit."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from taor_cli.audit.evidence import Evidence, HoldState
from taor_cli.audit.findings import Check, Finding


@dataclass(slots=True)
class _Counters:
    """The running sums of one period."""

    limit: int = 0
    reserved: int = 0
    spent: int = 0
    overrun: int = 0


def journaled(evidence: Evidence) -> Iterator[Finding]:
    """8: the account is the sum of its journal, was never over its limit, and its reservations are as journaled."""
    sums: defaultdict[str, _Counters] = defaultdict(_Counters)
    for expected, row in enumerate(evidence.journal, start=1):
        if row.sequence != expected:
            yield Finding(f"journal {expected}", f"is missing; row {row.sequence} stands in its place")
            return
        counters = sums[row.period]
        counters.limit += row.limit_delta
        counters.reserved += row.reserved_delta
        counters.spent += row.spent_delta
        counters.overrun += row.overrun_delta
        # A build has no limit of its own.
        is_limited = not row.period.startswith("build/")
        if is_limited and counters.reserved + counters.spent > counters.limit + counters.overrun:
            yield Finding(f"journal {row.sequence}", f"{row.period} is over its limit from here on")
            return
    for balance in evidence.balances:
        counted = sums.pop(balance.period, _Counters())
        stands = _Counters(balance.limit, balance.reserved, balance.spent, balance.overrun)
        if counted != stands:
            yield Finding(f"period {balance.period}", f"stands at {stands}, its journal sums to {counted}")
    for period in sums:
        yield Finding(f"period {period}", "is in the journal and not in the account")
    yield from _reservations_journaled(evidence)
    if evidence.build.state.is_ended:
        yield from _cost_shown(evidence)


def _cost_shown(evidence: Evidence) -> Iterator[Finding]:
    """The cost that people see is told with each settlement; what was charged after the last one may be missing."""
    booked = sum(hold.booked_microdollars for hold in evidence.holds)
    unknown = (HoldState.CHARGED, HoldState.EXPIRED)
    charged = sum(hold.booked_microdollars for hold in evidence.holds if hold.state in unknown)
    shown = evidence.build.spent_microdollars
    if not booked - charged <= shown <= booked:
        message = f"shows a cost of {shown} µ$, its reservations have {booked} µ$, of which {charged} µ$ are charges"
        yield Finding(f"build {evidence.build.build_id}", message)


def _reservations_journaled(evidence: Evidence) -> Iterator[Finding]:
    spent: Counter[tuple[str, str]] = Counter()
    reserved: Counter[tuple[str, str]] = Counter()
    for row in evidence.journal:
        spent[row.rid, row.period] += row.spent_delta
        reserved[row.rid, row.period] += row.reserved_delta
    periods: defaultdict[str, set[str]] = defaultdict(set)
    for rid, period in spent:
        periods[rid].add(period)
    for hold in evidence.holds:
        open_microdollars = hold.held_microdollars if hold.state is HoldState.HELD else 0
        kinds = sorted(period.partition("/")[0] for period in periods[hold.rid])
        if kinds != ["build", "cycle", "day"]:
            yield Finding(f"reservation {hold.rid}", f"is journaled in {kinds}, not in its build, cycle and day")
        for period in sorted(periods[hold.rid]):
            booked = (spent[hold.rid, period], reserved[hold.rid, period])
            if booked != (hold.booked_microdollars, open_microdollars):
                stands = f"{hold.booked_microdollars} µ$ booked, {open_microdollars} µ$ held"
                message = f"{stands}; the journal of {period} has {booked[0]} and {booked[1]}"
                yield Finding(f"reservation {hold.rid}", message)


CHECKS = (Check(8, "the account is the sum of its journal, and was never over its limit", journaled, reads_log=False),)
