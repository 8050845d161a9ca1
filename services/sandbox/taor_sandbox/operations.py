"""Dispatch: each changing tool call runs once, is followed by whoever asks for it again, and is recorded once.

The order of things is the protocol's: the row is committed, then the claim is made inside the sandbox, then the result
is recorded while the generation is still current. Whatever breaks in between, the same call again finds its way.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from functools import partial

from taor_sandbox import redaction
from taor_sandbox.backends.errors import (
    JournalWiped,
    SandboxFrozen,
    SandboxGone,
    SandboxUnreachable,
    StaleEpoch,
)
from taor_sandbox.backends.port import Dead, Exited, Live, OutputChunk, Sandbox
from taor_sandbox.claims import Claims
from taor_sandbox.errors import (
    OperationConflict,
    OperationNotFound,
    OperationOutOfOrder,
    Refused,
    SandboxNotFound,
    SandboxUnavailable,
    StaleGeneration,
)
from taor_sandbox.errors import StaleEpoch as StaleClaim
from taor_sandbox.journal import Journal
from taor_sandbox.outcome import CANCELLED, Outcome, ToolFailed
from taor_sandbox.records import Build, BuildKey, Call, Operation, OperationState, nonce_text
from taor_sandbox.room import needing_room
from taor_sandbox.sessions import Session, Sessions
from taor_sandbox.store.operations import Begun, OpenOperation, Operations, Recorded, Verdict
from taor_sandbox.store.seen import SeenFiles
from taor_sandbox.tools import effects, files, search
from taor_sandbox.tools.effects import Effect, Ended, Vanished
from taor_sandbox.tools.inputs import Bash, EditFile, Glob, Grep, ReadFile, TakeScreenshot, WriteFile
from taor_sandbox.tools.screenshot import take_screenshot


@dataclass(frozen=True, slots=True)
class Finished:
    """The result of a call; `replayed` when it was stored before."""

    outcome: Outcome
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class _Begun:
    """A changing call under way: its effect, its sandbox, and the claims that this process has made for it."""

    effect: Effect
    sandbox: Sandbox
    nonce: int
    claims: int


class Dispatcher:
    """Runs tool calls."""

    def __init__(
        self, claims: Claims, operations: Operations, seen: SeenFiles, sessions: Sessions, journal: Journal, *,
        browser: str = "",
    ) -> None:  # fmt: skip
        self._claims, self._operations, self._seen = claims, operations, seen
        self._sessions, self._journal, self._browser = sessions, journal, browser

    async def dispatch(self, call: Call) -> AsyncIterator[OutputChunk | Finished]:
        """Yield output as it comes, then the result. Leaving the iteration only detaches."""
        try:
            match call.input:
                case ReadFile() | Grep() | Glob() | TakeScreenshot():
                    yield Finished(await self._look(call))
                case WriteFile() | EditFile() | Bash():
                    with needing_room():
                        async for event in self._once(call):
                            yield event
        except (SandboxGone, SandboxUnreachable) as error:
            await self._sessions[call.key].let_go()
            raise StaleGeneration("the sandbox was lost; attach again") from error
        except StaleEpoch as error:
            raise StaleClaim() from error

    async def cancel(self, key: BuildKey, epoch: int, generation: int, op_id: str) -> Operation:
        """Kill a running operation with all its children, and close it; one that is closed stays as it is."""
        build = await self._claims.current(key, epoch, generation)
        session = self._sessions[key]
        async with session.starting:  # behind a start under way, which could not be killed yet
            if await self._operations.adopt(key, generation, op_id):  # what ran of it went with its sandbox
                await self._operations.record(key, generation, op_id, OperationState.DONE, CANCELLED, claims=0)
            running = [each for each in await self._operations.open_ones(key, generation) if each.op_id == op_id]
            for operation in running:
                sandbox = await self._sessions.sandbox(build)
                await sandbox.kill(op_id)
                await self._close(key, generation, sandbox, operation, vanished=CANCELLED)
        row = await self._operations.get(key, op_id)
        if row is None:
            raise OperationNotFound(op_id)
        return row

    async def close_finished(self, build: Build, sandbox: Sandbox) -> bool:
        """Record the results of commands that have ended while nobody followed them; whether one still runs."""
        is_running = False
        for operation in await self._operations.open_ones(build.key, build.generation):
            match await sandbox.look(operation.op_id):
                case Exited() | Dead():
                    await self._close(build.key, build.generation, sandbox, operation, vanished=None)
                case Live():
                    is_running = True
        return is_running

    async def _close(
        self, key: BuildKey, generation: int, sandbox: Sandbox, operation: OpenOperation, vanished: Outcome | None
    ) -> None:
        """Record an ended operation; `vanished` is the result of one without a claim, None leaves that open."""
        effect = Effect(operation.op_id, 0, "", None, operation.input)
        async for event in effects.follow(sandbox, effect):
            if isinstance(event, Vanished) and vanished is not None:
                event = Ended(OperationState.DONE, vanished)
            if isinstance(event, Ended):
                outcome = _safe(event.outcome)
                await self._operations.record(key, generation, operation.op_id, event.state, outcome, claims=0)

    async def _look(self, call: Call) -> Outcome:
        """A read-only tool: no row of its own, no lock, beside anything else; a file that was read counts as seen."""
        sandbox = await self._ready_sandbox(call)
        try:
            match call.input:
                case ReadFile() as wanted:
                    outcome = await files.read_file(sandbox, wanted)
                case Grep() as wanted:
                    outcome = await search.grep(sandbox, wanted)
                case Glob() as wanted:
                    outcome = await search.glob(sandbox, wanted)
                case TakeScreenshot() as wanted:
                    outcome = await take_screenshot(sandbox, wanted, self._browser)
                case other:
                    raise AssertionError(f"{other.name} changes files")
        except ToolFailed as failure:
            outcome = failure.outcome
        if outcome.seen is not None:
            await self._seen.note(call, outcome.seen)
        return _safe(outcome)

    async def _ready_sandbox(self, call: Call) -> Sandbox:
        session = self._sessions.get(call.key)
        if session and session.sandbox and session.holds(call.epoch, call.generation):
            return session.sandbox
        build = await self._claims.ready(call.key, call.epoch, call.generation)
        return await self._sessions.sandbox(build)

    async def _once(self, call: Call) -> AsyncIterator[OutputChunk | Finished]:
        try:
            begun = await self._begin(call)
        except ToolFailed as failure:
            yield Finished(await self._record(call, Ended(OperationState.DONE, failure.outcome), claims=0))
            return
        if begun is None:
            yield Finished(await self._stored(call), replayed=True)
            return
        async for event in effects.follow(begun.sandbox, begun.effect):
            match event:
                case Ended(state):
                    if state is OperationState.INTERRUPTED:
                        await self._journal.check(begun.sandbox, call.key, call.generation, begun.nonce)
                    yield Finished(await self._record(call, event, begun.claims))
                case Vanished():
                    await self._journal.renew(begun.sandbox, call.key, call.generation, begun.nonce)
                    yield Finished(await self._stored(call))
                case output:
                    yield output

    async def _begin(self, call: Call) -> _Begun | None:
        """Announce and start; None when the call has a stored result. Raises ToolFailed when nothing can be started."""
        session = self._sessions[call.key]
        while True:
            async with session.starting:
                row = await self._operations.begin(call)
                if row.verdict in (Verdict.RUN, Verdict.FOLLOW):
                    return await self._start(call, row, await self._sandbox_of(call, session))
            if row.verdict is Verdict.STORED:
                return None
            if row.verdict is Verdict.NOT_FOUND:
                await self._sessions.forget(call.key)
            if row.verdict is not Verdict.PREPARING:
                raise _refusal(row.verdict, call)
            await self._claims.wait_until_ready(call.key)

    async def _start(self, call: Call, row: Begun, sandbox: Sandbox) -> _Begun | None:
        match call.input:
            case ReadFile() | Grep() | Glob() | TakeScreenshot() as looking:
                raise AssertionError(f"{looking.name} changes nothing")
            case WriteFile() | EditFile() | Bash() as changing:
                nonce = nonce_text(call.generation, row.nonce)
                effect = Effect(call.op_id, call.epoch, nonce, row.cwd, changing)
        try:
            claims = await effects.start(sandbox, effect, partial(self._seen.is_news, call.key))
            return _Begun(effect, sandbox, row.nonce, claims)
        except JournalWiped:
            await self._journal.renew(sandbox, call.key, call.generation, row.nonce)
            return None
        except SandboxFrozen as error:
            raise SandboxUnavailable("a snapshot is being taken; send the call again") from error

    async def _sandbox_of(self, call: Call, session: Session) -> Sandbox:
        """The sandbox of a call whose row was just accepted."""
        if (held := session.of_generation(call.generation)) is not None:
            return held
        return await self._sessions.sandbox(await self._claims.current(call.key, call.epoch, call.generation))

    async def _record(self, call: Call, ended: Ended, claims: int) -> Outcome:
        """Store the result, or take the one that another follower has stored."""
        outcome = _safe(ended.outcome)
        match await self._operations.record(call.key, call.generation, call.op_id, ended.state, outcome, claims):
            case Recorded.RECORDED:
                return outcome
            case Recorded.CLOSED:
                return await self._stored(call)
            case Recorded.STALE_GENERATION:
                raise StaleGeneration()

    async def _stored(self, call: Call) -> Outcome:
        outcome = await self._operations.outcome(call.key, call.op_id)
        if outcome is None:
            raise StaleGeneration()
        return outcome


def _refusal(verdict: Verdict, call: Call) -> Refused:
    match verdict:
        case Verdict.NOT_FOUND:
            return SandboxNotFound()
        case Verdict.STALE_EPOCH:
            return StaleClaim()
        case Verdict.STALE_GENERATION:
            return StaleGeneration()
        case Verdict.CONFLICT:
            return OperationConflict(call.op_id)
        case Verdict.OUT_OF_ORDER:
            return OperationOutOfOrder(call.op_id)
        case other:
            raise AssertionError(f"{other} is no refusal")


def _safe(outcome: Outcome) -> Outcome:
    failure = outcome.failure and replace(outcome.failure, message=redaction.safe(outcome.failure.message))
    return replace(outcome, text=redaction.safe(outcome.text), failure=failure)
