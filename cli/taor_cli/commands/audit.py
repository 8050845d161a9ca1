"""`taor audit`: do money, history and effects of a build agree?"""

import click

from taor_cli.audit.gather import gather
from taor_cli.audit.report import Line, Verdict, lines
from taor_cli.audit.report import audit as run_audit
from taor_cli.clients import Clients, connect
from taor_cli.commands.builds import find_build
from taor_cli.endpoints import Endpoints
from taor_cli.exits import ThingFailedError
from taor_cli.options import Invocation, anywhere
from taor_cli.output import Output


@click.command()
@click.argument("name", metavar="[BUILD]", default="latest")
@anywhere
async def audit(invocation: Invocation, *, name: str) -> None:
    """Prove that money, history and effects of a build agree.

    Reads everything that the four services have written about a build, through their contracts only, and computes it
    anew with none of their code. One line per check; a finding names the row, and the exit code is 1.

    \b
    Checked (the numbers are those of docs/protocol.md):
       1 the log has no gap, every hash is that of its bytes     9 what was booked covers what was billed
       2 every tool call is answered once, in order             10 every operation was asked for, its result
       3 every request, computed anew, was the one sent            told as it was
       4 every logged call is settled once, at its price        11 no operation ran twice
       5 every other hold is closed for a reason                12 the newest snapshot covers the last operation
       6 nothing released was ever answered                     13 events are those of the log, none missing
       7 no hold is left open                                   14 what was sent to the build was heard once
       8 the account is the sum of its journal, and was         15 no fence is ahead, the build is in one place
         never over its limit

    \b
    9 needs the record of the scripted model, so only at home it says more than that the overrun is right.
    11 knows of an operation that ran again only the last run. 12 trusts the sandbox service for the bytes of a
    snapshot; `taor files` reads them. 15 knows the fence of the budget by its newest reservation.
    9, 12 and 14 say something only of a build that rests or has ended.
    """
    endpoints = invocation.endpoints()
    async with connect(endpoints) as clients:
        report = await audit_build(clients, endpoints, name)
    invocation.output.document({"clean": is_clean(report), "checks": report})
    show_report(invocation.output, report)
    require_clean(report)


async def audit_build(clients: Clients, endpoints: Endpoints, name: str) -> tuple[Line, ...]:
    """Audit the build that a person means."""
    build = await find_build(clients, name)
    return run_audit(await gather(clients, build, endpoints.model_record))


def show_report(output: Output, report: tuple[Line, ...]) -> None:
    """Print the report for people."""
    for text, is_bad in lines(report):
        output.say(click.style(text, fg="red") if is_bad else text)


def is_clean(report: tuple[Line, ...]) -> bool:
    """Whether no check found anything."""
    return all(line.verdict is not Verdict.BROKEN for line in report)


def require_clean(report: tuple[Line, ...]) -> None:
    """ThingFailedError when a check found something."""
    broken = [str(line.number) for line in report if line.verdict is Verdict.BROKEN]
    if broken:
        raise ThingFailedError(f"the audit found something in check {', '.join(broken)}", reason="AUDIT_FAILED")
