"""read_file and write_file."""

import hashlib

from taor_sandbox import truncation
from taor_sandbox.backends.errors import FileProblem, FileRefused
from taor_sandbox.backends.port import MAX_READ_BYTES, FileKind, Sandbox, WriteExit
from taor_sandbox.outcome import Failure, FailureCode, Outcome, SeenFile, ToolFailed
from taor_sandbox.redaction import without_private_keys
from taor_sandbox.tools import images
from taor_sandbox.tools.inputs import ReadFile, WriteFile
from taor_sandbox.tools.paths import inside, refusal, stat_inside, tool_failed

MAX_LINES = 2_000
_PROBE_BYTES = 8_192


async def read_file(sandbox: Sandbox, wanted: ReadFile) -> Outcome:
    """The wanted lines, numbered, or the image; raises ToolFailed."""
    raw = await read_bytes(sandbox, wanted.path)
    if (picture := images.image(raw, wanted.path)) is not None:
        return Outcome(f"{wanted.path} ({picture.media_type}, {len(raw)} bytes)", image=picture)
    seen = SeenFile(inside(wanted.path), hashlib.sha256(raw).digest())
    return Outcome(_shown(wanted, decode(raw, wanted.path)), seen=seen)


def _shown(wanted: ReadFile, content: str) -> str:
    if ends_with_crlf(content):
        return _shown(wanted, as_lf(content)) + "[Every line of this file ends with CR LF; edit_file keeps that.]\n"
    lines = without_private_keys(lines_of(content))
    first = max(wanted.start_line, 1)
    last = min(wanted.end_line or len(lines), len(lines))
    if lines and first > len(lines):
        raise ToolFailed(
            FailureCode.BAD_INPUT, f"{wanted.path} has {len(lines)} lines; line {first} is behind its end."
        )
    if not lines:
        return f"{wanted.path} is empty."
    shown = _numbered(lines[first - 1 : last], first)
    end = first + len(shown) - 1
    if end < last:
        shown.append(f"[… lines {end + 1} to {last} of {len(lines)} left out; read on with start_line {end + 1} …]\n")
    return "".join(shown)


async def read_text(sandbox: Sandbox, path: str) -> str:
    """The whole file as text; raises ToolFailed where it is missing, no file, no text, or too large."""
    return decode(await read_bytes(sandbox, path), path)


async def read_bytes(sandbox: Sandbox, path: str) -> bytes:
    """The whole file; raises ToolFailed where it is missing, no file, or too large."""
    stat = await stat_inside(sandbox, path)
    if stat.kind is not FileKind.REGULAR:
        what = "a folder; use glob to list it" if stat.kind is FileKind.DIRECTORY else "no regular file"
        raise ToolFailed(FailureCode.NOT_A_FILE, f"{path} is {what}.")
    if stat.size_bytes > MAX_READ_BYTES:
        raise ToolFailed(FailureCode.LIMIT, f"{path} has {stat.size_bytes} bytes; look at parts of it with bash.")
    try:
        return await sandbox.read(stat.real_path)
    except FileRefused as refused:
        raise tool_failed(refused, path) from refused


def lines_of(content: str) -> list[str]:
    """Lines as editors and ripgrep count them: only a line feed ends one (`splitlines` knows ten more characters)."""
    lines = content.split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def ends_with_crlf(content: str) -> bool:
    """Whether every line of the text ends with CR LF."""
    return 0 < content.count("\n") == content.count("\r\n")


def as_lf(text: str) -> str:
    """The text with LF where it has CR LF."""
    return text.replace("\r\n", "\n")


def decode(content: bytes, path: str) -> str:
    """UTF-8 text; raises ToolFailed for anything else."""
    if b"\0" in content[:_PROBE_BYTES]:
        raise ToolFailed(FailureCode.NOT_TEXT, f"{path} is a binary file; use bash to look at it.")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        message = f"{path} is no UTF-8 text (byte {error.start}); use bash to look at it."
        raise ToolFailed(FailureCode.NOT_TEXT, message) from error


def written(wanted: WriteFile, exit: WriteExit) -> Outcome:
    """The result of a write, from its exit record alone."""
    if exit.problem is not None:
        return refused(wanted.path, exit)
    lines = len(lines_of(wanted.content))
    verb = "Created" if exit.created else "Wrote"
    text = f"{verb} {wanted.path}: {lines} {'line' if lines == 1 else 'lines'}."
    return Outcome(text, seen=left(wanted.path, exit))


def left(path: str, exit: WriteExit) -> SeenFile:
    """The file as a write has left it."""
    return SeenFile(inside(path), bytes.fromhex(exit.sha256))


def refused(path: str, exit: WriteExit) -> Outcome:
    """The result of a write that the sandbox refused; nothing has changed."""
    assert exit.problem is not None
    code, message = refusal(exit.problem, path, exit.detail)
    if exit.problem is FileProblem.NOT_FOUND:  # a file that is to be made is never there
        message = f"{path} cannot be written: something on the way to it is no folder ({exit.detail})."
    return Outcome(message, Failure(code, message))


def _numbered(lines: list[str], first: int) -> list[str]:
    shown: list[str] = []
    size = 0
    for number, line in enumerate(lines[:MAX_LINES], first):
        row = f"{number:>6}\t{truncation.line(line)}\n"
        size += len(row)
        if size > truncation.LIMIT_CHARACTERS:
            break
        shown.append(row)
    return shown
