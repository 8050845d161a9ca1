"""`taor up`, `down`, `status`, `token`: the installation of this machine."""

import click

from taor_cli.exits import ThingFailedError
from taor_cli.home import bring_down, bring_up
from taor_cli.options import Invocation, anywhere, at_home

BASE_PORT = click.option(
    "--base-port",
    type=click.IntRange(1, 65_530),
    envvar="TAOR_BASE_PORT",
    help="First of six ports on 127.0.0.1; default 7401 (TAOR_BASE_PORT).",
)


@click.command()
@BASE_PORT
@at_home
def up(invocation: Invocation, *, base_port: int | None) -> None:
    """Start taor on this machine, and wait until it serves. Does nothing when it is up already.

    PostgreSQL, the four services and, unless ANTHROPIC_API_KEY or ANTHROPIC_BASE_URL is set, a scripted model. A
    service that crashes comes back by itself.

    \b
    Examples:
      taor up
      taor up --data /tmp/try --base-port 7501
    """
    endpoints = bring_up(invocation, base_port)
    invocation.output.document(endpoints)
    model = "SCRIPTED; set ANTHROPIC_API_KEY for a real one" if endpoints.scripted else endpoints.model
    invocation.output.say(f"up: orchestrator {endpoints.orchestrator}, model {model}")


@click.command()
@at_home
def down(invocation: Invocation) -> None:
    """Stop taor on this machine, sandboxes included. Builds go on at the next `taor up`."""
    ran = bring_down(invocation)
    invocation.output.document({"stopped": ran})
    invocation.output.say("stopped" if ran else "nothing was running")


@click.command()
@anywhere
async def status(invocation: Invocation) -> None:
    """Tell whether the four services answer, and at home which processes run.

    The exit code is 0 when all answer, 3 when taor is not running, and 1 when a service is missing.
    """
    from taor_cli.health import check_health, local_parts

    endpoints = invocation.endpoints()
    answers = await check_health(endpoints)
    parts = local_parts(endpoints.data)
    invocation.output.document({"services": answers, "parts": parts, "scripted": endpoints.scripted})
    for answer in answers:
        mark = click.style("✓", fg="green") if answer.healthy else click.style("✗", fg="red")
        invocation.output.say(f"{mark} {answer.service:<13} {answer.target:<22} {answer.detail}")
    for part in parts:
        invocation.output.say(f"  {part.name:<13} {part.description}")
    if not all(answer.healthy for answer in answers):
        raise ThingFailedError("a service does not answer", advice="`taor logs` says why", reason="UNHEALTHY")


@click.command()
@anywhere
def token(invocation: Invocation) -> None:
    """Print the bearer token of the installation.

    \b
    Example:
      grpcurl -plaintext -max-time 10 -H "authorization: Bearer $(taor token)" 127.0.0.1:7401 list
    """
    secret = invocation.endpoints().token
    invocation.output.document({"token": secret})
    invocation.output.say(secret)
