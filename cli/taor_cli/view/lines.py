"""Events as lines: what a terminal scrolls and what a log file keeps. Pure."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import assert_never

from taor_cli.builds import BuildState, Question
from taor_cli.events import (
    AllowanceLow,
    Documented,
    Ended,
    Escalated,
    Event,
    Forked,
    MessageRead,
    Narrated,
    StateChanged,
    ToolAnswered,
    ToolCalled,
    TurnTaken,
    Unfamiliar,
    What,
)
from taor_cli.view.text import clock, dollars, duration, last_lines, one_line, tokens

FAILURE_LINES = 4
# Calls whose whole effect is told by an event of its own.
TOLD_ELSEWHERE = frozenset({"narrate", "document", "escalate", "finish"})


class Tone(Enum):
    """How a line is meant; the live view gives each a colour."""

    QUIET = "quiet"
    PLAIN = "plain"
    VOICE = "voice"
    GOOD = "good"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a build's story."""

    mark: str
    text: str
    tone: Tone


def lines_of(what: What) -> tuple[Line, ...]:
    """How a thing that happened is told; some things are not worth a line."""
    match what:
        case TurnTaken():
            return _turn(what)
        case ToolCalled():
            return _call(what)
        case ToolAnswered():
            return _answer(what)
        case Narrated():
            return (Line("“", one_line(what.message, 400), Tone.VOICE),)
        case Documented():
            return (Line("¶", f"documentation: {one_line(what.section)}", Tone.QUIET),)
        case StateChanged():
            reason = f" ({one_line(what.reason)})" if what.reason else ""
            return (Line("·", f"{what.before.lower()} → {what.after.lower()}{reason}", Tone.QUIET), *_foreseen(what))
        case Escalated():
            return question_lines(what)
        case MessageRead():
            return (Line("»", one_line(what.text, 400), Tone.VOICE),)
        case Forked():
            return (Line("·", f"forked from {one_line(what.origin_build_id)} after its turn {what.turn}", Tone.QUIET),)
        case AllowanceLow():
            return _low(what)
        case Ended():
            return _end(what)
        case Unfamiliar():
            return ()
        case _:
            assert_never(what)


def plain(event: Event, began: datetime) -> tuple[str, ...]:
    """The lines of an event as plain text, each with the seconds since the build was started."""
    at = duration((event.time - began).total_seconds())
    return tuple(f"{at:>12}  {line.mark} {line.text}" for line in lines_of(event.what))


def _turn(turn: TurnTaken) -> tuple[Line, ...]:
    cached = f", {tokens(turn.cache_read_tokens)} cached" if turn.cache_read_tokens else ""
    numbers = f"{tokens(turn.prompt_tokens)} in{cached}, {tokens(turn.output_tokens)} out tokens"
    head = Line("●", f"turn {turn.turn}: {numbers}", Tone.QUIET)
    return (head, Line(" ", one_line(turn.text), Tone.PLAIN)) if turn.text.strip() else (head,)


def _call(call: ToolCalled) -> tuple[Line, ...]:
    if call.tool in TOLD_ELSEWHERE:
        return ()
    return (Line("›", f"{call.tool} {one_line(call.summary, 120)}".rstrip(), Tone.PLAIN),)


def _answer(answer: ToolAnswered) -> tuple[Line, ...]:
    if not answer.failed:
        return ()
    why = tuple(Line(" ", text, Tone.QUIET) for text in last_lines(answer.text, FAILURE_LINES))
    return (Line("✗", f"{answer.tool} failed", Tone.BAD), *why)


def question_lines(asked: Question) -> tuple[Line, ...]:
    """A question of the agent, with everything that helps to answer it."""
    options = (f"{number}. {one_line(option, 400)}" for number, option in enumerate(asked.options, start=1))
    more = (f"tried: {one_line(asked.tried, 400)}", *options, f"recommended: {one_line(asked.recommendation, 400)}")
    head = Line("?", one_line(asked.question, 1_000), Tone.VOICE)
    return (head, *(Line(" ", text, Tone.PLAIN) for text in (*more, 'answer it with: taor answer BUILD "…"')))


def _end(end: Ended) -> tuple[Line, ...]:
    good = end.state is BuildState.SUCCEEDED
    head = Line(
        "✓" if good else "✗", f"{end.state.lower()}: {one_line(end.message, 400)}", Tone.GOOD if good else Tone.BAD
    )
    if not end.verification_command:
        return (head,)
    proof = f"verified by `{one_line(end.verification_command)}`: {one_line(end.verification_outcome)}"
    return (head, Line(" ", proof, Tone.QUIET))


def _low(low: AllowanceLow) -> tuple[Line, ...]:
    """That there is little left of the day, for how long it may do, and what comes after it."""
    spent = f"the day's allowance of {dollars(low.limit_microdollars)} is nearly used up"
    head = Line("·", f"{spent}; more comes {clock(low.refresh_time)}", Tone.QUIET)
    sleeps = [clock(each.sleep_time) for each in (low.p50, low.p90) if each and each.sleep_time]
    if len(sleeps) < 2:
        return (head, *_foreseen(low))
    return (head, Line("·", f"sleeps {sleeps[0]}, nine in ten not before {sleeps[1]}", Tone.QUIET), *_foreseen(low))


def _foreseen(change: StateChanged | AllowanceLow) -> tuple[Line, ...]:
    """What a build that lacks money may still cost, and when it may be done."""
    likely, cautious = change.p50, change.p90
    if likely is None or cautious is None:
        return ()
    if likely.finish_microdollars is None or cautious.finish_microdollars is None:
        costs = f"{dollars(likely.call_microdollars)}, nine in ten at most {dollars(cautious.call_microdollars)}"
        return (Line("·", f"a call costs {costs}", Tone.QUIET),)
    costs = f"{dollars(likely.finish_microdollars)} more, nine in ten at most {dollars(cautious.finish_microdollars)}"
    times = f"{clock(likely.finish_time) or 'never'}, at worst {clock(cautious.finish_time) or 'never'}"
    return (Line("·", f"done after {costs}: {times}", Tone.QUIET),)
