"""Long output is cut in its middle, by lines, in bounded memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taor_sandbox.truncation import Ends, Size, ends, line, middle


def test_short_text_stays_as_it_is() -> None:
    assert middle("a\nb\n", limit=4) == "a\nb\n"


def test_the_middle_goes_and_the_note_says_how_much() -> None:
    text = "".join(f"line {n}\n" for n in range(100))
    cut = middle(text, limit=60, source="/log")
    assert cut.startswith("line 0\nline 1\n")
    assert cut.endswith("line 98\nline 99\n")
    where = "all of it stands in /log (look at parts of it with bash)"
    assert f"[… 93 of 100 lines, 738 characters left out; {where} …]\n" in cut


def test_one_endless_line_keeps_its_ends() -> None:
    cut = middle("a" * 50 + "b" * 50, limit=10)
    assert cut == "aaaaa\n[… 90 characters left out …]\nbbbbb"


def test_an_endless_line_between_short_ones_is_shown_in_part() -> None:
    assert middle("begin\n" + "x" * 50, limit=20) == "begin\n[… 40 characters left out …]\n" + "x" * 10
    assert middle("x" * 50 + "\nend\n", limit=20) == "x" * 10 + "\n[… 1 of 2 lines, 41 characters left out …]\nend\n"


@given(st.lists(st.text("ab\n", max_size=20)).map("".join), st.integers(2, 40))
def test_nothing_is_shown_twice_and_lines_stay_whole(text: str, limit: int) -> None:
    cut = middle(text, limit=limit)
    if cut == text:
        return
    head, _, rest = cut.partition("[… ")
    tail = rest.partition("…]\n")[2]
    assert text.endswith(tail)
    assert text.startswith(head.removesuffix("\n"))
    assert len(head) + len(tail) <= limit + 1


def test_a_long_line_says_what_it_lost() -> None:
    assert line("a b c d e f", limit=9) == "a b c d e [… 2 more characters in this line]"


@pytest.mark.parametrize("at", range(1, 60))
def test_no_line_is_cut_within_a_secret(at: int) -> None:
    token = "ghp_" + "a1B2" * 9
    cut = line(f"{'.. ' * 40}{token} and more", limit=119 + at)
    assert token in cut or "ghp_" not in cut
    assert cut.startswith(".. .. ")


def test_a_word_that_is_longer_than_any_key_is_cut_all_the_same() -> None:
    assert line("x" * 3000, limit=2000).startswith("x" * 1744 + " [… 1256 more")


@given(st.lists(st.binary(max_size=40), max_size=30))
def test_short_streams_are_kept_whole(chunks: list[bytes]) -> None:
    collected = Ends(keep_bytes=600)
    for chunk in chunks:
        collected.add(chunk)
    kept = collected.kept()
    assert (kept.head, kept.tail) == (b"".join(chunks).decode(errors="replace"), "")


def test_a_flood_costs_bounded_memory_and_is_counted_whole() -> None:
    collected = Ends(keep_bytes=100)
    for number in range(100_000):
        collected.add(f"nümber {number}\n".encode())
    kept = collected.kept()
    assert len(kept.head) + len(kept.tail) <= 200
    assert kept.whole == Size.of("".join(f"nümber {number}\n" for number in range(100_000)))
    lines = ends(kept.head, kept.tail, kept.whole, limit=60).splitlines()
    assert lines[:2] == ["nümber 0", "nümber 1"], "no half line"
    assert lines[-2:] == ["nümber 99998", "nümber 99999"]
    assert f"[… {100_000 - (len(lines) - 1)} of 100000 lines, " in lines[3]


def test_of_an_endless_line_both_ends_are_kept() -> None:
    collected = Ends(keep_bytes=10)
    for piece in (b"begin", b"x" * 1000, b"end\n"):
        collected.add(piece)
    kept = collected.kept()
    assert (kept.head, kept.tail[-5:]) == ("beginxxxxx", "xend\n")
    assert ends(kept.head, kept.tail, kept.whole, limit=8) == "begi\n[… 1001 characters left out …]\nend\n"


def test_what_is_no_text_is_counted_too() -> None:
    collected = Ends()
    collected.add(b"\x80" * 400_000)
    assert collected.kept().whole.characters == 100_000
