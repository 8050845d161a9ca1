"""A world in memory for the loop: durable stores that outlive a tenure, and a switch that kills it at any boundary.

Each port keeps the semantics of its service that the loop relies on (fences, idempotency, operations run once); the
services themselves are tested against real databases elsewhere.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from taor_chassis.clock import SystemClock
from taor_orchestrator.build import Assignment, BuildState, Claim
from taor_orchestrator.history import Entry, EntryKind, History
from taor_orchestrator.inbox import InboxText, Signals, TextKind
from taor_orchestrator.model.port import Answer, CallFailed, StopReason, Usage
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
    Purpose,
    Reserved,
    Settlement,
)
from taor_orchestrator.ports import NO_FORECASTS, Attached, DependencyDown, Fate, Holds, LeaseLost, Ports, Rest
from taor_orchestrator.toolset import Bash, Operation, OperationState, ToolInput
from taor_orchestrator.transcript import ToolAnswer

SLOW_APPEND_STEPS = 40
"""An append takes longer than anything that could overtake it."""


class Killed(BaseException):
    """The process was killed here."""


class Switch:
    """Kills the tenure at the boundary with this number; counts the boundaries of an unkilled one."""

    def __init__(self, kill_at: int | None = None) -> None:
        self.passed = 0
        self._kill_at = kill_at

    async def boundary(self) -> None:
        await asyncio.sleep(0)
        self.passed += 1
        if self._kill_at is not None and self.passed >= self._kill_at:
            raise Killed


@dataclass
class Reservation:
    need: Need
    state: str = "HELD"
    settlement: Settlement | None = None


Script = Sequence[Sequence[dict[str, object]]]


@dataclass
class World:
    """What survives a kill."""

    script: Script
    log: list[Entry] = field(default_factory=list)
    epoch: int = 0
    reservations: dict[str, Reservation] = field(default_factory=dict)
    holds_ahead: bool = True
    limit: int = 10**9
    spent: int = 0
    version: int = 1
    earmarks: bool = True
    most_earmarks: list[int] = field(default_factory=list)
    finished_turns: list[int] = field(default_factory=list)
    forecasts: dict[int, Forecast] = field(default_factory=dict)
    forecasts_fail: bool = False
    broke: bool = False
    cancelled: bool = False
    sends: int = 0
    calls: list[str] = field(default_factory=list)
    operations: dict[str, str] = field(default_factory=dict)
    results: dict[str, ToolAnswer] = field(default_factory=dict)
    projected: int = 0
    denials: list[Denial] = field(default_factory=list)
    failures: list[CallFailed] = field(default_factory=list)
    texts: list[InboxText] = field(default_factory=list)
    paused: bool = False
    woken: int = 0
    rests: list[Rest] = field(default_factory=list)
    fates: list[Fate] = field(default_factory=list)

    def claim(self) -> Claim:
        self.epoch += 1
        return Claim(
            tenant_id="local",
            build_id="0193f0c2-0000-7000-8000-00000000000a",
            epoch=self.epoch,
            owner=f"owner-{self.epoch}",
            user_id="user",
            project_id="project",
            model="model",
            max_output_tokens=8_000,
            assignment=Assignment("Say hello.", (), "One step."),
        )

    def ports(self, switch: Switch) -> Ports:
        return Ports(
            model=Model(self, switch),
            checkpoint=Checkpoint(self, switch),
            budget=Budget(self, switch),
            sandbox=Sandbox(self, switch),
            builds=Builds(self, switch),
            lease=Lease(self.signals()),
            clock=SystemClock(),
        )

    def send(self, kind: TextKind, words: str) -> None:
        """A person tells the build something."""
        self.texts.append(InboxText(f"item-{len(self.texts)}", kind, words))
        self.woken += kind is TextKind.ANSWER

    def signals(self) -> Signals:
        """What waits for a worker."""
        return Signals(self.cancelled, self.paused, bool(self.unmarked()))

    def unmarked(self) -> list[InboxText]:
        """The texts that the projection has not marked as read."""
        marked = {item for entry in self.log[: self.projected] for item in entry.inbox_ids}
        return [each for each in self.texts if each.inbox_id not in marked]

    def states(self) -> list[str]:
        """The states of the calls' reservations; earmarks apart."""
        return [each.state for each in self.reservations.values() if each.need.purpose is not Purpose.EARMARK]

    def held(self, purpose: Purpose) -> Iterator[Reservation]:
        """The open reservations of one purpose."""
        return (each for each in self.reservations.values() if (each.state, each.need.purpose) == ("HELD", purpose))

    def holds_nothing(self) -> bool:
        """Whether no reservation of any kind is open."""
        return all(each.state != "HELD" for each in self.reservations.values())


class Lease:
    def __init__(self, signals: Signals) -> None:
        self.cancel_requested = asyncio.Event()
        self.pause_requested = asyncio.Event()
        self.inbox_waiting = asyncio.Event()
        self.handing_over = asyncio.Event()
        self.hear(signals)

    def hear(self, signals: Signals) -> None:
        for event, is_set in (
            (self.pause_requested, signals.pause_requested),
            (self.inbox_waiting, signals.inbox_waiting),
        ):
            event.set() if is_set else event.clear()

    def check(self) -> None:
        return


@dataclass
class Port:
    world: World
    switch: Switch

    def fence(self, claim: Claim) -> None:
        if claim.epoch < self.world.epoch:
            raise LeaseLost


class Model(Port):
    async def call(self, request: bytes, *, on_delta: object, timeout_seconds: float) -> Answer:
        self.world.sends += 1
        await self.switch.boundary()
        if self.world.failures:
            raise self.world.failures.pop(0)
        body = orjson.loads(request)
        self.world.calls.append(hashlib.sha256(request).hexdigest())
        step = sum(message["role"] == "assistant" for message in body["messages"])
        blocks = self.world.script[step]
        await self.switch.boundary()
        wants_tools = any(block["type"] == "tool_use" for block in blocks)
        return Answer(
            message=orjson.dumps({"role": "assistant", "content": blocks}),
            blocks=(),
            stop_reason=StopReason.TOOL_USE if wants_tools else StopReason.END_TURN,
            usage=Usage(len(request) // 4, 10, 0, 0, 0, "standard"),
            provider_request_id="",
            model="model",
        )

    async def close(self) -> None:
        return


class Checkpoint(Port):
    async def attach(self, claim: Claim) -> History:
        await self.switch.boundary()
        self.fence(claim)
        return History(tuple(self.world.log))

    async def append(self, claim: Claim, head: int, entries: Sequence[Entry]) -> None:
        for _ in range(SLOW_APPEND_STEPS):
            await asyncio.sleep(0)
        await self.switch.boundary()
        self.fence(claim)
        assert head == len(self.world.log), "a head that moved"
        self.world.log += entries
        await self.switch.boundary()


class Budget(Port):
    async def attach(self, claim: Claim) -> Holds:
        await self.switch.boundary()
        held = [
            Hold(rid, HoldState.HELD, each.need.needs_sequence, earmark=each.need.purpose is Purpose.EARMARK)
            for rid, each in self.world.reservations.items()
            if each.state == "HELD"
        ]
        return Holds(tuple(held), self._allowance())

    async def reserve(self, claim: Claim, need: Need) -> Reserved:
        await self.switch.boundary()
        if need.purpose is Purpose.CALL and self.world.denials:
            return Reserved(self.world.denials.pop(0), self._allowance())
        if self.world.broke:
            return Reserved(Denial(DenialCause.LIMIT, 7, TOMORROW, 10, 0), self._allowance())
        if need.earmark and not self.world.earmarks:
            return Reserved(Denial(DenialCause.LIMIT, 1, TOMORROW, 2 * self.world.limit, 0), self._allowance())
        grant = self._set_aside(need, self._set_aside(need.earmark) if need.earmark else None)
        if need.replaces:
            self._close(need.replaces, "RELEASED")
        self.world.most_earmarks.append(len(tuple(self.world.held(Purpose.EARMARK))))
        await self.switch.boundary()
        return Reserved(grant, self._allowance())

    def _set_aside(self, need: Need, earmark: Grant | None = None) -> Grant:
        assert need.rid not in self.world.reservations, "one id, one hold"
        self.world.reservations[need.rid] = Reservation(need)
        most, prompt = need.max_output_tokens, need.prompt_tokens
        return Grant(need.rid, 10**9, 10**6, 10**6, 10**9, most, "price", float("inf"), prompt, earmark)

    async def advance(self, claim: Claim, settlement: Settlement, need: Need) -> Reserved:
        allowance = await self.settle(claim, settlement)
        if not self.world.holds_ahead:
            return Reserved(Denial(DenialCause.HOLDS, 1, TOMORROW, 10, 0), allowance)
        return await self.reserve(claim, need)

    async def settle(self, claim: Claim, settlement: Settlement) -> Allowance:
        await self.switch.boundary()
        rid = settlement.rid
        self.world.spent += self.world.reservations[rid].state == "HELD"
        self._close(rid, "SETTLED", settlement)
        return self._allowance()

    def _allowance(self) -> Allowance:
        limit, spent = self.world.limit, self.world.spent
        return Allowance(limit, limit, spent, spent, TOMORROW, self.world.version)

    async def release(self, claim: Claim, rid: str, reason: str) -> None:
        await self.switch.boundary()
        self.fence(claim)
        self._close(rid, "RELEASED")

    async def charge(self, claim: Claim, rid: str, reason: str) -> Allowance:
        await self.switch.boundary()
        self.fence(claim)
        self._close(rid, "CHARGED")
        return self._allowance()

    async def forecast(self, claim: Claim, finished_turns: Sequence[int]) -> Forecast | None:
        if self.world.forecasts_fail:
            raise DependencyDown("the budget is away")
        outlook = Outlook(1, TOMORROW, max(finished_turns, default=None), None)
        return Forecast(outlook, outlook)

    def _close(self, rid: str, state: str, settlement: Settlement | None = None) -> None:
        reservation = self.world.reservations[rid]
        assert reservation.state in ("HELD", state), f"{rid} is {reservation.state}, not {state}"
        self.world.reservations[rid] = dataclasses.replace(reservation, state=state, settlement=settlement)


class Sandbox(Port):
    async def attach(self, claim: Claim, attach_number: int, tail_sequence: int) -> Attached:
        await self.switch.boundary()
        states = dict.fromkeys(self.world.operations, OperationState.STARTING)
        states |= dict.fromkeys(self.world.results, OperationState.DONE)
        return Attached(1, tuple(Operation(op_id, state) for op_id, state in states.items()))

    async def dispatch(
        self, claim: Claim, generation: int, op_id: str, log_sequence: int, tool: ToolInput
    ) -> ToolAnswer:
        await self.switch.boundary()
        self.fence(claim)
        if not isinstance(tool, Bash):
            return ToolAnswer("read")
        assert len(self.world.log) >= log_sequence, "a change before its call is logged"
        if op_id not in self.world.results:
            assert op_id not in self.world.operations, "a change is made once"
            self.world.operations[op_id] = tool.command
            failed = ToolAnswer("FAIL: one\n[The command ended with status 1.]\n", failed=True)
            self.world.results[op_id] = failed if tool.command == "make fail" else ToolAnswer(f"ran {tool.command}")
        await self.switch.boundary()
        return self.world.results[op_id]

    async def cancel(self, claim: Claim, generation: int, op_id: str) -> bool:
        await self.switch.boundary()
        if op_id in self.world.operations:
            self.world.results.setdefault(op_id, ToolAnswer("killed", failed=True))
        return op_id in self.world.operations

    async def snapshot(self, claim: Claim, generation: int) -> None:
        await self.switch.boundary()

    async def release(self, claim: Claim, generation: int, fate: Fate) -> None:
        await self.switch.boundary()
        self.world.fates.append(fate)


class Builds(Port):
    async def project(
        self, claim: Claim, history: History, spent_microdollars: int, forecasts: Mapping[int, Forecast] = NO_FORECASTS
    ) -> None:
        await self.switch.boundary()
        self.fence(claim)
        assert history.head <= len(self.world.log), "the projection is never ahead of the log"
        self.world.projected = history.head
        self.world.forecasts |= forecasts

    async def wake_generation(self, claim: Claim) -> int:
        return self.world.woken

    async def finished_turns(self, claim: Claim) -> list[int]:
        return self.world.finished_turns

    async def rest(self, claim: Claim, rest: Rest, wake_generation: int) -> datetime.datetime | None:
        self.world.rests.append(rest)
        return rest.not_before or TOMORROW

    async def wait(self, claim: Claim, state: BuildState, wake_generation: int) -> bool:
        await self.switch.boundary()
        self.fence(claim)
        is_moot = self.world.cancelled or self.world.paused != (state is BuildState.PAUSED)
        return not is_moot and self.world.woken == wake_generation

    async def unread(self, claim: Claim) -> list[InboxText]:
        await self.switch.boundary()
        return self.world.unmarked()

    async def signals(self, claim: Claim) -> Signals:
        return self.world.signals()

    async def cancel_item(self, claim: Claim) -> str | None:
        return "cancel-1" if self.world.cancelled else None


def use(name: str, **fields: object) -> dict[str, object]:
    """A tool_use block; the ids repeat, as those of compatible servers do."""
    return {"type": "tool_use", "id": "call_0", "name": name, "input": fields}


def text(words: str) -> dict[str, object]:
    """A text block."""
    return {"type": "text", "text": words}


FINISH = use("finish", summary="It runs.", verification={"command": "./check", "outcome": "ok"})

SCRIPT: Script = [
    [text("First."), use("narrate", message="Starting."), use("bash", command="echo a >> count")],
    [use("read_file", path="count"), use("grep", pattern="a"), use("bash", command="echo b >> count")],
    [use("bash", command="./check")],
    [FINISH],
]

TOMORROW = datetime.datetime(2030, 1, 2, tzinfo=datetime.UTC)


def kinds(world: World) -> str:
    """The kinds of the log's entries by their first letters."""
    return "".join(entry.kind.value[0] for entry in world.log)


def settled_calls(world: World) -> int:
    """How many answers the log holds."""
    return sum(entry.kind is EntryKind.ASSISTANT for entry in world.log)
