"""A small build as an audit reads it, with nothing wrong: two claims, two turns, a tool of each kind, a good end."""

import hashlib
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from taor_cli.audit.evidence import (
    Balance,
    Billed,
    Call,
    Evidence,
    Hold,
    HoldState,
    InboxItem,
    Inspection,
    JournalRow,
    LogKind,
    LogRow,
    Operation,
    OperationState,
    Price,
    Sandbox,
    Snapshot,
    Usage,
)
from taor_cli.builds import Build, BuildState
from taor_cli.events import Documented, Ended, Event, Narrated, StateChanged, ToolAnswered, ToolCalled, TurnTaken, What

BUILD_ID = "0198f3a1-0000-7000-8000-000000000001"
BEGAN = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
MODEL = "model-1"
HELD = 50_000
CYCLE, DAY = "cycle/2026-11-01", "day/2026-11-25"
CYCLE_LIMIT, DAY_LIMIT = 1_000_000, 200_000
FIRST_RID, LOST_RID, SPARE_RID, SECOND_RID = (f"{BUILD_ID}/{suffix}" for suffix in ("1/0", "1/1", "1/2", "2/0"))
FIRST_USAGE = Usage(
    input_tokens=10, output_tokens=101, cache_read_tokens=7, cache_write_5m_tokens=3, cache_write_1h_tokens=900
)
SECOND_USAGE = Usage(input_tokens=11, output_tokens=55, cache_read_tokens=920)
# ceil((10·2 + 101·10 + 7·0.1 + 3·2.5 + 900·4) µ$) and ceil((11·2 + 55·10 + 920·0.1) µ$), reckoned by hand.
FIRST_COST, SECOND_COST = 4_639, 664
RESULT = "9 passed"


def clean_evidence() -> Evidence:
    """The build, its log, its money, its effects and its events, all in agreement."""
    log = _log()
    holds = _holds()
    journal, balances = _account(holds)
    return Evidence(
        read_time=BEGAN + timedelta(minutes=10),
        build=_build(),
        inspection=Inspection(
            state=BuildState.SUCCEEDED,
            epoch=2,
            projected_sequence=len(log),
            ticketed=False,
            inbox=(InboxItem("in-1", True, 7),),
        ),
        checkpoint_epoch=2,
        log=log,
        log_unreadable="",
        holds=holds,
        prices=_prices(),
        journal=journal,
        balances=balances,
        operations=(_operation(),),
        snapshots=(Snapshot("s-2", f"{FIRST_RID}/2", 3, 1), Snapshot("s-1", "", 0, 1)),
        sandbox=Sandbox("KEPT", 1, 2),
        events=_events(),
        billed=_billed(log),
    )


def with_log_row(evidence: Evidence, sequence: int, row: LogRow) -> Evidence:
    """The evidence with another entry in the place of one."""
    return replace(evidence, log=(*evidence.log[: sequence - 1], row, *evidence.log[sequence:]))


def _build() -> Build:
    return Build(
        build_id=BUILD_ID,
        project_id="shop",
        user_id="me",
        tier="partner",
        model=MODEL,
        state=BuildState.SUCCEEDED,
        outcome_message="It runs.",
        turns=2,
        tool_calls=4,
        spent_microdollars=FIRST_COST + SECOND_COST + HELD,
        preview_port=8000,
        last_event_sequence=14,
        create_time=BEGAN,
        end_time=BEGAN + timedelta(minutes=5),
        wake_time=None,
    )


@dataclass
class _Log:
    rows: list[LogRow] = field(default_factory=list)

    def add(
        self, epoch: int, kind: LogKind, body: object, call: Call | None = None, inbox: tuple[str, ...] = ()
    ) -> None:
        data = json.dumps(body).encode()
        sequence = len(self.rows) + 1
        time = BEGAN + timedelta(seconds=sequence)
        self.rows.append(LogRow(sequence, 1, epoch, kind, data, hashlib.sha256(data).digest(), inbox, call, time))

    def call(self, rid: str, usage: Usage) -> Call:
        messages = [row.body for row in self.rows[1:]]
        request = (
            self.rows[0].body[:-1] + b',"max_tokens":4096,"stream":true,"messages":[' + b",".join(messages) + b"]}"
        )
        start = BEGAN + timedelta(seconds=len(self.rows))
        return Call(rid, hashlib.sha256(request).digest(), MODEL, 4096, usage, f"{MODEL}@new", start)


def _log() -> tuple[LogRow, ...]:
    log = _Log()
    log.add(1, LogKind.HEAD, {"model": MODEL, "system": [], "tools": []})
    log.add(1, LogKind.USER, {"role": "user", "content": [{"type": "text", "text": "A shop."}]})
    uses = [
        {"type": "text", "text": "Look."},
        {"type": "tool_use", "id": "t-1", "name": "narrate", "input": {"message": "I look around."}},
        {"type": "tool_use", "id": "t-2", "name": "bash", "input": {"command": "make"}},
        {"type": "tool_use", "id": "t-3", "name": "document", "input": {"section": "faq", "content": "…"}},
    ]
    log.add(1, LogKind.ASSISTANT, {"role": "assistant", "content": uses}, log.call(FIRST_RID, FIRST_USAGE))
    results = [
        {"type": "tool_result", "tool_use_id": "t-1", "content": "Shown."},
        {"type": "tool_result", "tool_use_id": "t-2", "content": RESULT},
        {"type": "tool_result", "tool_use_id": "t-3", "content": "Saved."},
    ]
    log.add(1, LogKind.USER, {"role": "user", "content": results})
    finish = [{"type": "tool_use", "id": "t-1", "name": "finish", "input": {"summary": "It runs."}}]
    log.add(2, LogKind.ASSISTANT, {"role": "assistant", "content": finish}, log.call(SECOND_RID, SECOND_USAGE))
    done = [{"type": "tool_result", "tool_use_id": "t-1", "content": "The build is finished."}]
    log.add(2, LogKind.USER, {"role": "user", "content": done})
    outcome: dict[str, object] = {"state": "SUCCEEDED", "message": "It runs.", "preview_port": 8000}
    outcome |= {"verification_command": "make", "verification_outcome": RESULT}
    log.add(2, LogKind.OUTCOME, outcome, inbox=("in-1",))
    return tuple(log.rows)


def _holds() -> tuple[Hold, ...]:
    """The first call, one whose worker died, one that was not needed, and the second call."""
    return (
        _hold(FIRST_RID, 1, HoldState.SETTLED, FIRST_COST, FIRST_USAGE),
        _hold(LOST_RID, 1, HoldState.CHARGED, HELD, reason="take-over"),
        _hold(SPARE_RID, 1, HoldState.RELEASED, 0, reason="never sent"),
        _hold(SECOND_RID, 2, HoldState.SETTLED, SECOND_COST, SECOND_USAGE),
    )


def _hold(rid: str, epoch: int, state: HoldState, booked: int, usage: Usage | None = None, reason: str = "") -> Hold:
    life = timedelta(minutes=30)
    return Hold(rid, epoch, state, HELD, booked, f"{MODEL}@new", usage, reason, BEGAN, BEGAN + life)


def _prices() -> tuple[Price, ...]:
    old, new = BEGAN - timedelta(days=90), BEGAN - timedelta(days=30)
    return (
        Price(f"{MODEL}@old", MODEL, old, 0, 4_000_000, 20_000_000, 200_000, 5_000_000, 8_000_000),
        Price(f"{MODEL}@new", MODEL, new, 0, 2_000_000, 10_000_000, 100_000, 2_500_000, 4_000_000),
        Price(f"{MODEL}@new", MODEL, new, 100_000, 20_000_000, 100_000_000, 1_000_000, 25_000_000, 40_000_000),
    )


def _account(holds: tuple[Hold, ...]) -> tuple[tuple[JournalRow, ...], tuple[Balance, ...]]:
    """The journal that leads to these holds, and what it sums to; each hold is closed before the next is made."""
    build = f"build/{BUILD_ID}"
    rows = [JournalRow(1, "", CYCLE, CYCLE_LIMIT, 0, 0, 0), JournalRow(2, "", DAY, DAY_LIMIT, 0, 0, 0)]
    for hold in holds:
        for reserved, spent in ((HELD, 0), (-HELD, hold.booked_microdollars)):
            for period in (CYCLE, DAY, build):
                rows.append(JournalRow(len(rows) + 1, hold.rid, period, 0, reserved, spent, 0))
    spent = sum(hold.booked_microdollars for hold in holds)
    balances = (
        Balance(CYCLE, CYCLE_LIMIT, 0, spent, 0),
        Balance(DAY, DAY_LIMIT, 0, spent, 0),
        Balance(build, 0, 0, spent, 0),
    )
    return tuple(rows), balances


def _operation() -> Operation:
    digest = hashlib.sha256(RESULT.encode()).digest()
    return Operation(f"{FIRST_RID}/2", 3, 1, OperationState.DONE, digest, 1)


def _events() -> tuple[Event, ...]:
    whats: tuple[tuple[int, What], ...] = (
        (0, StateChanged(BuildState.QUEUED, BuildState.RUNNING, "claimed")),
        (3, TurnTaken(1, "Look.", FIRST_USAGE.prompt_tokens, 7, 101)),
        (3, ToolCalled(f"{FIRST_RID}/1", "narrate", "")),
        (3, ToolCalled(f"{FIRST_RID}/2", "bash", "make")),
        (3, ToolCalled(f"{FIRST_RID}/3", "document", "faq")),
        (4, Narrated("I look around.")),
        (4, ToolAnswered(f"{FIRST_RID}/1", "narrate", False, "Shown.")),
        (4, ToolAnswered(f"{FIRST_RID}/2", "bash", False, RESULT)),
        (4, ToolAnswered(f"{FIRST_RID}/3", "document", False, "Saved.")),
        (4, Documented("faq")),
        (5, TurnTaken(2, "", SECOND_USAGE.prompt_tokens, 920, 55)),
        (5, ToolCalled(f"{SECOND_RID}/0", "finish", "")),
        (6, ToolAnswered(f"{SECOND_RID}/0", "finish", False, "The build is finished.")),
        (7, Ended(BuildState.SUCCEEDED, "It runs.", "make", RESULT, 8000)),
    )
    return tuple(
        Event(number, log_sequence, BEGAN + timedelta(seconds=number), what)
        for number, (log_sequence, what) in enumerate(whats, start=1)
    )


def _billed(log: tuple[LogRow, ...]) -> tuple[Billed, ...]:
    return tuple(
        Billed(line, row.call.request_sha256, MODEL, row.call.start_time, row.call.usage)
        for line, row in enumerate((row for row in log if row.call), start=1)
        if row.call and row.call.usage
    )
