"""`taor delete`: the end of a project."""

import asyncio
import sys
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import click
from taor.orchestrator.v1 import orchestrator_pb2 as pb

from taor_cli.clients import Clients, connect
from taor_cli.exits import UsageError
from taor_cli.options import Invocation, anywhere
from taor_cli.translate import moment

WAIT_SECONDS = 60.0
POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Deletion:
    """How far a deletion has come, as `taor delete --json` prints it."""

    project_id: str
    delete_time: datetime
    purge_time: datetime | None


@click.command()
@click.argument("project_id", metavar="PROJECT")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--wait/--no-wait", default=True, help="Wait a minute for the last row to go, or return at once.")
@click.option("--request-id", help="Makes the command safe to repeat.")
@anywhere
async def delete(invocation: Invocation, *, project_id: str, yes: bool, wait: bool, request_id: str | None) -> None:
    """Delete a project for good: the history, the files and the texts of all its builds.

    The key that its history is sealed with is destroyed at once; the rest goes in the background. Its name takes no
    build any more. What the builds have cost stays in the budget's journal. Refused while a build has not ended.

    \b
    Examples:
      taor delete streaks
      taor delete streaks --yes --json
    """
    _confirm(invocation, project_id, yes)
    async with connect(invocation.endpoints()) as clients:
        deletion = await _delete(clients, project_id, request_id or str(uuid.uuid4()), WAIT_SECONDS if wait else 0.0)
    invocation.output.document(deletion)
    if deletion.purge_time is not None:
        invocation.output.say(f"{project_id} is deleted; nothing of it is left but what it has cost")
    else:
        invocation.output.say(f"{project_id} is deleted; its rows and files are still being removed")


def _confirm(invocation: Invocation, project_id: str, yes: bool) -> None:
    if yes:
        return
    if invocation.output.as_json or not sys.stdin.isatty():
        raise UsageError("deleting a project cannot be undone", advice="say --yes if you mean it")
    typed = click.prompt(f"This cannot be undone. Type {project_id} to delete it", default="", show_default=False)
    if typed != project_id:
        raise UsageError("nothing was deleted", advice="the name that you typed is another one")


async def _delete(clients: Clients, project_id: str, request_id: str, wait_seconds: float) -> Deletion:
    """Delete, and ask again until nothing is left or the time is over."""
    request = pb.DeleteProjectRequest(project_id=project_id, request_id=request_id)
    answer = await clients.orchestrator.DeleteProject(request)
    with suppress(TimeoutError):
        async with asyncio.timeout(wait_seconds):
            while True:
                if answer.HasField("purge_time"):
                    break
                await asyncio.sleep(POLL_SECONDS)
                answer = await clients.orchestrator.DeleteProject(request)
    purge_time = moment(answer.purge_time) if answer.HasField("purge_time") else None
    return Deletion(project_id, moment(answer.delete_time), purge_time)
