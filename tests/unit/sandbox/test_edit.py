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
