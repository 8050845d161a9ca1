"""Checks 14 and 15: what was sent to the build was heard once, and nobody works on it who should not."""

from collections import Counter
from collections.abc import Iterator

from taor_cli.audit.evidence import Evidence, HoldState
from taor_cli.audit.findings import Check, Finding
from taor_cli.builds import BuildState
from taor_cli.events import Ended, StateChanged, What

_TIMED = (BuildState.SLEEPING, BuildState.WAITING_BUDGET)
_GONE = ("KEPT", "PAUSED", "DESTROYED", "FENCED")


def heard(evidence: Evidence) -> Iterator[Finding]:
    """14: what is marked as read is named by exactly that log entry; nothing is paid for after a cancellation."""
    named = Counter(inbox_id for row in evidence.log for inbox_id in row.inbox_ids)
    carriers = {inbox_id: row for row in evidence.log for inbox_id in row.inbox_ids}
    known = {item.inbox_id for item in evidence.inspection.inbox}
    for inbox_id, count in named.items():
        if count > 1 or inbox_id not in known:
            yield Finding(
                f"inbox {inbox_id}", f"is named by {count} log entries, and {'' if inbox_id in known else 'un'}known"
            )
    for item in evidence.inspection.inbox:
        row = carriers.get(item.inbox_id)
        if (row.sequence if row else 0) != item.log_sequence:
            where = f"by log {row.sequence}" if row else "by none"
            yield Finding(f"inbox {item.inbox_id}", f"is marked as read by log {item.log_sequence}, but named {where}")
        elif row and item.is_cancel:
            for hold in evidence.holds:
                if hold.reserve_time > row.append_time and hold.state is not HoldState.RELEASED:
                    yield Finding(
                        f"reservation {hold.rid}", f"was reserved after the cancellation in log {row.sequence}"
                    )


def fenced(evidence: Evidence) -> Iterator[Finding]:
    """15: no fence is above the orchestrator's epoch; a build is in one place; an ended one has no working sandbox."""
    epoch = evidence.inspection.epoch
    fences = {
        "checkpoint": evidence.checkpoint_epoch,
        "log": max((row.epoch for row in evidence.log), default=0),
        "sandbox": evidence.sandbox.epoch if evidence.sandbox else 0,
        "budget": max((hold.epoch for hold in evidence.holds), default=0),
    }
    for name, fence in fences.items():
        if fence > epoch:
            yield Finding(f"fence of {name}", f"is at epoch {fence}, the build at {epoch}")
    yield from _one_place(evidence)
    if evidence.build.state.is_ended and evidence.sandbox and evidence.sandbox.state not in _GONE:
        yield Finding(f"sandbox {evidence.sandbox.generation}", f"is {evidence.sandbox.state}, its build has ended")


def _one_place(evidence: Evidence) -> Iterator[Finding]:
    """Exactly one of queued, at work, resting until a time, waiting for people, and ended."""
    build, inspection = evidence.build, evidence.inspection
    has = (
        (inspection.state, "a ticket", inspection.ticketed, inspection.state is BuildState.QUEUED),
        (build.state, "a time to wake", build.wake_time is not None, build.state in _TIMED),
        (build.state, "a time of its end", build.end_time is not None, build.state.is_ended),
    )
    for state, what, is_there, must_be_there in has:
        if is_there != must_be_there:
            yield Finding(f"build {build.build_id}", f"is {state} and has {'' if is_there else 'not '}{what}")
    yield from _told_place(evidence)


def _told_place(evidence: Evidence) -> Iterator[Finding]:
    """A build that rests is where its last event says; while it works, both are never read at one moment."""
    build, events = evidence.build, evidence.events
    if not build.state.is_resting or not events or events[-1].sequence != build.last_event_sequence:
        return
    told = [state for event in events if (state := _place_of(event.what)) is not None]
    if told and told[-1] is not build.state:
        yield Finding(f"build {build.build_id}", f"is {build.state}, its events say {told[-1]}")


def _place_of(what: What) -> BuildState | None:
    match what:
        case StateChanged(after=state) | Ended(state=state):
            return state
        case _:
            return None


CHECKS = (
    Check(14, "what was sent to the build was heard once", heard, at_rest_only=True),
    Check(15, "no fence is ahead, and the build is in one place", fenced, reads_log=False),
)
