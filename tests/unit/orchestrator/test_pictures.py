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


def test_more_pictures_than_an_entry_holds_are_left_out_and_said() -> None:
    answers = [ToolAnswer(f"{number}", image=Image("image/png", b"x" * 900_000)) for number in range(5)]
    body = context.results_body([USE] * 5, answers)
    told = [answer.text for answer in tool_results(Entry(2, 1, 1, EntryKind.USER, body))]
    assert told[:3] == ["0", "1", "2"]
    assert all("look at this one by itself" in text for text in told[3:])
    assert len(body) < 8 << 20


def test_without_a_picture_a_result_stays_text() -> None:
    body = context.results_body([USE], [ToolAnswer("gone", failed=True)])
    assert orjson.loads(body)["content"][0]["content"] == "gone"
    assert tool_results(Entry(2, 1, 1, EntryKind.USER, body)) == (ToolAnswer("gone", failed=True),)
