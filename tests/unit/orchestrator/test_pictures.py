"""Pictures that tools give: asked for with checked inputs, sent to the model as blocks, left out of what is told."""

import orjson
import pytest

from taor_orchestrator import context, money
from taor_orchestrator.history import Entry, EntryKind, History
from taor_orchestrator.toolset import BadToolInput, TakeScreenshot, parse
from taor_orchestrator.transcript import Image, ToolAnswer, Use, tool_results

USE = Use(0, "toolu_1", "take_screenshot", {"port": 8000}, True)


def test_a_screenshot_is_asked_for() -> None:
    assert parse("take_screenshot", {"port": 8000}) == TakeScreenshot(8000, "/", False)
    wanted = {"port": 80, "path": "/a?b", "viewport": "mobile"}
    assert parse("take_screenshot", wanted) == TakeScreenshot(80, "/a?b", True)


@pytest.mark.parametrize(
    "fields",
    [{}, {"port": 0}, {"port": 65_536}, {"port": "80"}, {"port": 80, "path": "a"}, {"port": 80, "path": "/a b"},
     {"port": 80, "path": "/\n"}, {"port": 80, "viewport": "tablet"}],
)  # fmt: skip
def test_what_no_browser_could_open_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(BadToolInput):
        parse("take_screenshot", fields)


def test_a_picture_is_a_block_behind_its_text() -> None:
    body = context.results_body([USE], [ToolAnswer("a page", image=Image("image/png", b"\x89PNG"))])
    source = {"type": "base64", "media_type": "image/png", "data": "iVBORw=="}
    assert orjson.loads(body)["content"][0]["content"] == [
        {"type": "text", "text": "a page"},
        {"type": "image", "source": source},
    ]
    assert tool_results(Entry(2, 1, 1, EntryKind.USER, body)) == (ToolAnswer("a page"),)


@pytest.mark.parametrize("content", [b"\x89PNG", b"\x89PNG" * 500_000])
def test_a_picture_is_paid_for_as_a_picture_whatever_its_bytes(content: bytes) -> None:
    said = 'x "type":"image" x'
    body = context.results_body([USE], [ToolAnswer(said, image=Image("image/png", content))])
    bound = money.prompt_bound(History((Entry(1, 1, 1, EntryKind.USER, body),)))
    assert money.PICTURE_TOKENS < bound < money.PICTURE_TOKENS + money.PROMPT_MARGIN_TOKENS + 300


def test_words_about_pictures_are_counted_as_words() -> None:
    body = context.results_body([USE], [ToolAnswer('{"type":"image","source":{"data":"' + "x" * 5_000 + '"}}')])
    bound = money.prompt_bound(History((Entry(1, 1, 1, EntryKind.USER, body),)))
    assert bound == len(body) + money.PROMPT_MARGIN_TOKENS


def page(size: int = 900_000) -> ToolAnswer:
    """A page that was looked at."""
    return ToolAnswer("page", image=Image("image/png", b"x" * size))


def looked_at(*answers: ToolAnswer, history: History) -> tuple[History, tuple[ToolAnswer, ...]]:
    """The history after a message with these answers, and what the message says."""
    body = context.results_body([USE] * len(answers), answers, history=history)
    entry = Entry(history.head + 1, 1, 1, EntryKind.USER, body)
    return history.grow(entry), tool_results(entry)


def test_more_pictures_than_an_entry_holds_are_refused() -> None:
    history, told = looked_at(*[page()] * 5, history=History())
    assert [each.failed for each in told] == [False] * 3 + [True] * 2
    assert all("Look at this one by itself" in each.text for each in told[3:])
    assert len(history.entries[-1].body) < 8 << 20


def test_pictures_never_make_a_request_too_large_for_the_provider() -> None:
    """What a request carries is never taken out again, so there comes a picture that is not shown any more."""
    history = History((Entry(1, 1, 1, EntryKind.HEAD, context.head_body("model")),))
    shown = 0
    for _ in range(40):
        history, (told,) = looked_at(page(), history=history)
        shown += not told.failed
    assert told.text.endswith("Find it out by other means.")
    assert shown == 14_000_000 // 1_200_000
    assert len(context.request_body(history, 1000)) < 20_000_000 - 4_000_000
    history, (told,) = looked_at(ToolAnswer("still works"), history=history)
    assert not told.failed


def test_a_request_carries_no_more_than_a_hundred_pictures() -> None:
    history = History((Entry(1, 1, 1, EntryKind.HEAD, context.head_body("model")),))
    told: list[ToolAnswer] = []
    for _ in range(26):
        history, answers = looked_at(*[page(10)] * 4, history=history)
        told += answers
    assert [each.failed for each in told] == [False] * 100 + [True] * 4


def test_the_next_segment_has_room_again() -> None:
    history = History()
    for _ in range(12):
        history, (told,) = looked_at(page(), history=history)
    assert told.failed
    history = history.grow(Entry(history.head + 1, 2, 1, EntryKind.HEAD, context.head_body("model")))
    _, (told,) = looked_at(page(), history=history)
    assert not told.failed


def test_without_a_picture_a_result_stays_text() -> None:
    body = context.results_body([USE], [ToolAnswer("gone", failed=True)])
    assert orjson.loads(body)["content"][0]["content"] == "gone"
    assert tool_results(Entry(2, 1, 1, EntryKind.USER, body)) == (ToolAnswer("gone", failed=True),)
