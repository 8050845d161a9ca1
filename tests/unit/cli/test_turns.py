"""Turns and differences as people read them."""

from datetime import UTC, datetime

from taor_cli.forks import ChangeKind, Difference, FileChange, Turn
from taor_cli.view.turns import difference_lines, turn_table

AT = datetime(2026, 11, 25, 9, tzinfo=UTC)


def test_a_turn_that_can_be_forked_has_a_mark_and_an_inherited_one_its_origin() -> None:
    heading, *rows = turn_table(
        [
            Turn(1, 3, "I \x1b[31mbegin.", 2, AT, "0198f3", kept=True),
            Turn(2, 5, "bash make", 1, AT, "", kept=False),
        ]
    )
    assert heading.split() == ["TURN", "FORK", "CALLS", "AT", "WHAT"]
    assert rows[0].split()[:3] == ["1", "yes", "2"]
    assert rows[0].endswith("(of 0198f3) I [31mbegin.")
    assert rows[1].split()[:2] == ["2", "1"]


def test_a_difference_tells_sizes_and_diffs_and_what_it_leaves_out() -> None:
    found = Difference(
        (
            FileChange("a", ChangeKind.ADDED, 0, 1_200, "--- /dev/null\n+++ b/a\n", text_diff_cut=True),
            FileChange("b\n", ChangeKind.CHANGED, 3, 4, "", text_diff_cut=False),
            FileChange("c", ChangeKind.REMOVED, 7, 0, "", text_diff_cut=False),
        ),
        left_out=2,
    )
    assert list(difference_lines(found)) == [
        "+ a  1,200 bytes",
        "    --- /dev/null",
        "    +++ b/a",
        "    … the rest is left out",
        "~ b  3 → 4 bytes",
        "- c  7 bytes",
        "and 2 more",
    ]
    assert list(difference_lines(Difference((), 0))) == ["no file differs"]
