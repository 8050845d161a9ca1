"""A build as a terminal shows it: the story scrolls, and a panel below it tells state, activity and money. Pure."""

from collections.abc import Iterator
from datetime import datetime

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from taor_cli.builds import BuildState
from taor_cli.events import Event
from taor_cli.view.lines import Tone, lines_of
from taor_cli.view.picture import Picture
from taor_cli.view.text import dollars, duration, one_line

# Two or three lines of a terminal.
SAID_CHARS = 240
_STYLES = {
    Tone.QUIET: "dim",
    Tone.PLAIN: "",
    Tone.VOICE: "cyan",
    Tone.GOOD: "bold green",
    Tone.BAD: "bold red",
}
_STATE_STYLES = {
    BuildState.RUNNING: "bold cyan",
    BuildState.SUCCEEDED: "bold green",
    BuildState.FAILED: "bold red",
    BuildState.CANCELLED: "bold yellow",
}


def story(event: Event, began: datetime) -> Iterator[Text]:
    """The lines of an event, to be printed above the panel."""
    at = f"{duration((event.time - began).total_seconds()):>12}  "
    for line in lines_of(event.what):
        text = Text.assemble((at, "dim"), (f"{line.mark} {line.text}", _STYLES[line.tone]))
        text.no_wrap, text.overflow = line.tone is not Tone.VOICE, "ellipsis"
        yield text


def panel(picture: Picture, now: datetime) -> RenderableType:
    """Where the build stands at this moment."""
    title = Text.assemble((picture.project_id, "bold"), "  ", (picture.build_id, "dim"))
    style = _STATE_STYLES.get(picture.state, "bold")
    body = Group(_facts(picture, now, style), _activity(picture), _money(picture))
    return Panel(body, title=title, title_align="left", border_style=style)


def _facts(picture: Picture, now: datetime, style: str) -> Text:
    elapsed_seconds = ((picture.ended_at or now) - picture.began).total_seconds()
    facts = Text.assemble(
        (picture.state.value, style), f"   {duration(max(elapsed_seconds, 0.0))}   turn {picture.turns}"
    )
    failed = f" ({picture.failed_tool_calls} failed)" if picture.failed_tool_calls else ""
    facts.append(f"   {picture.tool_calls} tool calls{failed}   {picture.model} ")
    if picture.scripted:
        facts.append(" SCRIPTED ", "black on yellow")
    return facts


def _activity(picture: Picture) -> Text:
    if picture.lost_seconds is not None:
        return Text(f"connection lost for {duration(picture.lost_seconds)}; trying again", style="yellow")
    if picture.running:
        calls = " · ".join(f"{call.tool} {one_line(call.summary, 60)}".rstrip() for call in picture.running)
        return Text(f"running {calls}", style="cyan", no_wrap=True, overflow="ellipsis")
    match picture.state:
        case BuildState.RUNNING:
            return Text(_newest(picture.words.text), style="cyan") if picture.words else Text("thinking", style="cyan")
        case BuildState.QUEUED:
            return Text("waiting for a worker", style="cyan")
        case BuildState.SLEEPING | BuildState.WAITING_BUDGET:
            return Text(
                "resting until there is money again; Ctrl-C leaves, the build goes on by itself", style="yellow"
            )
        case BuildState.WAITING_ANSWER:
            words = f'waiting for your answer: taor answer {picture.build_id} "…"'
            return Text(words, style="yellow")
        case BuildState.PAUSED:
            return Text(f"paused: taor resume {picture.build_id}", style="yellow")
        case _:
            return Text("ended" if picture.ended else "waiting")


def _newest(text: str) -> str:
    """The end of what is being said, which goes on growing."""
    line = one_line(text, len(text))
    return line if len(line) <= SAID_CHARS else "…" + line[-SAID_CHARS:]


def _money(picture: Picture) -> RenderableType:
    if picture.money is None:
        return Text("")
    spent, today = Text(f"spent {dollars(picture.money.spent_microdollars)}"), picture.money.today
    if today.limit_microdollars <= 0:
        return spent
    used_microdollars = today.spent_microdollars + today.reserved_microdollars
    share = Text(f"today {dollars(today.spent_microdollars)} of {dollars(today.limit_microdollars)}")
    grid = Table.grid(padding=(0, 2))
    grid.add_row(spent, share, ProgressBar(total=today.limit_microdollars, completed=used_microdollars, width=24))
    return grid
