"""The words of a running call: none of a secret gets out between two pieces, and nobody waits for a reader."""

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taor_orchestrator.livetext import MAX_HELD_CHARS, MAX_PIECES, CallName, LiveText, WordRedactor
from taor_orchestrator.model.port import Delta, DeltaKind
from tests.unit.sandbox.test_redaction import SECRETS

CALL = CallName("build", "build/1/0", 1)


def let_out(pieces: list[str]) -> str:
    redactor = WordRedactor()
    return "".join(map(redactor.feed, pieces))


@given(
    secret=st.sampled_from(sorted(SECRETS.values())),
    cuts=st.lists(st.integers(0, 200)),
    after=st.sampled_from(" \n,;é"),
)
def test_no_part_of_a_secret_gets_out_wherever_it_is_cut(secret: str, cuts: list[int], after: str) -> None:
    text = f"It is {secret}{after}and more of it follows here. "
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    shown = let_out([text[start:end] for start, end in itertools.pairwise(places)])
    assert shown.startswith("It is [redacted ")
    for start in range(len(secret) - 8):
        assert secret[start : start + 8] not in shown


@given(text=st.text(alphabet="ab .é\n-", max_size=60), cuts=st.lists(st.integers(0, 60)))
def test_ordinary_words_come_whole_and_the_last_one_waits(text: str, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    shown = let_out([text[start:end] for start, end in itertools.pairwise(places)])
    assert text.startswith(shown)
    assert let_out([text, " "]) == f"{text} "


@pytest.mark.parametrize("text", ["x" * (MAX_HELD_CHARS + 1), "-----BEGIN EC PRIVATE KEY-----\nabc\n"])
def test_what_cannot_be_judged_ends_the_telling(text: str) -> None:
    assert let_out([text, " and then\n", "something else.\n"]) in ("", "[redacted private-key]")


async def test_a_reader_gets_the_text_of_its_build_and_a_slow_one_the_newest() -> None:
    live, woken = LiveText(), asyncio.Event()
    assert not live.is_read("build")
    reader, other = live.enter("build", woken), live.enter("other", asyncio.Event())
    tell = live.teller(CALL)
    tell(Delta(DeltaKind.THINKING, 0, "hm "))
    assert not woken.is_set()
    for number in range(MAX_PIECES + 1):
        tell(Delta(DeltaKind.TEXT, 1, f"{number} "))
    assert woken.is_set()
    taken = reader.take()
    assert [piece.text for piece in taken] == [f"{number} " for number in range(1, MAX_PIECES + 1)]
    assert {piece.call for piece in taken} == {CALL}
    assert (list(reader.take()), list(other.take())) == ([], [])
    live.leave("build", reader)
    assert not live.is_read("build")
    tell(Delta(DeltaKind.TEXT, 1, "to nobody "))
