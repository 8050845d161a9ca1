"""bash: what is started, and what the model reads of its end."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from taor_sandbox import redaction, truncation
from taor_sandbox.backends.port import WORKSPACE, CommandExit, Ending
from taor_sandbox.outcome import Failure, FailureCode, Outcome
from taor_sandbox.tools.inputs import Bash
from taor_sandbox.tools.ports import Running
from taor_sandbox.truncation import Kept

DEFAULT_TIMEOUT_SECONDS = 120
MAX_TIMEOUT_SECONDS = 600
_CANNOT_START = 126
_GAP = "\0…\0"


@dataclass(frozen=True, slots=True)
class Printed:
    """One output of a command, and the file inside the sandbox that holds all of it."""

    kept: Kept
    path: str


_LIMITS = {
    Ending.OUTPUT_LIMIT: "It printed more than a command may; send its output into a file, or make it say less.",
    Ending.MEMORY_LIMIT: "It needed more memory than the sandbox has.",
    Ending.PROCESS_LIMIT: "It started more processes than the sandbox allows.",
    Ending.DISK_LIMIT: "The disk of the sandbox is full; remove what is not needed.",
    Ending.FILES_LIMIT: "It made more files than the sandbox or its /tmp may have; remove what is not needed.",
}


def ran(
    wanted: Bash, exit: CommandExit, stdout: Printed, stderr: Printed, refused_hosts: Sequence[str] = ()
) -> Outcome:
    """The result of a command that has ended."""
    failure = _failure(wanted, exit)
    parts = [_cut(stdout), _cut(stderr, heading="[stderr]\n")]
    parts += [f"[network: {host} is not allowed]\n" for host in refused_hosts]
    if failure is not None:
        parts.append(f"[{failure.message}]\n")
    return Outcome(
        text="".join(parts) or "(no output)\n",
        failure=failure,
        exit_status=exit.status if exit.ending is Ending.EXITED else None,
        elapsed_seconds=exit.elapsed_seconds,
        cwd=exit.cwd if _was_started(exit) else WORKSPACE,  # else no command could be started there ever again
    )


def started(pid: int, ports: Sequence[int], log_paths: Sequence[str]) -> Outcome:
    """The result of a background command that runs; `log_paths` are those of stdout and of stderr."""
    return Outcome(
        f"Started in the background as process {pid}. It listens on {_named(ports)}. Its output goes to "
        f"{' and '.join(log_paths)}; look at it with bash (tail). Stop it with kill.\n"
    )


def ended_at_once(wanted: Bash, exit: CommandExit, stdout: Printed, stderr: Printed, left: Running) -> Outcome:
    """The result of a background command that is over already, but for what it has left running."""
    outcome = ran(wanted, exit, stdout, stderr)
    told = "The background command has ended already.\n"
    if left.processes:
        told = (
            f"The background command has ended and left {_listed('process', 'processes', left.processes)} running, "
            f"listening on {_named(left.ports)}. The output goes to {stdout.path} and {stderr.path}; look at it with "
            "bash (tail). Stop it with kill.\n"
        )
    return replace(outcome, text=f"{told}{outcome.text}", cwd=outcome.cwd if exit.cwd is None else None)


def _named(ports: Sequence[int]) -> str:
    return _listed("port", "ports", ports) if ports else "no port so far"


def _listed(one: str, several: str, numbers: Sequence[int]) -> str:
    return f"{one if len(numbers) == 1 else several} {', '.join(map(str, numbers))}"


def _failure(wanted: Bash, exit: CommandExit) -> Failure | None:
    match exit.ending:
        case Ending.EXITED if exit.status == 0:
            return None
        case Ending.EXITED if not _was_started(exit):
            message = (
                f"The command ended with status {exit.status}. It was not started; the next starts in {WORKSPACE}."
            )
            return Failure(FailureCode.EXIT_STATUS, message)
        case Ending.EXITED:
            return Failure(FailureCode.EXIT_STATUS, f"The command ended with status {exit.status}.")
        case Ending.TIMEOUT:
            message = f"The command did not end within {wanted.timeout_seconds} s and was killed with all its children."
            return Failure(FailureCode.TIMEOUT, f"{message} Start servers and long jobs in the background.")
        case Ending.KILLED:
            return Failure(FailureCode.CANCELLED, "The command was killed because the call was cancelled.")
        case limit:
            return Failure(FailureCode.LIMIT, f"The command was killed. {_LIMITS[limit]}")


def _was_started(exit: CommandExit) -> bool:
    """False where its folder is gone or locked: then it has this status, and has ended nowhere."""
    return exit.ending is not Ending.EXITED or exit.status != _CANNOT_START or exit.cwd is not None


def _cut(printed: Printed, heading: str = "") -> str:
    kept = printed.kept
    if not kept.head:
        return ""
    # In one piece, since a secret may begin before what was dropped and end after it.
    head, _, tail = redaction.redact(f"{kept.head}{_GAP}{kept.tail}").partition(_GAP)
    if tail:
        cut = truncation.ends(head, tail, kept.whole, source=printed.path)
    else:
        cut = truncation.middle(head, source=printed.path)
    return heading + (cut if cut.endswith("\n") else cut + "\n")
