"""Edits: unique, all or none, with help for a miss."""

import pytest

from taor_sandbox.outcome import FailureCode, ToolFailed
from taor_sandbox.tools.edit import apply
from taor_sandbox.tools.inputs import Replacement

CONTENT = "def add(a, b):\n    return a + b\n\n\ndef sub(a, b):\n    return a - b\n"


def test_edits_are_applied_in_order_each_to_what_the_one_before_left() -> None:
    edits = [Replacement("add", "plus"), Replacement("def plus", "def total"), Replacement("a - b", "b - a")]
    assert apply(CONTENT, edits, "f").startswith("def total(a, b):")


def test_a_passage_that_stands_twice_is_named_with_its_lines() -> None:
    with pytest.raises(ToolFailed, match="found 2 times") as raised:
        apply(CONTENT, [Replacement("(a, b):", "(x, y):")], "f")
    assert raised.value.code is FailureCode.AMBIGUOUS_MATCH
    assert "at lines 1, 5" in raised.value.message


def test_a_passage_that_overlaps_itself_stands_there_twice() -> None:
    with pytest.raises(ToolFailed, match=r"found 2 times \(at lines 1, 2\)"):
        apply("}\n}\n}\n", [Replacement("}\n}\n", "x")], "f")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_file_of_crlf_lines_is_edited_with_either_end_of_line_and_keeps_its_own(end: str) -> None:
    edits = [Replacement(f"a{end}b", f"c{end}d{end}e"), Replacement("g", f"h{end}")]
    assert apply("a\r\nb\r\ng\r\n", edits, "f") == "c\r\nd\r\ne\r\nh\r\n\r\n"


def test_mixed_ends_of_lines_stay_as_they_are_and_a_miss_names_them() -> None:
    mixed = "a\r\nb\nc\n"
    assert apply(mixed, [Replacement("b\nc", "d\r\ne")], "f") == "a\r\nd\r\ne\n"
    with pytest.raises(ToolFailed, match=r"end with CR LF: write \\r\\n") as raised:
        apply(mixed, [Replacement("a\nb", "x")], "f")
    assert raised.value.code is FailureCode.NO_MATCH


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [
        ("def add(a,b):", "     1\tdef add(a, b):"),
        ("\treturn a - b\n", "     6\t    return a - b"),
        ("def  sub(a, b):\n    return a - c", "     5\tdef sub(a, b):"),
    ],
)
def test_a_miss_shows_the_nearest_lines(wanted: str, shown: str) -> None:
    with pytest.raises(ToolFailed) as raised:
        apply(CONTENT, [Replacement(wanted, "x")], "f")
    assert raised.value.code is FailureCode.NO_MATCH
    assert shown in raised.value.message


@pytest.mark.parametrize(
    ("wanted", "line"),
    [
        ("add(a, b):\n    return a + b\n\n\ndef sub(a, b):\n    return a - c\n", 6),
        ("\n\ndef sub(a, b) -> int:\n    return a - b", 5),
        ("return a + b\n\ndef", 4),
        ("    return a - b\n\n\ndef mul(a, b):\n", 7),
    ],
)
def test_a_miss_names_the_first_line_that_differs(wanted: str, line: int) -> None:
    with pytest.raises(ToolFailed, match=f"differ from it first in line {line}:"):
        apply(CONTENT, [Replacement(wanted, "x")], "f")


def test_a_miss_in_long_lines_and_of_a_long_passage_says_little() -> None:
    content = "".join(f"{number}{'x' * 50_000}\n" for number in range(100))
    with pytest.raises(ToolFailed) as raised:
        apply(content, [Replacement(content.replace("x\n4", "y\n4"), "z")], "f")
    assert "first in line 4:\n     2\t1xxx" in raised.value.message
    assert len(raised.value.message) < 10_000


def test_numbers_of_lines_in_a_passage_are_named() -> None:
    with pytest.raises(ToolFailed, match="begin with numbers"):
        apply(CONTENT, [Replacement("     5\tdef sub(a, b):\n     6\t    return a - b\n", "x")], "f")


def test_a_miss_without_anything_near_says_so() -> None:
    with pytest.raises(ToolFailed, match="No line of the file is like"):
        apply(CONTENT, [Replacement("SELECT 1", "x")], "f")


@pytest.mark.parametrize("edit", [Replacement("", "x"), Replacement("add", "add")])
def test_an_edit_that_means_nothing_is_refused(edit: Replacement) -> None:
    with pytest.raises(ToolFailed) as raised:
        apply(CONTENT, [edit], "f")
    assert raised.value.code is FailureCode.BAD_INPUT


def test_no_edit_at_all_is_refused() -> None:
    with pytest.raises(ToolFailed):
        apply(CONTENT, [], "f")
