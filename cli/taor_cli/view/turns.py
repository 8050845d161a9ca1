"""Turns as a table, and differences as lines. Pure."""

from collections.abc import Iterable, Iterator

from taor_cli.forks import ChangeKind, Difference, FileChange, Turn
from taor_cli.view.text import clock, one_line, printable

_COLUMNS = "{:>5}  {:<4}  {:>5}  {:<19}  {}"
_MARKS = {ChangeKind.ADDED: "+", ChangeKind.CHANGED: "~", ChangeKind.REMOVED: "-"}


def turn_table(turns: Iterable[Turn]) -> tuple[str, ...]:
    """One line per turn under a heading; those that can be forked have a mark."""
    heading = _COLUMNS.format("TURN", "FORK", "CALLS", "AT", "WHAT")
    return (heading, *(_row(turn) for turn in turns))


def difference_lines(difference: Difference) -> Iterator[str]:
    """Each file that differs with its sizes, and the unified diff of a text below it."""
    for change in difference.changes:
        yield f"{_MARKS.get(change.kind, '?')} {one_line(change.path, 400)}  {_sizes(change)}"
        yield from (f"    {printable(line)}" for line in change.text_diff.splitlines())
        if change.text_diff_cut:
            yield "    … the rest is left out"
    if difference.left_out:
        yield f"and {difference.left_out} more"
    if not difference.changes:
        yield "no file differs"


def _row(turn: Turn) -> str:
    inherited = f"(of {turn.origin_build_id}) " if turn.origin_build_id else ""
    mark = "yes" if turn.kept else ""
    return _COLUMNS.format(
        turn.turn, mark, turn.tool_calls, clock(turn.append_time), inherited + one_line(turn.summary, 100)
    )


def _sizes(change: FileChange) -> str:
    match change.kind:
        case ChangeKind.ADDED:
            return f"{change.after_bytes:,} bytes"
        case ChangeKind.REMOVED:
            return f"{change.before_bytes:,} bytes"
        case _:
            return f"{change.before_bytes:,} → {change.after_bytes:,} bytes"
