"""The `taor` command: what it can do, and where each command lives. Importing this imports almost nothing."""

import difflib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import click

from taor_cli.exits import EXIT_CODES_HELP


@dataclass(frozen=True, slots=True)
class Entry:
    """A command that is imported when it is used."""

    section: str
    module: str
    attribute: str
    help: str


_BUILDS, _RESULTS, _MONEY, _MACHINE = "Builds", "What comes of them", "What they may cost", "This machine"
ENTRIES: Mapping[str, Entry] = MappingProxyType(
    {
        "demo": Entry(_BUILDS, "demo", "demo", "Build a small web app from start to end. Begin here."),
        "build": Entry(_BUILDS, "builds", "build", "Start a build of your own and follow it."),
        "watch": Entry(_BUILDS, "builds", "watch", "Follow a build."),
        "list": Entry(_BUILDS, "builds", "list_builds", "List builds."),
        "show": Entry(_BUILDS, "builds", "show", "Show where a build stands."),
        "cancel": Entry(_BUILDS, "builds", "cancel", "Cancel a build."),
        "answer": Entry(_BUILDS, "people", "answer", "Answer the question that a build waits with."),
        "steer": Entry(_BUILDS, "people", "steer", "Tell the agent something while it works."),
        "pause": Entry(_BUILDS, "people", "pause", "Pause a build at the end of its turn."),
        "resume": Entry(_BUILDS, "people", "resume", "Let a paused build go on."),
        "wake": Entry(_BUILDS, "people", "wake", "Let a sleeping build look for money now."),
        "turns": Entry(_BUILDS, "forks", "turns", "List the turns of a build, and which can be forked."),
        "fork": Entry(_BUILDS, "forks", "fork", "Start a build from a turn of another one."),
        "diff": Entry(_RESULTS, "forks", "diff", "Show in which files two turns differ."),
        "delete": Entry(_BUILDS, "projects", "delete", "Delete a project for good, with all its builds."),
        "files": Entry(_RESULTS, "results", "files", "Download the files of a build."),
        "preview": Entry(_RESULTS, "results", "preview", "Give the address of the running program, and check it."),
        "audit": Entry(_RESULTS, "audit", "audit", "Prove that money, history and effects of a build agree."),
        "budget": Entry(_MONEY, "money", "budget", "Show what a user may spend, and what was spent."),
        "topup": Entry(_MONEY, "money", "topup", "Add money to a user's billing cycle."),
        "plan": Entry(_MONEY, "money", "plan", "Put a user on another plan."),
        "replay": Entry(_RESULTS, "replay", "replay", "Drive a build through its log again, turn by turn."),
        "up": Entry(_MACHINE, "installation", "up", "Start taor on this machine."),
        "down": Entry(_MACHINE, "installation", "down", "Stop it."),
        "status": Entry(_MACHINE, "installation", "status", "Tell whether its services answer."),
        "logs": Entry(_MACHINE, "logs", "logs", "Print or follow the logs of its services."),
        "token": Entry(_MACHINE, "installation", "token", "Print the bearer token."),
    }
)

_EPILOG = f"""
\b
Begin with `taor demo`; then `taor build --brief idea.md`. `taor COMMAND --help` has examples.
BUILD is an id, the beginning of one, or `latest`. Every command knows --json, and --target HOST:PORT
with --token-file FILE for an installation elsewhere (or TAOR_TARGET, TAOR_TOKEN_FILE).

\b
From a checkout, ./taor also knows:
  test     run the test suite          check    format, lint, types, layers
  bench    measure                     lock     make the lock file anew
  crash-test, hammer, chaos            kill it at every boundary, starve it, cut its links

\b
Exit codes:
{EXIT_CODES_HELP}
"""


class LazyGroup(click.Group):
    """A group that imports a command when it is used, so that `taor --help` is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the help."""
        return list(ENTRIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name."""
        entry = ENTRIES.get(cmd_name)
        if entry is None:
            return None
        command = getattr(importlib.import_module(f"taor_cli.commands.{entry.module}"), entry.attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that was called; for one that is not there, with the names that are like it."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            alike = " or ".join(map(repr, difflib.get_close_matches(args[0], ENTRIES)))
            raise click.UsageError(f"{error.message} Did you mean {alike}?" if alike else error.message, ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands by section, without importing them."""
        for section in (_BUILDS, _RESULTS, _MONEY, _MACHINE):
            with formatter.section(section):
                formatter.write_dl([(name, it.help) for name, it in ENTRIES.items() if it.section == section])


@click.group(
    cls=LazyGroup,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
def cli() -> None:
    """Think, act, observe, repeat: autonomous builds of software, on real parts, within a budget."""


def main() -> None:
    """The entry point: runs a command and ends the process with its exit code."""
    cli(prog_name="taor")
