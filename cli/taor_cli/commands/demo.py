"""`taor demo`: a build from start to end, with everything that comes of it looked at."""

import uuid
from dataclasses import dataclass
from pathlib import Path

import click

from taor_cli.archive import require_new_folder
from taor_cli.audit.report import Line
from taor_cli.builds import Build
from taor_cli.clients import Clients, connect
from taor_cli.commands.audit import audit_build, is_clean, require_clean, show_report
from taor_cli.commands.installation import BASE_PORT
from taor_cli.endpoints import Endpoints
from taor_cli.exits import ThingFailedError
from taor_cli.home import bring_up
from taor_cli.options import Invocation, anywhere
from taor_cli.orchestrator import DEFAULT_TIER, DEFAULT_USER, Orchestrator, Order
from taor_cli.results import Preview, download, open_preview, require_working
from taor_cli.view.text import dollars

PROJECT = "streaks"


@dataclass(frozen=True, slots=True)
class Result:
    """What came of the demo, as --json prints it last."""

    build: Build
    scripted: bool
    folder: str
    files: int
    preview: Preview | None
    audit: tuple[Line, ...]


@click.command()
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(path_type=Path),
    help="A new folder for the files; default: in the data folder.",
)
@click.option("--tier", default=DEFAULT_TIER, show_default=True, help="bootstrapper, partner or cto_scale.")
@click.option("--request-id", help="Makes the command safe to repeat.")
@BASE_PORT
@anywhere
async def demo(
    invocation: Invocation, *, folder: Path | None, tier: str, request_id: str | None, base_port: int | None
) -> None:
    """Build a small web app from start to end.

    Starts taor if needed, follows the build, fetches its files, opens its preview and audits it. Everything is real but
    the model, which is SCRIPTED unless ANTHROPIC_API_KEY or ANTHROPIC_BASE_URL is set when taor is started.

    The exit code is 1 when the build fails, the preview does not answer, or the audit finds something.

    \b
    Examples:
      taor demo
      taor demo -o ./streaks
      taor demo --json | tail -1 | jq .preview.url
    """
    from taor_cli.following import follow, require_success

    if folder is not None:
        require_new_folder(folder)  # before anything is started, not when all is done
    if not invocation.wanted.target:
        bring_up(invocation, base_port)
    endpoints = invocation.endpoints()
    async with connect(endpoints) as clients:
        started = await Orchestrator(clients.orchestrator).start(_order(tier, request_id))
        ended = await follow(clients, started, invocation.output, scripted=endpoints.scripted)
        require_success(ended)
        result = await _look(clients, endpoints, ended, folder)
    _show(invocation, result)
    if result.preview is None:
        raise ThingFailedError("the build has left no program running", reason="PREVIEW_MISSING")
    require_working(result.preview)
    require_clean(result.audit)


def _order(tier: str, request_id: str | None) -> Order:
    from importlib.resources import files

    from taor_cli.clarifications import parse

    demo_files = files("taor_local") / "demo"
    brief, qna, plan = ((demo_files / name).read_text("utf-8") for name in ("brief.md", "qna.md", "plan.md"))
    return Order(
        request_id=request_id or str(uuid.uuid4()),
        user_id=DEFAULT_USER,
        project_id=PROJECT,
        tier=tier,
        brief=brief,
        clarifications=parse(qna, "qna.md"),
        plan=plan,
    )


async def _look(clients: Clients, endpoints: Endpoints, build: Build, folder: Path | None) -> Result:
    """Fetch the files, open the preview, audit."""
    target = folder or _default_folder(endpoints, build.build_id)
    unpacked = await download(clients, build.build_id, target)
    preview = await open_preview(clients, build.build_id, build.preview_port) if build.preview_port else None
    report = await audit_build(clients, endpoints, build.build_id)
    return Result(build, endpoints.scripted, str(target.absolute()), unpacked.files, preview, report)


def _default_folder(endpoints: Endpoints, build_id: str) -> Path:
    if endpoints.data is not None:
        return endpoints.data / "downloads" / build_id
    from platformdirs import user_data_path

    return user_data_path("taor") / "downloads" / build_id


def _show(invocation: Invocation, result: Result) -> None:
    output, build = invocation.output, result.build
    output.document(result)
    show_report(output, result.audit)
    unpaid = " (SCRIPTED: counted, not paid)" if result.scripted else ""
    answer = f"  HTTP {result.preview.http_status}" if result.preview and result.preview.http_status else ""
    output.say(f"files    {result.folder}  ({result.files} files)")
    output.say(f"preview  {result.preview.url if result.preview else 'none'}{answer}")
    output.say(
        f"cost     {dollars(build.spent_microdollars)} for {build.turns} turns, {build.tool_calls} tool calls{unpaid}"
    )
    output.say(
        f"audit    {'clean' if is_clean(result.audit) else 'NOT CLEAN'}; look again with: taor audit {build.build_id}"
    )
