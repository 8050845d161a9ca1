"""Questions and answers from Markdown."""

from pathlib import Path

import pytest

import taor_local
from taor_cli.clarifications import Clarification, parse
from taor_cli.exits import UsageError


def test_paragraphs_in_turn_become_questions_and_answers() -> None:
    text = "# Title\n\nQ: Who?\nA: You.\n\nQ:  When\n   exactly?\nA: Now.\n\n## And later\n"
    assert parse(text, "qna.md") == (
        Clarification("Who?", "You."),
        Clarification("When\n   exactly?", "Now.\n\n## And later"),
    )


def test_an_empty_file_asks_nothing() -> None:
    assert parse("# Nothing yet\n\n", "qna.md") == ()


def test_the_demo_has_questions_and_answers() -> None:
    demo = Path(next(iter(taor_local.__path__))) / "demo" / "qna.md"
    assert parse(demo.read_text("utf-8"), "qna.md")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hello\nQ: Who?\nA: You.", "qna.md:1: text before the first 'Q:'"),
        ("A: You.", "qna.md:1: expected 'Q:' and found 'A:'"),
        ("Q: Who?\nA: You.\nA: Or me.", "qna.md:3: expected 'Q:' and found 'A:'"),
        ("Q: Who?\n\nQ: When?\nA: Now.", "qna.md:3: expected 'A:' and found 'Q:'"),
        ("Q: Who?\nA: You.\nQ: When?", "qna.md:3: the last question has no answer"),
        ("Q:\nA: You.", "qna.md:1: 'Q:' has no text"),
        ("Q: Who?\nA: You.\n" * 201, "qna.md:401: more than 200 questions"),
    ],
)
def test_a_mistake_is_told_with_its_line(text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text, "qna.md")
    assert caught.value.message == words
