"""Checks 5 to 7: every hold that no answer is named by is closed for a reason, and none is left open."""

from collections.abc import Iterator
from datetime import timedelta

from taor_cli.audit.evidence import Evidence, HoldState
from taor_cli.audit.findings import Check, Finding

# Expiry is a sweep of the budget service, not an alarm clock.
EXPIRY_GRACE = timedelta(seconds=60)
TAKE_OVER = "take-over"


def others(evidence: Evidence) -> Iterator[Finding]:
    """5: every other closed hold says why, and a take-over charges at most one."""
    calls = evidence.own_calls
    for hold in evidence.holds:
        if hold.rid in calls:
            continue
        name = f"reservation {hold.rid}"
        match hold.state:
            case HoldState.RELEASED:
                if hold.booked_microdollars or not hold.reason:
                    yield Finding(
                        name, f"released with {hold.booked_microdollars} µ$ booked and the reason {hold.reason!r}"
                    )
            case HoldState.CHARGED | HoldState.EXPIRED:
                if hold.booked_microdollars != hold.held_microdollars or not hold.reason:
                    yield Finding(
                        name, f"{hold.state} with {hold.booked_microdollars} of {hold.held_microdollars} µ$ booked"
                    )
            case HoldState.UNKNOWN:
                yield Finding(name, "is in an unknown state")
            case HoldState.HELD | HoldState.SETTLED:
                pass
    charged = sum(hold.state is HoldState.CHARGED and hold.reason == TAKE_OVER for hold in evidence.holds)
    take_overs = max(evidence.inspection.epoch - 1, 0)
    if charged > take_overs:
        yield Finding("reservations", f"{charged} were charged by take-overs, of which there were {take_overs}")


def released(evidence: Evidence) -> Iterator[Finding]:
    """6: a RELEASED hold is named by no entry of the log."""
    calls = evidence.own_calls
    for hold in evidence.holds:
        if hold.state is HoldState.RELEASED and hold.rid in calls:
            yield Finding(f"reservation {hold.rid}", f"released, but log {calls[hold.rid].sequence} is its answer")


def closed(evidence: Evidence) -> Iterator[Finding]:
    """7: no hold is open below the newest epoch, past its life, or of a build that rests."""
    newest_epoch = max((row.epoch for row in evidence.log), default=0)
    for hold in evidence.holds:
        if hold.state is not HoldState.HELD:
            continue
        name = f"reservation {hold.rid}"
        if hold.epoch < newest_epoch:
            yield Finding(name, f"HELD by epoch {hold.epoch}, the log is at epoch {newest_epoch}")
        if hold.expire_time + EXPIRY_GRACE < evidence.read_time:
            yield Finding(name, "HELD past its life")
        if evidence.build.state.is_resting:
            yield Finding(name, f"HELD by a build that is {evidence.build.state}")


CHECKS = (
    Check(5, "every other hold is closed for a reason", others),
    Check(6, "nothing released was ever answered", released),
    Check(7, "no hold is left open", closed),
)
