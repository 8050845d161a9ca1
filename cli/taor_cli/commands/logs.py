"""`taor logs`: what the services of this machine have logged."""

from itertools import chain

import click

from taor_cli.options import Invocation, at_home


@click.command()
@click.argument("service", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on with what is logged from now on, until Ctrl-C.")
@click.option(
    "-n", "--lines", type=click.IntRange(0, 100_000), default=50, show_default=True, help="Last lines of each."
)
@at_home
def logs(invocation: Invocation, *, service: str | None, follow: bool, lines: int) -> None:
    """Print the logs of the services of this machine, or of one SERVICE.

    \b
    Examples:
      taor logs
      taor logs sandbox -f
      taor logs orchestrator --json | jq 'select(.level == "ERROR")'
    """
    from taor_cli.logs import choose_logs, follow_logs, last_entries
    from taor_local.folders import Folders, default_data_folder

    folder = Folders(invocation.wanted.data or default_data_folder()).logs
    chosen = choose_logs(folder, service)
    with follow_logs(chosen) as news:
        for entry in chain(last_entries(chosen, lines), news if follow else ()):
            click.echo(entry.raw if invocation.output.as_json else entry.readable())
