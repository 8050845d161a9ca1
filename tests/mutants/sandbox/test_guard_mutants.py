"""Bugs planted into what keeps secrets in and commands off the agent: each must be caught by the test that it names."""

from collections.abc import Callable

import pytest

from taor_sandbox import redaction, truncation
from taor_sandbox.backends.local import seccomp
from taor_sandbox.redaction import StreamRedactor
from tests.mutants.planting import Mutant
from tests.unit.sandbox import test_redaction as secrets
from tests.unit.sandbox import test_truncation as cuts
from tests.unit.sandbox_local import test_seccomp as calls

Test = Callable[[], None]

MUTANTS: list[Mutant[Test]] = [
    Mutant(
        "of a line that does not end, a word is shown before it is whole",
        StreamRedactor.feed,
        "len(self._held) - len(_last_word(self._held))",
        "len(self._held)",
        lambda: secrets.test_a_secret_in_a_line_that_does_not_end_is_not_shown_in_halves(5_003),
    ),
    Mutant(
        "the rest of a word that was too long is shown",
        StreamRedactor.feed,
        'self._held, self._skips_word = b"", True',
        'self._held = b""',
        secrets.test_output_without_line_ends_is_held_back_only_so_far,
    ),
    Mutant(
        "a long line is cut within a word",
        truncation._between_words,
        "while end > first and",
        "while False and",
        lambda: cuts.test_no_line_is_cut_within_a_secret(20),
    ),
    Mutant(
        "of a private key only the first line is left out",
        redaction.without_private_keys,
        "shown[begin : number + 1] =",
        "shown[begin : begin + 1] =",
        secrets.test_each_line_of_a_private_key_goes_and_the_others_keep_their_numbers,
    ),
    Mutant(
        "a command may lower the agent's limits",
        seccomp._assemble,
        "for each in machine.of_a_process",
        "for each in ()",
        lambda: calls.test_nobody_changes_what_the_agent_may_take("x86_64"),
    ),
    Mutant(
        "a command may give the agent the last share of the processor",
        seccomp._spares_the_agent,
        "_step(_LOAD, _SECOND_ARGUMENT)",
        "_step(_LOAD, _FIRST_ARGUMENT)",
        lambda: calls.test_nobody_changes_what_the_agent_may_take("aarch64"),
    ),
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.bug for mutant in MUTANTS])
def test_the_named_test_catches(mutant: Mutant[Test]) -> None:
    mutant.caught_by()
    with mutant.planted(), pytest.raises(AssertionError):
        mutant.caught_by()
