"""Where a command runs, and where its errors become one line and an exit code."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable

import click

from taor_cli.exits import CommandError, ExitCode
from taor_cli.output import Output


def run(output: Output, command: Callable[[], Awaitable[None] | None]) -> None:
    """Run a command, plain or async, to its end; leaves with the exit code of its error when it does not end well."""
    try:
        result = command()
        if inspect.iscoroutine(result):
            asyncio.run(result)
    except KeyboardInterrupt:
        output.say("\ninterrupted", error=True)
        raise click.exceptions.Exit(int(ExitCode.DETACHED)) from None
    except Exception as error:  # the boundary of every command; what nobody can explain goes on as a traceback
        explained = _explained(error)
        if explained is None:
            raise
        output.failure(explained)
        raise click.exceptions.Exit(int(explained.exit_code)) from None


def _explained(error: Exception) -> CommandError | None:
    """The error that ends the command; None for a defect of ours."""
    if isinstance(error, CommandError):
        return error
    import grpc  # here: a command that calls nothing must not pay for it

    from taor_cli.refusals import explain

    return explain(error) if isinstance(error, grpc.aio.AioRpcError) else None
