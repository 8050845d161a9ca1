"""The normal form of a tool's input: what is hashed is what can be run again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taor_sandbox.tools.inputs import (
    Bash,
    EditFile,
    Glob,
    Grep,
    Mutating,
    ReadFile,
    Replacement,
    ToolInput,
    WriteFile,
    canonical,
    digest,
    is_mutating,
    parse,
)

TEXT = st.text(max_size=20)
CHANGING: st.SearchStrategy[Mutating] = st.one_of(
    st.builds(WriteFile, TEXT, TEXT),
    st.builds(EditFile, TEXT, st.lists(st.builds(Replacement, TEXT, TEXT), max_size=3).map(tuple)),
    st.builds(Bash, TEXT, st.integers(1, 600), st.booleans()),
)


@given(CHANGING)
def test_a_stored_input_comes_back(tool: Mutating) -> None:
    assert parse(tool.name, canonical(tool)) == tool


@given(CHANGING, CHANGING)
def test_different_inputs_have_different_hashes(one: Mutating, other: Mutating) -> None:
    assert (digest(one) == digest(other)) == (one == other)


def test_what_changes_nothing_is_never_run_again() -> None:
    with pytest.raises(ValueError, match="read_file"):
        parse("read_file", canonical(ReadFile("f")))


@pytest.mark.parametrize(
    ("tool", "changes"),
    [
        (ReadFile("f"), False),
        (Grep("x"), False),
        (Glob("x"), False),
        (WriteFile("f", ""), True),
        (EditFile("f", ()), True),
        (Bash("true", 1), True),
    ],
)
def test_each_tool_is_on_one_side(tool: ToolInput, changes: bool) -> None:
    assert is_mutating(tool) is changes
