"""How a build looks: as lines, and as a live panel."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from rich.console import Console, RenderableType

from taor_cli.builds import Allowance, Build, BuildState, Question
from taor_cli.events import (
    AllowanceLow,
    Documented,
    Ended,
    Escalated,
    Event,
    MessageRead,
    Narrated,
    Outlook,
    StateChanged,
    ToolAnswered,
    ToolCalled,
    TurnTaken,
    Unfamiliar,
    What,
    Words,
)
from taor_cli.view.lines import plain
from taor_cli.view.live import panel, story
from taor_cli.view.picture import Money, Picture, first_picture, hear, observe
from taor_cli.view.tables import build_page, build_table
from taor_cli.view.text import clock, dollars, duration, last_lines, one_line, printable, tokens

BEGAN = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
BUILD = Build(
    build_id="0198f3a1-0000-7000-8000-000000000001",
    project_id="shop",
    user_id="me",
    tier="partner",
    model="model-1",
    state=BuildState.QUEUED,
    outcome_message="",
    turns=2,
    tool_calls=1,
    spent_microdollars=12_345,
    preview_port=0,
    last_event_sequence=0,
    create_time=BEGAN,
    end_time=None,
    wake_time=None,
)
STORY: tuple[What, ...] = (
    StateChanged(BuildState.QUEUED, BuildState.RUNNING, "claimed"),
    TurnTaken(1, "Look around.\nThen write.", 950, 0, 40),
    ToolCalled("b/1/0/1", "bash", "make test"),
    ToolCalled("b/1/0/2", "read_file", "app.py"),
    ToolAnswered("b/1/0/1", "bash", True, "a\nb\nc\n\nd\ne: 1 failed\n"),
    ToolAnswered("b/1/0/2", "read_file", False, "1 import app"),
    Narrated("I fix\x1b[2J the test\x07."),
    TurnTaken(2, "", 12_345, 11_000, 7),
    Documented("overview"),
    Escalated("Which\x1b colour?", "Both.", ("red", "blue"), "red: it is seen"),
    MessageRead("i-1", "Answer from your user: Green."),
    AllowanceLow(
        5_000_000,
        BEGAN + timedelta(hours=15),
        Outlook(10_000, BEGAN + timedelta(hours=1), 500_000, BEGAN + timedelta(hours=16)),
        Outlook(20_000, BEGAN + timedelta(minutes=30), 900_000, None),
    ),
    Unfamiliar(),
    Ended(BuildState.SUCCEEDED, "It runs.", "make test", "9 passed", 8000),
)


def happened(whats: tuple[What, ...]) -> list[Event]:
    return [Event(number, 0, BEGAN + timedelta(seconds=number / 2), what) for number, what in enumerate(whats, start=1)]


def seen(whats: tuple[What, ...]) -> Picture:
    picture = first_picture(BUILD, scripted=True)
    for event in happened(whats):
        picture = observe(picture, event)
    return picture


def drawn(renderable: RenderableType) -> str:
    console = Console(file=StringIO(), width=100, force_terminal=False, color_system=None)
    console.print(renderable)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def _clock(**after: int) -> str:
    return clock(BEGAN + timedelta(**after))


def test_a_build_as_plain_lines() -> None:
    text = "\n".join(line for event in happened(STORY) for line in plain(event, BEGAN))
    assert text == (
        "       0.5 s  · queued → running (claimed)\n"
        "       1.0 s  ● turn 1: 950 in, 40 out tokens\n"
        "       1.0 s    Look around. Then write.\n"
        "       1.5 s  › bash make test\n"
        "       2.0 s  › read_file app.py\n"
        "       2.5 s  ✗ bash failed\n"
        "       2.5 s    b\n"
        "       2.5 s    c\n"
        "       2.5 s    d\n"
        "       2.5 s    e: 1 failed\n"
        "       3.5 s  “ I fix [2J the test .\n"
        "       4.0 s  ● turn 2: 12.3k in, 11.0k cached, 7 out tokens\n"
        "       4.5 s  ¶ documentation: overview\n"
        "       5.0 s  ? Which colour?\n"
        "       5.0 s    tried: Both.\n"
        "       5.0 s    1. red\n"
        "       5.0 s    2. blue\n"
        "       5.0 s    recommended: red: it is seen\n"
        '       5.0 s    answer it with: taor answer BUILD "…"\n'
        "       5.5 s  » Answer from your user: Green.\n"
        f"       6.0 s  · the day's allowance of {dollars(5_000_000)} is nearly used up; "
        f"more comes {_clock(hours=15)}\n"
        f"       6.0 s  · sleeps {_clock(hours=1)}, nine in ten not before {_clock(minutes=30)}\n"
        f"       6.0 s  · done after {dollars(500_000)} more, nine in ten at most {dollars(900_000)}: "
        f"{_clock(hours=16)}, at worst never\n"
        "       7.0 s  ✓ succeeded: It runs.\n"
        "       7.0 s    verified by `make test`: 9 passed"
    )


def test_the_live_story_says_what_the_plain_lines_say() -> None:
    for event in happened(STORY):
        assert [text.plain for text in story(event, BEGAN)] == list(plain(event, BEGAN))


def test_the_panel_of_a_running_build() -> None:
    picture = replace(seen(STORY[:4]), money=Money(12_345, Allowance(2_000_000, 500_000, 500_000, None, "partner")))
    text = drawn(panel(picture, BEGAN + timedelta(seconds=65)))
    assert "shop  0198f3a1-0000-7000-8000-000000000001" in text
    assert "RUNNING   1 min 05 s   turn 1   2 tool calls   model-1  SCRIPTED" in text
    assert "running bash make test · read_file app.py" in text
    assert "spent $0.0124  today $0.5000 of $2.0000" in text


def test_the_panel_tells_what_is_awaited() -> None:
    assert "waiting for a worker" in drawn(panel(seen(()), BEGAN))
    assert "thinking" in drawn(panel(seen(STORY[:2]), BEGAN))
    lost = replace(seen(STORY[:2]), lost_seconds=3.0)
    assert "connection lost for 3.0 s" in drawn(panel(lost, BEGAN))
    asleep = seen((StateChanged(BuildState.RUNNING, BuildState.SLEEPING, "allowance"),))
    assert "resting" in drawn(panel(asleep, BEGAN))
    asking = seen((StateChanged(BuildState.RUNNING, BuildState.WAITING_ANSWER, ""),))
    assert f"taor answer {BUILD.build_id}" in drawn(panel(asking, BEGAN))
    paused = seen((StateChanged(BuildState.RUNNING, BuildState.PAUSED, ""),))
    assert f"taor resume {BUILD.build_id}" in drawn(panel(paused, BEGAN))


def test_the_panel_shows_the_newest_words_of_a_running_call_until_its_turn_is_told() -> None:
    running = seen(STORY[:1])
    said = hear(hear(running, Words(1, "b/1/0", "I look ")), Words(1, "b/1/0", "around.\x1b "))
    assert "I look around." in drawn(panel(said, BEGAN))
    again = hear(said, Words(1, "b/1/1", "Once more. "))
    assert "I look" not in drawn(panel(again, BEGAN))
    long = hear(again, Words(1, "b/1/1", "on and " * 1_000 + "on"))
    assert "…" in drawn(panel(long, BEGAN))
    assert len(drawn(panel(long, BEGAN)).splitlines()) < 10
    told, next_turn = happened(STORY)[1], hear(long, Words(2, "b/1/2", "Next. "))
    assert observe(long, told).words is None
    assert hear(observe(long, told), Words(1, "b/1/1", "Too late. ")).words is None
    assert observe(next_turn, told).words == Words(2, "b/1/2", "Next. ")


def test_a_real_model_has_no_badge_and_an_ended_build_stops_its_clock() -> None:
    ended = replace(seen(STORY), scripted=False)
    text = drawn(panel(ended, BEGAN + timedelta(days=1)))
    assert "SCRIPTED" not in text
    assert "SUCCEEDED   7.0 s   turn 2   2 tool calls (1 failed)   model-1" in text


def test_a_picture_is_a_fold_over_the_events() -> None:
    picture = seen(STORY)
    assert (picture.turns, picture.tool_calls, picture.failed_tool_calls) == (2, 2, 1)
    assert (picture.state, picture.running) == (BuildState.SUCCEEDED, ())


def test_a_list_and_a_page_of_builds() -> None:
    heading, line = build_table([BUILD])
    assert heading.split() == ["BUILD", "STATE", "TURNS", "COST", "STARTED", "PROJECT"]
    assert line.split()[:4] == [BUILD.build_id, "QUEUED", "2", "$0.0124"]
    ended = replace(BUILD, end_time=BEGAN + timedelta(seconds=90), preview_port=8000, outcome_message="It\x1b runs.")
    page = "\n".join(build_page(ended))
    assert "after 1 min 30 s" in page
    assert "port 8000: `taor preview 0198f3a1-0000`" in page
    assert "\x1b" not in page
    asking = replace(BUILD, question=Question("Which colour?", "Both.", ("red", "blue"), "red"))
    assert "── question\n? Which colour?" in "\n".join(build_page(asking))


@pytest.mark.parametrize(
    ("microdollars", "text"),
    [(0, "$0.0000"), (1, "$0.0001"), (12_345, "$0.0124"), (9_999_999, "$10.0000"), (1_234_567_890, "$1,234.57")],
)
def test_money_is_never_shown_as_less_than_it_is(microdollars: int, text: str) -> None:
    assert dollars(microdollars) == text


def test_numbers_and_words_as_people_read_them() -> None:
    assert [tokens(count) for count in (950, 12_345, 1_200_000)] == ["950", "12.3k", "1.2M"]
    assert [duration(seconds) for seconds in (4.21, 185, 7_800)] == ["4.2 s", "3 min 05 s", "2 h 10 min"]
    assert one_line("a\n  b" + "c" * 300, 10) == "a bcccccc…"
    assert last_lines("a\n\nb\nc\n", 2) == ("b", "c")
    assert printable("a\x1b[31mb\x9bc\nd") == "a [31mb c\nd"
