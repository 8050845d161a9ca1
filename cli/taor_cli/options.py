"""The options that every command takes: which installation, and how to print."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial, wraps
from pathlib import Path

import click

from taor_cli.boundary import run
from taor_cli.endpoints import Endpoints, Wanted, resolve
from taor_cli.output import Output

# Its first argument is an Invocation; the rest comes from its own click options.
Command = Callable[..., Awaitable[None] | None]


@dataclass(frozen=True, slots=True)
class Invocation:
    """One run of a command: where it goes and how it speaks."""

    wanted: Wanted
    output: Output

    def endpoints(self) -> Endpoints:
        """The installation that is meant."""
        return resolve(self.wanted)


_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON: one document, or one line per event.")
_DATA = click.option(
    "--data",
    type=click.Path(path_type=Path),
    envvar="TAOR_DATA",
    help="Data folder of the installation of this machine (TAOR_DATA).",
)
_TARGETS = (
    click.option("--target", metavar="HOST:PORT", envvar="TAOR_TARGET", help="Another installation (TAOR_TARGET)."),
    click.option(
        "--budget-target", metavar="HOST:PORT", envvar="TAOR_BUDGET_TARGET", help="Its budget; default PORT+1."
    ),
    click.option(
        "--checkpoint-target", metavar="HOST:PORT", envvar="TAOR_CHECKPOINT_TARGET", help="Its checkpoint; PORT+2."
    ),
    click.option("--sandbox-target", metavar="HOST:PORT", envvar="TAOR_SANDBOX_TARGET", help="Its sandbox; PORT+3."),
    click.option("--token", envvar="TAOR_TOKEN", help="Its bearer token (better: TAOR_TOKEN)."),
    click.option(
        "--token-file",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="TAOR_TOKEN_FILE",
        help="A file that holds the token (TAOR_TOKEN_FILE).",
    ),
)


def anywhere(command: Command) -> Callable[..., None]:
    """Let a command work on any installation: it gets an Invocation as its first argument."""

    @wraps(command)
    def wrapper(
        *args: object,
        as_json: bool,
        data: Path | None,
        target: str | None,
        budget_target: str | None,
        checkpoint_target: str | None,
        sandbox_target: str | None,
        token: str | None,
        token_file: Path | None,
        **kwargs: object,
    ) -> None:
        wanted = Wanted(target, budget_target, checkpoint_target, sandbox_target, token, token_file, data)
        invocation = Invocation(wanted, Output(as_json))
        run(invocation.output, partial(command, invocation, *args, **kwargs))

    decorated: Callable[..., None] = wrapper
    for option in (_JSON, _DATA, *reversed(_TARGETS)):
        decorated = option(decorated)
    return decorated


def at_home(command: Command) -> Callable[..., None]:
    """Let a command work on the installation of this machine only."""

    @wraps(command)
    def wrapper(*args: object, as_json: bool, data: Path | None, **kwargs: object) -> None:
        invocation = Invocation(Wanted(data=data), Output(as_json))
        run(invocation.output, partial(command, invocation, *args, **kwargs))

    return _JSON(_DATA(wrapper))
