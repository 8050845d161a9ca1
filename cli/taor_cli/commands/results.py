"""`taor files` and `taor preview`: what comes of a build."""

from pathlib import Path

import click

from taor_cli.clients import connect
from taor_cli.commands.builds import find_build
from taor_cli.exits import UsageError
from taor_cli.options import Invocation, anywhere
from taor_cli.orchestrator import Orchestrator


@click.command()
@click.argument("name", metavar="[BUILD]", default="latest")
@click.option(
    "-o", "--output", "destination", type=click.Path(path_type=Path), required=True,
    help="A folder that is new or empty; with --format the name of a new file.",
)  # fmt: skip
@click.option(
    "--format", "form", type=click.Choice(["tar", "zip", "git-bundle"]), help="Keep the files packed in one file."
)
@anywhere
async def files(invocation: Invocation, *, name: str, destination: Path, form: str | None) -> None:
    """Download the files of a build: from its sandbox while that is there, else from the newest snapshot.

    BUILD is an id, the beginning of one, or `latest`.

    \b
    Example:
      taor files latest -o ./streaks
      taor files latest --format git-bundle -o streaks.bundle && git clone streaks.bundle
    """
    from taor_cli.results import download, download_archive

    async with connect(invocation.endpoints()) as clients:
        build_id = await Orchestrator(clients.orchestrator).find(name)
        if form is not None:
            size = await download_archive(clients, build_id, form.upper().replace("-", "_"), destination)
            invocation.output.document({"build_id": build_id, "file": str(destination), "bytes": size})
            invocation.output.say(f"{size:,} bytes in {destination}")
            return
        unpacked = await download(clients, build_id, destination)
    invocation.output.document(
        {
            "build_id": build_id,
            "folder": str(unpacked.folder.absolute()),
            "files": unpacked.files,
            "bytes": unpacked.bytes,
            "left_out": unpacked.left_out,
        }
    )
    invocation.output.say(f"{unpacked.files} files, {unpacked.bytes:,} bytes in {unpacked.folder}")
    if unpacked.left_out:
        shown = ", ".join(unpacked.left_out[:5])
        invocation.output.say(
            f"left out {len(unpacked.left_out)} that lead outside or are no files: {shown}", error=True
        )


@click.command()
@click.argument("name", metavar="[BUILD]", default="latest")
@click.option(
    "--port", type=click.IntRange(1, 65_535), help="A port inside the sandbox; default: the one the agent named."
)
@anywhere
async def preview(invocation: Invocation, *, name: str, port: int | None) -> None:
    """Give the address of the program that a build left running, and check that it answers.

    The exit code is 0 when it answers HTTP 200 and 1 when it does not. Browsers and curl open the address as it is.

    \b
    Examples:
      taor preview
      taor preview 0198f3 --port 8000
    """
    from taor_cli.results import open_preview, require_working

    async with connect(invocation.endpoints()) as clients:
        build = await find_build(clients, name)
        if not (port or build.preview_port):
            raise UsageError("the build has named no port", advice="give one with --port")
        opened = await open_preview(clients, build.build_id, port or build.preview_port)
    invocation.output.document(opened)
    invocation.output.say(opened.url)
    require_working(opened)
