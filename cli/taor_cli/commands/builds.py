"""`taor build`, `watch`, `list`, `show`, `cancel`: builds on any installation."""

import uuid
from pathlib import Path

import click

from taor_cli.builds import Build
from taor_cli.clients import Clients, connect
from taor_cli.exits import UsageError
from taor_cli.options import Invocation, anywhere
from taor_cli.orchestrator import DEFAULT_TIER, DEFAULT_USER, Orchestrator, Order

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)
LIST_LIMIT = 50


@click.command()
@click.option("--brief", "brief_file", type=_FILE, required=True, help="The idea, in Markdown or plain text.")
@click.option("--qna", "qna_file", type=_FILE, help="Questions and answers: 'Q: …' and 'A: …' paragraphs in turn.")
@click.option("--plan", "plan_file", type=_FILE, help="The plan of the build.")
@click.option("--user", "user_id", default=DEFAULT_USER, show_default=True, help="The user who pays.")
@click.option("--project", "project_id", help="The project; default: the name of the brief's file.")
@click.option("--tier", default=DEFAULT_TIER, show_default=True, help="bootstrapper, partner or cto_scale.")
@click.option("--model", default="", help="A model that the plan allows; default: the plan's own choice.")
@click.option("--request-id", help="Makes the command safe to repeat: the same id and order give the same build.")
@click.option("--follow/--no-follow", default=True, help="Follow it to its end, or print its id and return.")
@anywhere
async def build(
    invocation: Invocation,
    *,
    brief_file: Path,
    qna_file: Path | None,
    plan_file: Path | None,
    project_id: str | None,
    request_id: str | None,
    follow: bool,
    **who: str,
) -> None:
    """Start a build of your own and follow it.

    \b
    Examples:
      taor build --brief idea.md --qna answers.md --plan plan.md
      taor build --brief idea.md --project shop --no-follow
      taor build --brief idea.md --request-id order-7     # safe to repeat
      taor build --brief idea.md --target build.example.org:7401 --token-file token

    \b
    The file of --qna holds paragraphs in turn; a mistake is told with its line:
      Q: Who uses it?
      A: One person, on one machine.

    The exit code is 0 when the build succeeds and 1 when it does not. Ctrl-C leaves the build running.
    """
    from taor_cli.clarifications import parse
    from taor_cli.following import cost_line, require_success
    from taor_cli.following import follow as follow_to_end

    order = Order(
        request_id=request_id or str(uuid.uuid4()),
        user_id=who["user_id"],
        project_id=project_id or brief_file.stem,
        tier=who["tier"],
        brief=read_text(brief_file),
        clarifications=parse(read_text(qna_file), str(qna_file)) if qna_file else (),
        plan=read_text(plan_file) if plan_file else "",
        model=who["model"],
    )
    endpoints = invocation.endpoints()
    async with connect(endpoints) as clients:
        started = await Orchestrator(clients.orchestrator).start(order)
        if not follow:
            invocation.output.say(started.build_id)
            invocation.output.document(started)
            return
        ended = await follow_to_end(clients, started, invocation.output, scripted=endpoints.scripted)
    invocation.output.say(cost_line(ended))
    require_success(ended, scripted=endpoints.scripted)


@click.command()
@click.argument("name", metavar="[BUILD]", default="latest")
@click.option("--after", "after_sequence", type=click.IntRange(min=0), default=0, help="Only events after this number.")
@anywhere
async def watch(invocation: Invocation, *, name: str, after_sequence: int) -> None:
    """Follow a build from its first event to its end.

    BUILD is an id, the beginning of one, or `latest`. A service that is restarted does not end the watch.

    \b
    Examples:
      taor watch
      taor watch 0198f3 --after 120
      taor watch latest --json | jq .kind
    """
    from taor_cli.following import cost_line, follow, require_success

    endpoints = invocation.endpoints()
    async with connect(endpoints) as clients:
        found = await find_build(clients, name)
        scripted = endpoints.scripted
        ended = await follow(clients, found, invocation.output, scripted=scripted, after_sequence=after_sequence)
    invocation.output.say(cost_line(ended))
    require_success(ended, scripted=endpoints.scripted)


@click.command("list")
@click.option("--user", "user_id", default="", help="Only builds of this user.")
@click.option("--project", "project_id", default="", help="Only builds of this project.")
@click.option("--limit", type=click.IntRange(1, 2_000), default=LIST_LIMIT, show_default=True, help="The most to list.")
@anywhere
async def list_builds(invocation: Invocation, *, user_id: str, project_id: str, limit: int) -> None:
    """List builds, newest first.

    \b
    Examples:
      taor list
      taor list --project shop --json | jq '.builds[].build_id'
    """
    from taor_cli.view.tables import build_table

    async with connect(invocation.endpoints()) as clients:
        stream = Orchestrator(clients.orchestrator).list(user_id=user_id, project_id=project_id, limit=limit)
        builds = [build async for build in stream]
    invocation.output.document({"builds": builds})
    if not builds:
        invocation.output.say("no builds; start one with `taor demo` or `taor build`")
        return
    for line in build_table(builds):
        invocation.output.say(line)


@click.command()
@click.argument("name", metavar="[BUILD]", default="latest")
@anywhere
async def show(invocation: Invocation, *, name: str) -> None:
    """Show where a build stands, with the documentation that it has written.

    BUILD is an id, the beginning of one, or `latest`.
    """
    from taor_cli.view.tables import build_page

    async with connect(invocation.endpoints()) as clients:
        found = await find_build(clients, name)
    invocation.output.document(found)
    for line in build_page(found):
        invocation.output.say(line)


@click.command()
@click.argument("name", metavar="BUILD")
@click.option("--request-id", help="Makes the command safe to repeat.")
@anywhere
async def cancel(invocation: Invocation, *, name: str, request_id: str | None) -> None:
    """Cancel a build, also in the middle of a running command. Its files stay.

    BUILD is an id, the beginning of one, or `latest`.
    """
    async with connect(invocation.endpoints()) as clients:
        orchestrator = Orchestrator(clients.orchestrator)
        build_id = await orchestrator.find(name)
        cancelled = await orchestrator.cancel(build_id, request_id or str(uuid.uuid4()))
    invocation.output.document(cancelled)
    invocation.output.say(f"{build_id} is {cancelled.state.lower()}; `taor watch {build_id}` shows its end")


async def find_build(clients: Clients, name: str) -> Build:
    """The build that a person means."""
    orchestrator = Orchestrator(clients.orchestrator)
    return await orchestrator.get(await orchestrator.find(name))


def read_text(path: Path) -> str:
    """The text of a file that was named on the command line."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as UTF-8 text: {error}") from error
