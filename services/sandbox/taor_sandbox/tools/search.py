"""grep and glob, by ripgrep inside the sandbox."""

import posixpath

from taor_sandbox import truncation
from taor_sandbox.backends.port import WORKSPACE, RunResult, Sandbox
from taor_sandbox.outcome import FailureCode, Outcome, ToolFailed
from taor_sandbox.tools.files import lines_of
from taor_sandbox.tools.inputs import Glob, Grep
from taor_sandbox.tools.paths import inside_or_all, stat_inside

MAX_RESULTS = 1_000
_OUTPUT_BYTES = 1024 * 1024
_TROUBLE = 2


async def grep(sandbox: Sandbox, wanted: Grep) -> Outcome:
    """The matching lines as path:line:text, in the order of the paths; raises ToolFailed."""
    argv = ["rg", "--line-number", "--with-filename", "--no-heading", "--color=never", "--sort=path", "--hidden"]
    argv += ["--glob=!.git", "--max-columns=500", "--max-columns-preview"]
    if wanted.glob:
        argv.append(f"--glob={wanted.glob}")
    result = await _rg(sandbox, [*argv, "--regexp", wanted.pattern, "--", await _place(sandbox, wanted.path)])
    return _listed(result, wanted.max_results, "No line matches.")


async def glob(sandbox: Sandbox, wanted: Glob) -> Outcome:
    """The files whose path matches, in the order of their paths; raises ToolFailed."""
    argv = ["rg", "--files", "--color=never", "--sort=path", "--hidden", f"--glob={wanted.pattern}", "--glob=!.git"]
    result = await _rg(sandbox, [*argv, "--", await _place(sandbox, wanted.path)])
    return _listed(result, MAX_RESULTS, "No file matches.")


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
    if result.status == _TROUBLE and not result.stdout:
        raise ToolFailed(FailureCode.BAD_INPUT, result.stderr.decode(errors="replace")[:2_000].strip())
    return result


def _listed(result: RunResult, most: int, nothing: str) -> Outcome:
    lines = lines_of(result.stdout.decode(errors="replace"))
    if not lines:
        return Outcome(nothing)
    shown = [truncation.line(line.removeprefix("./")) for line in lines[:most]]
    text = truncation.middle("\n".join(shown) + "\n")
    if result.truncated:
        return Outcome(f"{text}[… more than can be listed; narrow the search …]\n")
    if len(lines) > most:
        return Outcome(f"{text}[… {len(lines) - most} more left out; narrow the search …]\n")
    return Outcome(text)
