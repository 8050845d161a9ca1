"""What a command prints: text for people, or JSON for programs."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass

import click

from taor_cli.exits import CommandError, ExitCode


@dataclass(frozen=True, slots=True)
class Output:
    """One way of speaking, chosen with --json."""

    as_json: bool

    @property
    def is_live(self) -> bool:
        """Whether a view that redraws itself is welcome."""
        return not self.as_json and sys.stdout.isatty()

    def say(self, text: str = "", *, error: bool = False) -> None:
        """A line for people; programs that asked for JSON do not see it."""
        if not self.as_json:
            click.echo(text, err=error)

    def document(self, value: object) -> None:
        """A JSON document on one line; nothing where people read. Dataclasses, times and enums are welcome."""
        if self.as_json:
            click.echo(to_json(value))

    def failure(self, error: CommandError) -> None:
        """Why the command ends, on standard error: one red line and what to do."""
        is_detached = error.exit_code is ExitCode.DETACHED
        if self.as_json and not is_detached:
            click.echo(to_json({"error": _error_document(error)}), err=True)
            return
        reason = f" [{error.reason}]" if error.reason else ""
        click.secho(f"taor: {error.message}{reason}", fg=None if is_detached else "red", err=True)
        if error.advice:
            click.echo(f"      {error.advice}", err=True)


def to_json(value: object) -> str:
    """Compact JSON."""
    import orjson  # here: `taor --help` needs none of it

    return orjson.dumps(value).decode()


def _error_document(error: CommandError) -> Mapping[str, str | int]:
    return {
        "message": error.message,
        "reason": error.reason,
        "advice": error.advice,
        "exit_code": int(error.exit_code),
    }
