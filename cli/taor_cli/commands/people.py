"""`taor answer`, `steer`, `pause`, `resume`, `wake`: what people tell a build while it goes on."""

import sys
import uuid
from collections.abc import Awaitable, Callable

import click

from taor_cli.builds import Build
from taor_cli.clients import connect
from taor_cli.exits import UsageError
from taor_cli.options import Command, Invocation, anywhere
from taor_cli.orchestrator import Orchestrator

STANDARD_INPUT = "-"

_Tell = Callable[[Orchestrator, str, str], Awaitable[Build]]


def _of_a_build(command: Command) -> Callable[..., None]:
    """The argument and the options that all of these commands take."""
    request_id = click.option("--request-id", help="Makes the command safe to repeat.")
    return click.argument("name", metavar="BUILD")(request_id(anywhere(command)))


@click.command()
@_of_a_build
@click.argument("text", metavar="TEXT")
async def answer(invocation: Invocation, *, name: str, text: str, request_id: str | None) -> None:
    """Answer the question that a build waits with; it goes on with that.

    BUILD is an id, the beginning of one, or `latest`; `taor show BUILD` shows the question. TEXT may be `-` for
    standard input, and have 16 KiB.

    \b
    Examples:
      taor answer latest "The blue one."
      taor answer 0198f3 - < decision.md
    """
    said = _read(text)
    build = await _told(invocation, name, request_id, lambda it, build_id, key: it.answer(build_id, key, said))
    invocation.output.say(f"{build.build_id} has its answer; `taor watch {build.build_id}` shows how it goes on")


@click.command()
@_of_a_build
@click.argument("text", metavar="TEXT")
async def steer(invocation: Invocation, *, name: str, text: str, request_id: str | None) -> None:
    """Tell the agent something while it works; it reads it before its next step.

    BUILD is an id, the beginning of one, or `latest`. TEXT may be `-` for standard input, and have 16 KiB. At most 64
    texts wait to be read.

    \b
    Example:
      taor steer latest "Also add a dark mode."
    """
    said = _read(text)
    build = await _told(invocation, name, request_id, lambda it, build_id, key: it.steer(build_id, key, said))
    invocation.output.say(f"{build.build_id} is told when its turn is over")


@click.command()
@_of_a_build
async def pause(invocation: Invocation, *, name: str, request_id: str | None) -> None:
    """Pause a build at the end of its turn, until `taor resume`: it holds no money, and no sandbox runs.

    BUILD is an id, the beginning of one, or `latest`.
    """
    build = await _told(invocation, name, request_id, lambda it, build_id, key: it.pause(build_id, key))
    when = "paused" if build.state == "PAUSED" else "paused when its turn is over"
    invocation.output.say(f"{build.build_id} is {when}; `taor resume {build.build_id}` lets it go on")


@click.command()
@_of_a_build
async def resume(invocation: Invocation, *, name: str, request_id: str | None) -> None:
    """Let a paused build go on.

    BUILD is an id, the beginning of one, or `latest`.
    """
    build = await _told(invocation, name, request_id, lambda it, build_id, key: it.resume(build_id, key))
    invocation.output.say(f"{build.build_id} goes on; `taor watch {build.build_id}` follows it")


@click.command()
@_of_a_build
async def wake(invocation: Invocation, *, name: str, request_id: str | None) -> None:
    """Let a build that rests for want of money look for it now; it rests again when there is none.

    BUILD is an id, the beginning of one, or `latest`. `taor topup` and `taor plan` wake builds by themselves.
    """
    build = await _told(invocation, name, request_id, lambda it, build_id, key: it.wake(build_id, key))
    invocation.output.say(f"{build.build_id} is {build.state.lower()}; `taor watch {build.build_id}` follows it")


async def _told(invocation: Invocation, name: str, request_id: str | None, tell: _Tell) -> Build:
    """Do it to the build that is meant, and print that as a document."""
    async with connect(invocation.endpoints()) as clients:
        orchestrator = Orchestrator(clients.orchestrator)
        build = await tell(orchestrator, await orchestrator.find(name), request_id or str(uuid.uuid4()))
    invocation.output.document(build)
    return build


def _read(text: str) -> str:
    if text != STANDARD_INPUT:
        return text
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"standard input is not UTF-8 text: {error}") from error
