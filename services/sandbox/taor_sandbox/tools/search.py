"""grep and glob, by ripgrep inside the sandbox."""

import posixpath
import re

from taor_sandbox import truncation
from taor_sandbox.backends.port import WORKSPACE, FileKind, RunResult, Sandbox
from taor_sandbox.outcome import FailureCode, Outcome, ToolFailed
from taor_sandbox.tools.files import lines_of
from taor_sandbox.tools.inputs import Glob, Grep
from taor_sandbox.tools.paths import inside_or_all, stat_inside

MAX_RESULTS = 1_000
_OUTPUT_BYTES = 1024 * 1024
_SHOWN_COLUMNS = 500
_TROUBLE = 2
_WALK = ("--sort=path", "--hidden", "--no-messages")
_EVERYTHING = ("", "*", "**", "**/*", "./**", "./**/*")
_SPECIAL = re.compile(r"[\\*?\[\]{}]")
_ESCAPED = r"\\\g<0>"


async def grep(sandbox: Sandbox, wanted: Grep) -> Outcome:
    """The matching lines as path:line:text, in the order of the paths; raises ToolFailed."""
    argv = ["rg", "--line-number", "--with-filename", "--no-heading", "--color=never", *_WALK]
    # More columns than are shown: where ripgrep cuts a line, a secret may be cut in two.
    argv += ["--engine=auto", f"--max-columns={4 * _SHOWN_COLUMNS}", "--max-columns-preview"]
    argv += _globs(wanted.glob, wanted.path)
    if "\n" in wanted.pattern or r"\n" in wanted.pattern:
        argv.append("--multiline")
    result = await _rg(sandbox, [*argv, "--regexp", wanted.pattern, "--", await _place(sandbox, wanted.path)])
    return _listed(result, wanted.max_results, "No line matches.")


async def glob(sandbox: Sandbox, wanted: Glob) -> Outcome:
    """The files whose path matches, in the order of their paths; raises ToolFailed."""
    argv = ["rg", "--files", "--color=never", *_WALK, *_globs(wanted.pattern, wanted.path)]
    result = await _rg(sandbox, [*argv, "--", await _place(sandbox, wanted.path)])
    return _listed(result, MAX_RESULTS, await _nothing(sandbox, wanted) if not result.stdout else "")


def _globs(pattern: str, path: str) -> list[str]:
    """What limits ripgrep to a pattern: one with a slash begins at `path`. The last one that fits counts.

    A pattern that everything fits is left away, because it would also bring back what .gitignore names."""
    limits = [] if pattern in _EVERYTHING else [f"--glob={_anchored(pattern, path)}"]
    return [*limits, "--glob=!.git"]


def _anchored(pattern: str, path: str) -> str:
    if pattern.startswith(f"{WORKSPACE}/"):
        return pattern.removeprefix(WORKSPACE)
    pattern = pattern.removeprefix("./")
    place = posixpath.relpath(inside_or_all(path), WORKSPACE)
    if place == "." or "/" not in pattern.rstrip("/") or pattern.startswith(("**/", "!")):
        return pattern
    return f"/{_SPECIAL.sub(_ESCAPED, place)}/{pattern.removeprefix('/')}"


async def _nothing(sandbox: Sandbox, wanted: Glob) -> str:
    """What to say when no file matches; a pattern that is a folder's name was meant otherwise."""
    pattern = wanted.pattern.rstrip("/")
    try:
        stat = await stat_inside(sandbox, posixpath.join(wanted.path, pattern))
    except ToolFailed:
        return "No file matches."
    if not pattern or stat.kind is not FileKind.DIRECTORY:
        return "No file matches."
    return f"No file matches. {pattern} is a folder; what is below it is found with {pattern}/**"


async def _place(sandbox: Sandbox, path: str) -> str:
    """Where to search, relative to the project; a missing place is a failure, not an empty answer."""
    absolute = inside_or_all(path)
    if absolute == WORKSPACE:
        return "./"
    await stat_inside(sandbox, path)
    return posixpath.relpath(absolute, WORKSPACE)


async def _rg(sandbox: Sandbox, argv: list[str]) -> RunResult:
    result = await sandbox.run(argv, output_bytes=_OUTPUT_BYTES)
    if result.timed_out:
        raise ToolFailed(FailureCode.TIMEOUT, "The search took too long; narrow it with path or glob.")
    if result.status == _TROUBLE and result.stderr:
        raise ToolFailed(FailureCode.BAD_INPUT, result.stderr.decode(errors="replace")[:2_000].strip())
    return result


def _listed(result: RunResult, most: int, nothing: str) -> Outcome:
    lines = lines_of(result.stdout.decode(errors="replace"))
    unread = "\n[Some files cannot be read.]" if result.status == _TROUBLE else ""
    if not lines:
        return Outcome(nothing + unread)
    shown = [truncation.line(line.removeprefix("./"), limit=_SHOWN_COLUMNS) for line in lines[:most]]
    text = truncation.middle("\n".join(shown) + unread + "\n")
    if result.truncated:
        return Outcome(f"{text}[… more than can be listed; narrow the search …]\n")
    if len(lines) > most:
        return Outcome(f"{text}[… {len(lines) - most} more left out; narrow the search …]\n")
    return Outcome(text)
