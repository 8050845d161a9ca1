"""Bugs planted into what tools say, and into the patience with E2B: the test that each one names must catch it."""

from collections.abc import Callable

import pytest

from taor_sandbox.backends.e2b import troubles
from taor_sandbox.tools import edit, misses
from taor_sandbox.truncation import Ends
from tests.mutants.planting import Mutant
from tests.unit.sandbox import test_e2b_patience as patience
from tests.unit.sandbox import test_edit as edits
from tests.unit.sandbox import test_truncation as truncation

MUTANTS: list[Mutant[Callable[[], object]]] = [
    Mutant(
        "a passage that overlaps itself is taken for unique",
        edit._replace,
        "content.find(edit.old_text, at + 1) >= 0",
        "content.count(edit.old_text) > 1",
        edits.test_a_passage_that_overlaps_itself_stands_there_twice,
    ),
    Mutant(
        "an edit mixes the ends of lines",
        edit.apply,
        'path).replace("\\n", "\\r\\n")',
        "path)",
        lambda: edits.test_a_file_of_crlf_lines_is_edited_with_either_end_of_line_and_keeps_its_own("\n"),
    ),
    Mutant(
        "a miss tells the whole of a long passage",
        misses.nearest,
        ", first + _MOST_LINES_SHOWN)",
        ", len(lines))",
        edits.test_a_miss_in_long_lines_and_of_a_long_passage_says_little,
    ),
    Mutant(
        "what was dropped of an output is not counted",
        Ends.add,
        'self._lines += data.count(b"\\n")',
        'self._lines += data.count(b"\\n") if len(self._head) < self.keep_bytes else 0',
        truncation.test_a_flood_costs_bounded_memory_and_is_counted_whole,
    ),
    Mutant(
        "a busy E2B is given up like a broken one",
        troubles.patiently,
        "(busy_pauses if isinstance(trouble, Busy) else pauses)",
        "pauses",
        lambda: patience.test_what_is_busy_is_asked_for_long(patience.RATE_LIMITED),
    ),
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.bug for mutant in MUTANTS])
def test_the_named_test_catches(mutant: Mutant[Callable[[], object]]) -> None:
    with mutant.planted(), pytest.raises((AssertionError, pytest.fail.Exception)):
        mutant.caught_by()
