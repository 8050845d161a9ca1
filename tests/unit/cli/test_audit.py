"""An audit of a clean build finds nothing; broken in one place, it names the check and the row."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from taor_cli.audit.evidence import Balance, Evidence, HoldState, LogKind, LogRow, OperationState, Sandbox, Snapshot
from taor_cli.audit.report import Verdict, audit, lines
from taor_cli.audit.tools import GIVEN_UP
from taor_cli.builds import BuildState
from taor_cli.events import ToolAnswered
from tests.support.clean_evidence import (
    BEGAN,
    BUILD_ID,
    DAY,
    FIRST_RID,
    LOST_RID,
    SECOND_RID,
    SPARE_RID,
    clean_evidence,
    with_log_row,
)

Break = Callable[[Evidence], Evidence]


def found(evidence: Evidence) -> dict[int, list[str]]:
    """The rows that each check with a finding names."""
    broken = [line for line in audit(evidence) if line.verdict is Verdict.BROKEN]
    return {line.number: [finding.row for finding in line.findings] for line in broken}


def row(sequence: int, change: Callable[[LogRow], LogRow]) -> Break:
    return lambda evidence: with_log_row(evidence, sequence, change(evidence.log[sequence - 1]))


def hold(rid: str, **changes: object) -> Break:
    def broken(evidence: Evidence) -> Evidence:
        holds = tuple(replace(it, **changes) if it.rid == rid else it for it in evidence.holds)  # type: ignore[arg-type] # by name
        return replace(evidence, holds=holds)

    return broken


def operation(**changes: object) -> Break:
    return lambda evidence: replace(
        evidence,
        operations=(replace(evidence.operations[0], **changes),),  # type: ignore[arg-type] # by name
    )


def build(**changes: object) -> Break:
    return lambda evidence: replace(evidence, build=replace(evidence.build, **changes))  # type: ignore[arg-type] # by name


def inspection(**changes: object) -> Break:
    return lambda evidence: replace(
        evidence,
        inspection=replace(evidence.inspection, **changes),  # type: ignore[arg-type] # by name
    )


def event_dropped(evidence: Evidence) -> Evidence:
    return replace(evidence, events=evidence.events[:5] + evidence.events[6:])


def event_changed(evidence: Evidence) -> Evidence:
    answered = evidence.events[7]
    assert isinstance(answered.what, ToolAnswered)
    changed = replace(answered, what=replace(answered.what, failed=True))
    return replace(evidence, events=(*evidence.events[:7], changed, *evidence.events[8:]))


def journal_row(sequence: int, **changes: object) -> Break:
    def broken(evidence: Evidence) -> Evidence:
        rows = [replace(it, **changes) if it.sequence == sequence else it for it in evidence.journal]  # type: ignore[arg-type] # by name
        return replace(evidence, journal=tuple(rows))

    return broken


def balance(period: str, **changes: object) -> Break:
    def broken(evidence: Evidence) -> Evidence:
        rows = [replace(it, **changes) if it.period == period else it for it in evidence.balances]  # type: ignore[arg-type] # by name
        return replace(evidence, balances=tuple(rows))

    return broken


def test_a_clean_build_has_no_findings() -> None:
    assert found(clean_evidence()) == {}


BREAKS: dict[str, tuple[Break, int, str]] = {
    "a byte of a message is flipped": (
        row(4, lambda it: replace(it, body=it.body.replace(b"9 p", b"8 p"))),
        1,
        "log 4",
    ),
    "an entry is gone": (lambda it: replace(it, log=it.log[:3] + it.log[4:]), 1, "log 4"),
    "an epoch falls": (row(3, lambda it: replace(it, epoch=3)), 1, "log 4"),
    "an entry is in another segment": (row(2, lambda it: replace(it, segment=2)), 1, "log 2"),
    "a body is no JSON": (row(2, lambda it: replace(it, body=b"{")), 1, "log 2"),
    "an answer has no call": (row(5, lambda it: replace(it, call=None)), 1, "log 5"),
    "a result is missing": (row(4, lambda it: replace(it, body=b'{"role":"user","content":[]}')), 2, "log 3"),
    "results are in another order": (
        row(4, lambda it: replace(it, body=it.body.replace(b'"t-1"', b'"t-9"'))),
        2,
        "log 3",
    ),
    "a message before an answer differs": (row(2, lambda it: replace(it, body=it.body + b" ")), 3, "log 3"),
    "max_tokens differs": (
        row(5, lambda it: replace(it, call=replace(it.call, max_output_tokens=1))),  # type: ignore[type-var] # it has one
        3,
        "log 5",
    ),
    "1 µ$ is added to a settlement": (hold(FIRST_RID, booked_microdollars=4_640), 4, f"reservation {FIRST_RID}"),
    "a settled usage differs": (hold(FIRST_RID, usage=None), 4, f"reservation {FIRST_RID}"),
    "a logged call was charged": (hold(FIRST_RID, state=HoldState.CHARGED), 4, f"reservation {FIRST_RID}"),
    "a logged call was never reserved": (lambda it: replace(it, holds=it.holds[1:]), 4, "log 3"),
    "a reservation stands twice": (
        lambda it: replace(it, holds=(*it.holds, it.holds[1])),
        4,
        f"reservation {LOST_RID}",
    ),
    "an old price was used": (hold(FIRST_RID, price_id="model-1@old"), 4, f"reservation {FIRST_RID}"),
    "a rate of the price differs": (
        lambda it: replace(it, prices=(it.prices[0], replace(it.prices[1], output_rate=11_000_000), it.prices[2])),
        4,
        f"reservation {FIRST_RID}",
    ),
    "a release has no reason": (hold(SPARE_RID, reason=""), 5, f"reservation {SPARE_RID}"),
    "a charge is not the whole hold": (hold(LOST_RID, booked_microdollars=1), 5, f"reservation {LOST_RID}"),
    "more take-overs charged than there were": (inspection(epoch=1), 5, "reservations"),
    "an answered call was released": (hold(FIRST_RID, state=HoldState.RELEASED), 6, f"reservation {FIRST_RID}"),
    "a hold is open in an ended build": (hold(SPARE_RID, state=HoldState.HELD), 7, f"reservation {SPARE_RID}"),
    "the account has 1 µ$ more": (balance(DAY, spent=55_304), 8, f"period {DAY}"),
    "the journal has 1 µ$ more": (journal_row(6, spent_delta=4_640), 8, "period cycle/2026-11-01"),
    "a journal row is gone": (lambda it: replace(it, journal=it.journal[:4] + it.journal[5:]), 8, "journal 5"),
    "a day was over its limit for a moment": (journal_row(2, limit_delta=104_638), 8, "journal 16"),
    "a build shows another cost": (build(spent_microdollars=1), 8, f"build {BUILD_ID}"),
    "a period is not in the account": (lambda it: replace(it, balances=it.balances[:2]), 8, f"period build/{BUILD_ID}"),
    "a reservation is not journaled": (
        lambda it: replace(it, holds=(*it.holds, replace(it.holds[2], rid=f"{BUILD_ID}/1/9"))),
        8,
        f"reservation {BUILD_ID}/1/9",
    ),
    "the provider billed more than was booked": (
        lambda it: replace(
            it, billed=(*(it.billed or ()), *(replace((it.billed or ())[0], line=9) for _ in range(12)))
        ),
        9,
        "reservations",
    ),
    "the provider billed another usage": (lambda it: replace(it, billed=(it.billed or ())[:1]), 9, "log 5"),
    "an overrun is not accounted for": (balance(f"build/{BUILD_ID}", overrun=1), 9, f"period build/{BUILD_ID}"),
    "an operation was asked for by no entry": (operation(log_sequence=5), 10, f"operation {FIRST_RID}/2"),
    "an operation is of a later entry than there is": (operation(log_sequence=99), 10, f"operation {FIRST_RID}/2"),
    "a build that went on does not say what came of a call": (
        row(4, lambda it: replace(it, body=it.body.replace(b'"9 passed"', f'"{GIVEN_UP}", "is_error": true'.encode()))),
        10,
        f"operation {FIRST_RID}/2",
    ),
    "another result was told": (operation(result_sha256=b"\0" * 32), 10, f"operation {FIRST_RID}/2"),
    "an operation was claimed twice": (operation(claims=2), 11, f"operation {FIRST_RID}/2"),
    "an operation ran in no generation": (operation(generation=2), 11, f"operation {FIRST_RID}/2"),
    "an operation ran before there was a sandbox": (operation(generation=0), 11, f"operation {FIRST_RID}/2"),
    "an operation is open in an ended build": (
        operation(state=OperationState.STARTING),
        11,
        f"operation {FIRST_RID}/2",
    ),
    "the newest snapshot is too old": (
        lambda it: replace(it, snapshots=(Snapshot("s-1", "", 0, 1),)),
        12,
        "snapshot s-1",
    ),
    "a snapshot covers an operation that never was": (
        lambda it: replace(it, snapshots=(*it.snapshots, Snapshot("s-0", f"{FIRST_RID}/1", 3, 1))),
        12,
        "snapshot s-0",
    ),
    "a snapshot covers an operation of another entry": (
        lambda it: replace(it, snapshots=(*it.snapshots, Snapshot("s-0", f"{FIRST_RID}/2", 2, 1))),
        12,
        "snapshot s-0",
    ),
    "a snapshot was taken of no generation": (
        lambda it: replace(it, snapshots=(*it.snapshots, Snapshot("s-0", "", 0, 2))),
        12,
        "snapshot s-0",
    ),
    "there is no snapshot": (lambda it: replace(it, snapshots=()), 12, f"operation {FIRST_RID}/2"),
    "an event is dropped": (event_dropped, 13, "event 6"),
    "the last event is dropped": (lambda it: replace(it, events=it.events[:-1]), 13, "event 14"),
    "an event says something else than the log": (event_changed, 13, "answer 2 of the events"),
    "an entry is not derived yet": (inspection(projected_sequence=6), 13, f"build {BUILD_ID}"),
    "an item was read by no entry": (row(7, lambda it: replace(it, inbox_ids=())), 14, "inbox in-1"),
    "an entry names an unknown item": (row(6, lambda it: replace(it, inbox_ids=("in-2",))), 14, "inbox in-2"),
    "money was reserved after the cancellation": (
        hold(SECOND_RID, reserve_time=BEGAN + timedelta(seconds=8)),
        14,
        f"reservation {SECOND_RID}",
    ),
    "the checkpoint's fence is ahead": (lambda it: replace(it, checkpoint_epoch=3), 15, "fence of checkpoint"),
    "an ended build has a ticket": (inspection(ticketed=True), 15, f"build {BUILD_ID}"),
    "an ended build has a working sandbox": (
        lambda it: replace(it, sandbox=Sandbox("READY", 1, 2)),
        15,
        "sandbox 1",
    ),
    "the budget's newest reservation is ahead": (hold(SECOND_RID, epoch=3), 15, "fence of budget"),
    "the sandbox's fence is ahead": (lambda it: replace(it, sandbox=Sandbox("KEPT", 1, 3)), 15, "fence of sandbox"),
    "a build at work has a ticket": (
        inspection(state=BuildState.RUNNING, ticketed=True),
        15,
        f"build {BUILD_ID}",
    ),
    "a queued build has no ticket": (inspection(state=BuildState.QUEUED), 15, f"build {BUILD_ID}"),
    "a sleeping build has no time to wake": (
        build(state=BuildState.SLEEPING, end_time=None, last_event_sequence=0),
        15,
        f"build {BUILD_ID}",
    ),
    "an ended build has a time to wake": (build(wake_time=BEGAN), 15, f"build {BUILD_ID}"),
    "an ended build has no time of its end": (build(end_time=None), 15, f"build {BUILD_ID}"),
    "a build is where no event says": (build(state=BuildState.FAILED), 15, f"build {BUILD_ID}"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_build_that_is_broken_in_one_place_is_found_and_the_row_is_named(name: str) -> None:
    broken, number, named = BREAKS[name]
    assert named in found(broken(clean_evidence())).get(number, [])


def test_every_check_is_broken_at_least_once() -> None:
    assert {number for _, number, _ in BREAKS.values()} == {line.number for line in audit(clean_evidence())}


def test_a_build_at_work_is_judged_only_by_what_must_hold_at_every_moment() -> None:
    evidence = clean_evidence()
    at_work = replace(
        evidence,
        build=replace(evidence.build, state=BuildState.RUNNING, last_event_sequence=10, end_time=None),
        log=evidence.log[:5],
        holds=(*evidence.holds[:3], replace(evidence.holds[3], state=HoldState.HELD, booked_microdollars=0)),
        journal=evidence.journal[:-3],
        balances=tuple(_open(balance) for balance in evidence.balances),
        events=evidence.events[:10],
    )
    report = audit(at_work)
    assert found(at_work) == {}
    assert [line.number for line in report if line.verdict is Verdict.NOT_NOW] == [9, 12, 14]


def test_a_log_that_cannot_be_read_is_one_finding_and_not_many() -> None:
    evidence = clean_evidence()
    unreadable = replace(evidence, log=evidence.log[:3], log_unreadable="the stored entry 4 is not what was appended")
    report = audit(unreadable)
    assert found(unreadable) == {1: ["log"]}
    assert [line.number for line in report if line.verdict is Verdict.UNREADABLE] == [2, 3, 4, 5, 6, 7, 9, 10, 13, 14]


def test_what_a_fork_inherited_is_not_audited_as_its_own() -> None:
    evidence = clean_evidence()
    first = evidence.log[2]
    assert first.call is not None
    inherited = replace(first, call=replace(first.call, rid="0198f3a1-0000-7000-8000-00000000aaaa/1/0"))
    assert FIRST_RID not in with_log_row(evidence, 3, inherited).own_calls


def test_a_larger_prompt_is_priced_by_its_tier_and_rounded_up_once() -> None:
    from taor_cli.audit.evidence import Usage
    from taor_cli.audit.prices import cost, price_row

    prices = clean_evidence().prices
    small, large = Usage(100_000, 1), Usage(1, 1, cache_read_tokens=100_000)
    small_row, large_row = (price_row(prices, "model-1", BEGAN, usage) for usage in (small, large))
    assert small_row is prices[1]
    assert large_row is prices[2]
    assert cost(Usage(0, 0, cache_read_tokens=1), prices[1]) == 1
    assert cost(Usage(0, 0, cache_read_tokens=10, cache_write_5m_tokens=2), prices[1]) == 6
    assert price_row(prices, "unknown", BEGAN, small) is None


def test_the_report_has_one_line_per_check_and_one_per_finding() -> None:
    report = audit(hold(FIRST_RID, booked_microdollars=4_640)(clean_evidence()))
    told = list(lines(report))
    assert [text for text, _ in told][3] == "✗  4 every logged call is settled once, at its price"
    assert told[4][0].endswith("booked 4640 µ$, its usage costs 4639 µ$")
    assert told[0] == ("✓  1 the log has no gap, and every hash is that of its bytes", False)


def _open(balance: Balance) -> Balance:
    return replace(balance, spent=balance.spent - 664, reserved=50_000)


def test_log_kinds_without_content_are_no_messages() -> None:
    from taor_cli.audit.messages import tool_uses

    outcome = clean_evidence().log[6]
    assert outcome.kind is LogKind.OUTCOME
    assert tool_uses(outcome) == ()
