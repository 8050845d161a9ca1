"""From the agent's words to the port's, for every backend that has an agent inside."""

from taor_sandbox.agent.journal import CommandRecord, WriteRecord
from taor_sandbox.agent.messages import Refused, State, Surveyed
from taor_sandbox.backends.errors import (
    BackendError,
    FileProblem,
    FileRefused,
    InvalidRequest,
    JournalWiped,
    OtherRelease,
    SandboxBusy,
    SandboxFrozen,
    SandboxUnreachable,
    StaleEpoch,
)
from taor_sandbox.backends.port import (
    ClaimState,
    CommandExit,
    Dead,
    Ending,
    Exited,
    Live,
    Standing,
    Survey,
    Unclaimed,
    WriteExit,
)


def state_of(reply: State) -> ClaimState:
    """The state of a claim; an exit record that a command has forged into nonsense counts as none."""
    try:
        match reply.state:
            case "NONE":
                return Unclaimed()
            case "LIVE":
                return Live(reply.pid)
            case "COMMAND":
                return Exited(_command_exit(CommandRecord(*reply.record)))  # type: ignore[arg-type] # fields as they came
            case "WRITE":
                return Exited(_write_exit(WriteRecord(*reply.record)))  # type: ignore[arg-type] # fields as they came
            case _:
                return Dead()
    except (ValueError, TypeError):
        return Dead()


def _command_exit(record: CommandRecord) -> CommandExit:
    return CommandExit(
        status=int(record.status),
        ending=Ending(record.ending),
        cwd=None if record.cwd is None else str(record.cwd),
        stdout_bytes=int(record.stdout_bytes),
        stderr_bytes=int(record.stderr_bytes),
        elapsed_seconds=float(record.elapsed_seconds),
    )


def _write_exit(record: WriteRecord) -> WriteExit:
    return WriteExit(
        problem=None if record.problem is None else FileProblem(record.problem),
        detail=str(record.detail),
        sha256=str(record.sha256),
        created=bool(record.created),
    )


def survey_of(reply: Surveyed) -> Survey:
    """What the agent has seen."""
    try:
        there = [Standing(*each) for each in reply.there]  # type: ignore[arg-type] # fields as they came
    except TypeError as error:
        raise SandboxUnreachable("the agent's survey cannot be understood") from error
    return Survey(reply.stamp, reply.is_whole, there, reply.gone)


def meaning(refused: Refused) -> BackendError:
    """The error that a refusal of the agent stands for."""
    match refused.code:
        case "STALE_EPOCH":
            return StaleEpoch(refused.highest_epoch)
        case "WIPED":
            return JournalWiped(refused.detail)
        case "FROZEN":
            return SandboxFrozen(refused.detail)
        case "OTHER_RELEASE":
            return OtherRelease(refused.detail)
        case "BUSY":
            return SandboxBusy(refused.detail)
        case "INVALID":
            return InvalidRequest(refused.detail)
        case problem:
            return FileRefused(FileProblem(problem), refused.detail)
