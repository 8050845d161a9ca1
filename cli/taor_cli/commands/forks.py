"""`taor turns`, `fork`, `diff`: go back to a turn of a build, and see what has changed since."""

import uuid

import click

from taor_cli.clients import connect
from taor_cli.options import Invocation, anywhere
from taor_cli.orchestrator import Orchestrator

_TURN = click.IntRange(min=1)


@click.command()
@click.argument("name", metavar="[BUILD]", default="latest")
@anywhere
async def turns(invocation: Invocation, *, name: str) -> None:
    """List the turns of a build, and which of them can be forked and compared.

    BUILD is an id, the beginning of one, or `latest`. A turn can be forked while a snapshot holds the files exactly as
    they stood after it: snapshots are taken at the end of a turn, at most every 30 seconds, before every rest, and at
    the end; the newest five are kept.
    """
    from taor_cli.forks import Forks
    from taor_cli.view.turns import turn_table

    async with connect(invocation.endpoints()) as clients:
        build_id = await Orchestrator(clients.orchestrator).find(name)
        listed = await Forks(clients.orchestrator).turns(build_id)
    invocation.output.document({"build_id": build_id, "turns": listed})
    for line in turn_table(listed):
        invocation.output.say(line)


@click.command()
@click.argument("name", metavar="BUILD")
@click.option("--at", "at_turn", type=_TURN, required=True, help="The last turn to take over; `taor turns` shows them.")
@click.option("--instruction", default="", help="What the agent is told before it goes on.")
@click.option("--model", default="", help="A model that the plan allows; default: that of the build.")
@click.option("--tier", default="", help="The user's plan, if it has changed since.")
@click.option("--redo", is_flag=True, help="Take any turn: run the tool calls since the last snapshot before it again.")
@click.option("--request-id", help="Makes the command safe to repeat: the same id and order give the same build.")
@click.option("--follow/--no-follow", default=True, help="Follow it to its end, or print its id and return.")
@anywhere
async def fork(
    invocation: Invocation, *, name: str, at_turn: int, redo: bool, request_id: str | None, follow: bool, **how: str
) -> None:
    """Start a new build from a turn of another one: its history up to there, and its files as they stood then.

    The other build may have ended, or be at work; nothing of it changes. The new one is of the same user and project,
    and its cost begins at zero. BUILD is an id, the beginning of one, or `latest`.

    \b
    Examples:
      taor fork 0198f3 --at 12
      taor fork latest --at 12 --instruction "Use SQLite instead."
      taor fork latest --at 12 --model claude-opus-5-5 --no-follow

    The exit code is 0 when the new build succeeds and 1 when it does not. Ctrl-C leaves it running.
    """
    from taor_cli.following import cost_line, require_success
    from taor_cli.following import follow as follow_to_end
    from taor_cli.forks import ForkOrder, Forks

    endpoints = invocation.endpoints()
    async with connect(endpoints) as clients:
        build_id = await Orchestrator(clients.orchestrator).find(name)
        order = ForkOrder(request_id or str(uuid.uuid4()), build_id, at_turn, **how, redo=redo)
        forked = await Forks(clients.orchestrator).fork(order)
        if not follow:
            invocation.output.say(forked.build_id)
            invocation.output.document(forked)
            return
        ended = await follow_to_end(clients, forked, invocation.output, scripted=endpoints.scripted)
    invocation.output.say(cost_line(ended))
    require_success(ended, scripted=endpoints.scripted)


@click.command()
@click.argument("name", metavar="BUILD")
@click.argument("from_turn", metavar="FROM", type=_TURN)
@click.argument("to_turn", metavar="TO", type=_TURN)
@click.option("--with", "other", default="", metavar="BUILD", help="The build of the second turn; default: the same.")
@anywhere
async def diff(invocation: Invocation, *, name: str, from_turn: int, to_turn: int, other: str) -> None:
    """Show in which files two turns differ: what was added (+), changed (~) and removed (-), with the diffs of texts.

    Both turns must be ones that `taor turns` marks. BUILD is an id, the beginning of one, or `latest`; the other one
    may be any of the same project, as a rule a fork.

    \b
    Examples:
      taor diff latest 3 12
      taor diff 0198f3 12 15 --with 0198f9
    """
    from taor_cli.forks import Forks
    from taor_cli.view.turns import difference_lines

    async with connect(invocation.endpoints()) as clients:
        orchestrator = Orchestrator(clients.orchestrator)
        build_id = await orchestrator.find(name)
        other_id = await orchestrator.find(other) if other else ""
        found = await Forks(clients.orchestrator).difference(build_id, from_turn, other_id, to_turn)
    invocation.output.document(found)
    for line in difference_lines(found):
        invocation.output.say(line)
