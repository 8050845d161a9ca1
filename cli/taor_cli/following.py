"""Follow a build to its end, in the way that the output asks for: live, as lines, or as JSON lines."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime

import grpc
from taor.budget.v1 import budget_pb2

from taor_cli import translate
from taor_cli.builds import Build, BuildState
from taor_cli.clients import Clients
from taor_cli.events import Event, Words
from taor_cli.exits import DetachedError, ThingFailedError
from taor_cli.orchestrator import Orchestrator
from taor_cli.output import Output
from taor_cli.view.lines import plain
from taor_cli.view.picture import Money, Picture, first_picture, hear, observe
from taor_cli.view.text import dollars, duration
from taor_cli.watching import Break, watch

MONEY_EVERY_SECONDS = 2.0
SCRIPTED_ADVICE = (
    "the model here is SCRIPTED and plays only its scripts; for a brief of your own set ANTHROPIC_API_KEY, then run "
    "`taor down` and `taor up`"
)
_ENDINGS = {BuildState.FAILED: "failed", BuildState.CANCELLED: "been cancelled"}


async def follow(clients: Clients, build: Build, output: Output, *, scripted: bool, after_sequence: int = 0) -> Build:
    """Show what happens until the build has ended; gives it as it is then. Ctrl-C raises DetachedError."""
    stream = watch(clients.orchestrator, build.build_id, after_sequence=after_sequence, with_words=output.is_live)
    picture = first_picture(build, scripted=scripted)
    try:
        if output.as_json:
            await _as_json(stream, output)
        elif output.is_live:
            await _live(stream, picture, clients, build)
        else:
            await _as_lines(stream, picture, output)
        return await Orchestrator(clients.orchestrator).get(build.build_id)
    except asyncio.CancelledError:
        back = f"taor watch {build.build_id}"
        raise DetachedError("detached; the build goes on", advice=f"come back with: {back}") from None


def require_success(build: Build, *, scripted: bool = False) -> None:
    """Raise ThingFailedError unless the build has succeeded; a scripted model gets a word of its own."""
    if build.state is not BuildState.SUCCEEDED:
        advice = SCRIPTED_ADVICE if scripted and build.state is BuildState.FAILED else ""
        message = f"the build has {_ENDINGS.get(build.state, 'not ended')}: {build.outcome_message}"
        raise ThingFailedError(message, reason=build.state.value, advice=advice)


def cost_line(build: Build) -> str:
    """What the build has cost."""
    return f"{build.turns} turns, {build.tool_calls} tool calls, {dollars(build.spent_microdollars)}"


async def read_money(clients: Clients, build: Build) -> Money:
    """What the build has cost so far, and what its user may spend today."""
    now, allowance = await asyncio.gather(
        Orchestrator(clients.orchestrator).get(build.build_id),
        clients.budget.GetAllowance(budget_pb2.GetAllowanceRequest(user_id=build.user_id)),
    )
    return Money(now.spent_microdollars, translate.allowance(allowance))


async def _as_json(stream: AsyncIterator[Event | Words | Break], output: Output) -> None:
    async for item in stream:
        if isinstance(item, Event):
            kind = item.what.kind
            numbers = {"sequence": item.sequence, "log_sequence": item.log_sequence, "time": item.time}
            output.document({**numbers, "kind": kind, kind: item.what})


async def _as_lines(stream: AsyncIterator[Event | Words | Break], picture: Picture, output: Output) -> None:
    badge = "  SCRIPTED" if picture.scripted else ""
    output.say(f"build {picture.build_id}  project {picture.project_id}  model {picture.model}{badge}")
    async for item in stream:
        match item:
            case Event():
                for line in plain(item, picture.began):
                    output.say(line)
            case Break(lost_seconds):
                output.say(f"{'':>12}  ! connection lost for {duration(lost_seconds)}; trying again")


async def _live(stream: AsyncIterator[Event | Words | Break], picture: Picture, clients: Clients, build: Build) -> None:
    from rich.console import Console, RenderableType
    from rich.live import Live

    from taor_cli.view.live import panel, story

    console, meter = Console(), _Meter(clients, build)

    def draw() -> RenderableType:
        return panel(replace(picture, money=meter.money), datetime.now(UTC))

    with Live(console=console, refresh_per_second=8, get_renderable=draw):
        async with meter.running():
            async for item in stream:
                match item:
                    case Break(lost_seconds):
                        picture = replace(picture, lost_seconds=lost_seconds)
                    case Words():
                        picture = hear(picture, item)
                    case Event():
                        picture = observe(picture, item)
                        for text in story(item, picture.began):
                            console.print(text)
        await meter.read()


class _Meter:
    """The newest money that was read, every few seconds; None before the first."""

    def __init__(self, clients: Clients, build: Build) -> None:
        self.money: Money | None = None
        self._clients = clients
        self._build = build

    async def read(self) -> None:
        """Read it once. A service that is away leaves the last one on the screen."""
        with suppress(grpc.aio.AioRpcError):
            self.money = await read_money(self._clients, self._build)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Read it every few seconds inside the block."""
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _run(self) -> None:
        while True:
            await self.read()
            await asyncio.sleep(MONEY_EVERY_SECONDS)
