"""Long output is cut in its middle, by lines, in bounded memory."""

from hypothesis import given
from hypothesis import strategies as st

from taor_sandbox.truncation import Ends, line, middle


def test_short_text_stays_as_it_is() -> None:
    assert middle("a\nb\n", limit=4) == "a\nb\n"


def test_the_middle_goes_and_the_note_says_how_much() -> None:
    text = "".join(f"line {n}\n" for n in range(100))
    cut = middle(text, limit=60, source="/log")
    assert cut.startswith("line 0\nline 1\n")
    assert cut.endswith("line 98\nline 99\n")
    assert "[… 93 lines, 738 characters left out; all of it stands in /log …]\n" in cut


def test_one_endless_line_keeps_its_ends() -> None:
    cut = middle("a" * 50 + "b" * 50, limit=10)
    assert cut.startswith("aaaaa[…")
    assert cut.endswith("…]\nbbbbb")


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
    assert line("x" * 12, limit=10) == "x" * 10 + " [… 2 more characters in this line]"


@given(st.lists(st.binary(max_size=40), max_size=30))
def test_short_streams_are_kept_whole(chunks: list[bytes]) -> None:
    ends = Ends(keep_bytes=600)
    for chunk in chunks:
        ends.add(chunk)
    assert ends.text() == b"".join(chunks).decode(errors="replace")


def test_a_flood_costs_bounded_memory_and_shows_no_half_lines() -> None:
    ends = Ends(keep_bytes=100)
    for number in range(100_000):
        ends.add(f"number {number}\n".encode())
    lines = ends.text().splitlines()
    assert lines[0] == "number 0"
    assert lines[-1] == "number 99999"
    assert all(each.startswith(("number ", "[… ")) for each in lines)
    assert len(ends.text()) < 300
