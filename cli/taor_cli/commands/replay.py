"""`taor replay`: does a build come out of its log the same?"""

import click

from taor_cli.audit.gather import gather
from taor_cli.audit.replay import replay as replay_log
from taor_cli.audit.replay import turn_lines
from taor_cli.clients import connect
from taor_cli.commands.builds import find_build
from taor_cli.exits import ThingFailedError
from taor_cli.options import Invocation, anywhere


@click.command()
@click.argument("name", metavar="[BUILD]", default="latest")
@anywhere
async def replay(invocation: Invocation, *, name: str) -> None:
    """Drive a build through its log again, turn by turn.

    At each entry the next step is decided anew from the log before it and must be the one that was taken. For each turn
    the request is computed anew and must have the hash of the one that was sent; its events are derived anew and must
    be those that were told; its cost is computed anew and must be what was booked. Nothing is called or run. BUILD is
    an id, the beginning of one, or `latest`; the exit code is 1 when something differs.
    """
    endpoints = invocation.endpoints()
    async with connect(endpoints) as clients:
        evidence = await gather(clients, await find_build(clients, name), None)
    if evidence.log_unreadable:
        raise ThingFailedError(f"the log cannot be read: {evidence.log_unreadable}", reason="REPLAY_FAILED")
    turns = replay_log(evidence)
    invocation.output.document({"same": not any(turn.findings for turn in turns), "turns": turns})
    for text, is_bad in turn_lines(turns):
        invocation.output.say(click.style(text, fg="red") if is_bad else text)
    if broken := [str(turn.number) for turn in turns if turn.findings]:
        raise ThingFailedError(f"the replay differs in turn {', '.join(broken)}", reason="REPLAY_FAILED")
