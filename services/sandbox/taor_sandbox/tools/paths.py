"""Where a tool's path leads: relative to the project, and nowhere else."""

import posixpath

from taor_sandbox.backends.errors import FileProblem, FileRefused
from taor_sandbox.backends.port import WORKSPACE, FileStat, Sandbox
from taor_sandbox.outcome import FailureCode, ToolFailed

MAX_PATH_BYTES = 4096


def inside(path: str) -> str:
    """The absolute path inside the sandbox; raises ToolFailed for one that leads outside of the project."""
    if not path or "\0" in path or len(path.encode()) > MAX_PATH_BYTES:
        raise ToolFailed(FailureCode.BAD_INPUT, "The path is empty, too long, or has a zero byte in it.")
    absolute = posixpath.normpath(posixpath.join(WORKSPACE, path))
    if not _is_inside(absolute) or path.split("/")[0] == "~":  # which only shells replace, and nobody means by it
        raise _outside(path)
    return absolute


def inside_or_all(path: str) -> str:
    """As `inside`; an empty path means the whole project."""
    return inside(path or ".")


async def stat_inside(sandbox: Sandbox, path: str) -> FileStat:
    """What stands at a path; raises ToolFailed where it is missing, or where a link leads outside of the project."""
    absolute = inside(path)
    try:
        stat = await sandbox.stat(absolute)
    except FileRefused as refused:
        raise tool_failed(refused, path) from refused
    if not _is_inside(stat.real_path):
        raise _outside(path)
    return stat


def tool_failed(refused: FileRefused, path: str) -> ToolFailed:
    """The failure that the model hears when the sandbox refused a file."""
    return ToolFailed(*refusal(refused.problem, path, str(refused)))


def refusal(problem: FileProblem, path: str, detail: str) -> tuple[FailureCode, str]:
    """The code and the sentence for a refused file."""
    match problem:
        case FileProblem.NOT_FOUND:
            return FailureCode.NOT_FOUND, f"There is no file {path}. Use glob to see what there is."
        case FileProblem.NOT_REGULAR:
            return FailureCode.NOT_A_FILE, f"{path} is no regular file ({detail})."
        case FileProblem.OUTSIDE:
            return (
                FailureCode.PATH_OUTSIDE_PROJECT,
                f"{path} leads outside of the project; use paths below {WORKSPACE}, and bash for what is elsewhere.",
            )
        case FileProblem.CHANGED:
            return FailureCode.FILE_CHANGED, f"{path} changed while it was edited; nothing was written. Read it again."
        case FileProblem.TOO_LARGE:
            return FailureCode.LIMIT, f"{path} is too large for this tool; look at parts of it with bash."
        case FileProblem.NO_SPACE:
            return (
                FailureCode.LIMIT,
                f"The disk of the sandbox is full; {path} was not written. Remove what is not needed.",
            )
        case FileProblem.DENIED | FileProblem.FAILED:
            return FailureCode.BAD_INPUT, f"{path} cannot be used: {detail}."


def _is_inside(absolute: str) -> bool:
    return absolute == WORKSPACE or absolute.startswith(WORKSPACE + "/")


def _outside(path: str) -> ToolFailed:
    return ToolFailed(*refusal(FileProblem.OUTSIDE, path, ""))
