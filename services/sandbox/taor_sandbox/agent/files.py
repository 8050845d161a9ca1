"""Files by path, as the sandbox sees them: links resolve inside, and only regular files are opened."""

import contextlib
import errno
import os
import stat

from taor_sandbox.agent.journal import WriteRecord
from taor_sandbox.agent.messages import Stated, Write, read_memory

MAX_COMPARED_BYTES = 16 * 1024 * 1024
_NEW_MODE = 0o644
_PROBLEMS = {
    errno.ENOENT: "NOT_FOUND",
    errno.ENOTDIR: "NOT_FOUND",
    errno.ELOOP: "NOT_FOUND",
    errno.EISDIR: "NOT_REGULAR",
    errno.ENXIO: "NOT_REGULAR",
    errno.EACCES: "DENIED",
    errno.EPERM: "DENIED",
    errno.EROFS: "DENIED",
    errno.ENOSPC: "NO_SPACE",
    errno.EDQUOT: "NO_SPACE",
    errno.EFBIG: "TOO_LARGE",
}


class FileProblemError(Exception):
    """A file operation that failed for a reason of the port's `FileProblem`."""

    def __init__(self, problem: str, detail: str) -> None:
        super().__init__(detail)
        self.problem = problem
        self.detail = detail


def problem_of(error: OSError) -> str:
    """The port's name for an error of the system."""
    return _PROBLEMS.get(error.errno or 0, "FAILED")


def open_regular(path: str) -> int:
    """Open a regular file for reading; never waits, whatever stands at the path."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise FileProblemError("NOT_REGULAR", f"{path} is not a regular file")
    return fd


def open_to_owner(folder: str) -> None:
    """Let the owner in again: who locks the folder of all work could never work, nor unlock it, any more."""
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        with contextlib.suppress(OSError):  # another user's, or not there: then the call itself says so
            os.chmod(folder, stat.S_IMODE(os.stat(folder).st_mode) | stat.S_IRWXU)


def stat_path(path: str) -> Stated:
    """What stands at a path, links followed."""
    real_path = os.path.realpath(path)
    found = os.stat(real_path)
    kind = "REGULAR" if stat.S_ISREG(found.st_mode) else "DIRECTORY" if stat.S_ISDIR(found.st_mode) else "OTHER"
    return Stated(real_path, kind, found.st_size, stat.S_IMODE(found.st_mode), found.st_mtime_ns)


def write_file(request: Write, content: int, workspace: str) -> WriteRecord:
    """Put the content in place whole, or leave the file as it was; always answers with a record."""
    try:
        created = _replace(request, read_memory(content), workspace)
    except FileProblemError as error:
        return WriteRecord(error.problem, error.detail, request.sha256, False)
    except OSError as error:
        return WriteRecord(problem_of(error), f"{request.path}: {error.strerror}", request.sha256, False)
    except ValueError as error:  # a path that no file system can have
        return WriteRecord("FAILED", str(error), request.sha256, False)
    return WriteRecord(None, "", request.sha256, created)


def _replace(request: Write, content: bytes, workspace: str) -> bool:
    path = os.path.realpath(os.path.join(workspace, request.path))
    if os.path.commonpath((path, request.within)) != request.within or path == request.within:
        raise FileProblemError("OUTSIDE", f"{request.path} is outside {request.within}")
    old_mode = _check_target(path, request.expected_sha256)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    mode = request.mode if request.mode is not None else _NEW_MODE if old_mode is None else old_mode
    temporary = f"{os.path.dirname(path)}/.taor-{os.urandom(8).hex()}"
    try:
        _write_new(temporary, content, mode)
        os.rename(temporary, path)
    except OSError:
        _remove(temporary)
        raise
    return old_mode is None


def _check_target(path: str, expected_sha256: str | None) -> int | None:
    """Mode of the file that is to be replaced, None when there is none; raises when it may not be replaced."""
    try:
        fd = open_regular(path)
    except FileNotFoundError:
        if expected_sha256 is not None:
            raise FileProblemError("CHANGED", f"{path} does not exist any more") from None
        return None
    try:
        if expected_sha256 is not None and _sha256(fd, path) != expected_sha256:
            raise FileProblemError("CHANGED", f"{path} has changed since it was read")
        return stat.S_IMODE(os.fstat(fd).st_mode)
    finally:
        os.close(fd)


def _sha256(fd: int, path: str) -> str:
    import hashlib  # loads OpenSSL, 4 ms of every sandbox's start; most sandboxes' first seconds do not need it

    if os.fstat(fd).st_size > MAX_COMPARED_BYTES:
        raise FileProblemError("TOO_LARGE", f"{path} is too large to be compared")
    return hashlib.sha256(read_memory(fd)).hexdigest()


def _write_new(path: str, content: bytes, mode: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(fd, view) :]
        os.fchmod(fd, mode)
    finally:
        os.close(fd)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
