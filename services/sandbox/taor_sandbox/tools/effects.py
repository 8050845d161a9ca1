"""Starts a changing tool inside a sandbox, at most once, and follows it: the same for a first run and for a redo."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from taor_sandbox.backends.errors import InvalidRequest
from taor_sandbox.backends.port import (
    WORKSPACE,
    ClaimSpec,
    CommandExit,
    Dead,
    Exited,
    Live,
    OutputChunk,
    Sandbox,
    Stream,
    Unclaimed,
    WriteExit,
    WriteSpec,
)
from taor_sandbox.outcome import INTERRUPTED, FailureCode, Outcome, ToolFailed
from taor_sandbox.records import OperationState
from taor_sandbox.tools import bash, edit, files
from taor_sandbox.tools.bash import Printed
from taor_sandbox.tools.edit import IsNews
from taor_sandbox.tools.inputs import Bash, EditFile, Mutating, WriteFile
from taor_sandbox.tools.paths import inside
from taor_sandbox.tools.ports import running
from taor_sandbox.truncation import Ends


@dataclass(frozen=True, slots=True)
class Effect:
    """One operation as the sandbox is to see it."""

    op_id: str
    epoch: int
    nonce: str
    cwd: str | None
    input: Mutating


@dataclass(frozen=True, slots=True)
class Ended:
    """How an operation came out."""

    state: OperationState
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Vanished:
    """Its claim is gone: a command deleted the journal."""


async def start(sandbox: Sandbox, effect: Effect, is_news: IsNews | None = None) -> int:
    """Make the claim and start; returns how many claims this call has made (0 or 1).

    An edit of what is news to the agent is refused; None asks nobody, for a redo, whose edits have gone through before.
    Raises ToolFailed when there is nothing to start, and what `claim` of the port raises."""
    try:
        return await _start(sandbox, effect, is_news)
    except InvalidRequest as error:
        raise ToolFailed(FailureCode.BAD_INPUT, str(error)) from error


async def _start(sandbox: Sandbox, effect: Effect, is_news: IsNews | None) -> int:
    match effect.input:
        case Bash() as command:
            return int(await sandbox.claim(_claim_spec(effect, command)))
        case WriteFile() as wanted:
            if await _is_claimed(sandbox, effect):
                return 0
            path, content = inside(wanted.path), wanted.content.encode()
            await sandbox.claim_write(WriteSpec(effect.op_id, effect.epoch, effect.nonce, path, content))
            return 1
        case EditFile() as wanted:
            return await _start_edit(sandbox, effect, wanted, is_news)


async def follow(sandbox: Sandbox, effect: Effect) -> AsyncIterator[OutputChunk | Ended | Vanished]:
    """Yield output as it comes, then the end; leaving the iteration leaves the command alone."""
    match effect.input:
        case Bash(background=False) as command:
            async for event in _follow_command(sandbox, effect.op_id, command):
                yield event
        case Bash() as command:
            yield await _look_at_background(sandbox, effect.op_id, command)
        case WriteFile() | EditFile() as wanted:
            yield await _look_at_write(sandbox, effect.op_id, wanted)


async def _start_edit(sandbox: Sandbox, effect: Effect, wanted: EditFile, is_news: IsNews | None) -> int:
    # A claimed edit may be in the file already, where its passages are no longer found.
    if await _is_claimed(sandbox, effect):
        return 0
    try:
        spec = await edit.write_spec(sandbox, wanted, effect.op_id, effect.epoch, effect.nonce, is_news)
    except ToolFailed:
        if await _is_claimed(sandbox, effect):
            return 0
        raise
    await sandbox.claim_write(spec)
    return 1


async def _is_claimed(sandbox: Sandbox, effect: Effect) -> bool:
    return not isinstance(await sandbox.look(effect.op_id), Unclaimed)


def _claim_spec(effect: Effect, command: Bash) -> ClaimSpec:
    return ClaimSpec(
        op_id=effect.op_id,
        epoch=effect.epoch,
        nonce=effect.nonce,
        command=command.command,
        cwd=effect.cwd or WORKSPACE,
        timeout_seconds=None if command.background else command.timeout_seconds,
        background=command.background,
    )


async def _follow_command(sandbox: Sandbox, op_id: str, command: Bash) -> AsyncIterator[OutputChunk | Ended | Vanished]:
    outputs = {Stream.STDOUT: Ends(), Stream.STDERR: Ends()}
    async for event in sandbox.follow(op_id):
        match event:
            case OutputChunk(stream, _, data) as output:
                outputs[stream].add(data)
                yield output
            case Exited(exit):
                assert isinstance(exit, CommandExit)
                stdout, stderr = (Printed(outputs[each].kept(), sandbox.log_path(op_id, each)) for each in Stream)
                if command.background:
                    left = await running(sandbox, op_id)
                    yield Ended(OperationState.DONE, bash.ended_at_once(command, exit, stdout, stderr, left))
                else:
                    yield Ended(OperationState.DONE, bash.ran(command, exit, stdout, stderr, sandbox.refused_hosts()))
            case Dead():
                yield _interrupted()
            case Unclaimed():
                yield Vanished()


async def _look_at_background(sandbox: Sandbox, op_id: str, command: Bash) -> Ended | Vanished:
    """How it stands once it listens or has had time to: what cannot start at all has ended by then."""
    found = await running(sandbox, op_id) if isinstance(await sandbox.look(op_id), Live) else None
    if found is not None and isinstance(state := await sandbox.look(op_id), Live):
        logs = [sandbox.log_path(op_id, each) for each in Stream]
        return Ended(OperationState.DONE, bash.started(state.pid, found.ports, logs))
    async for event in _follow_command(sandbox, op_id, command):
        if isinstance(event, Ended | Vanished):
            return event
    raise AssertionError("following ended without an end")


async def _look_at_write(sandbox: Sandbox, op_id: str, wanted: WriteFile | EditFile) -> Ended | Vanished:
    match await sandbox.look(op_id):
        case Exited(exit):
            assert isinstance(exit, WriteExit)
            result = files.written(wanted, exit) if isinstance(wanted, WriteFile) else edit.edited(wanted, exit)
            return Ended(OperationState.DONE, result)
        case Unclaimed():
            return Vanished()
        case Live() | Dead():
            return _interrupted()


def _interrupted() -> Ended:
    return Ended(OperationState.INTERRUPTED, INTERRUPTED)
