"""`taor budget`, `topup`, `plan`: what a user may spend, has spent, and how that is changed."""

import uuid
from decimal import Decimal, InvalidOperation

import click

from taor_cli.accounts import Budget, Grouping
from taor_cli.builds import BuildState
from taor_cli.clients import connect
from taor_cli.exits import UsageError
from taor_cli.options import Invocation, anywhere
from taor_cli.orchestrator import DEFAULT_USER, Orchestrator
from taor_cli.view.accounts import account_page, adjustment_line, forecast_lines, usage_table
from taor_cli.view.text import MICRODOLLARS

LIKE_IT = 200
"""How many of a user's newest builds are looked at to judge how long another one may be."""
_REPEATABLE = click.option("--request-id", help="Makes the command safe to repeat: the same id counts once.")


@click.command()
@click.argument("user_id", metavar="[USER]", default=DEFAULT_USER)
@click.option(
    "--by",
    "grouping",
    type=click.Choice([each.value for each in Grouping]),
    default=Grouping.DAY.value,
    show_default=True,
    help="How the usage of the billing cycle is told apart.",
)
@click.option("--build", "name", metavar="BUILD", help="One build instead, over all of its days, with a forecast.")
@anywhere
async def budget(invocation: Invocation, *, user_id: str, grouping: str, name: str | None) -> None:
    """Show what a user may spend today, and what was spent.

    USER is the one who pays; without --user a build is paid by `me`. UNKNOWN is what was charged for calls whose usage
    nobody knows: they are part of COST. The cost of a call is divided among the tools that its answer asked for, and
    CALLS counts those. The forecast takes the build for the only one of its user.

    \b
    Examples:
      taor budget
      taor budget ada --by build
      taor budget ada --by tool
      taor budget --build latest --by model
      taor budget ada --json | jq .account.cycle_remaining_microdollars
    """
    by = Grouping(grouping)
    async with connect(invocation.endpoints()) as clients:
        money = Budget(clients.budget)
        build_id, finished = "", []
        if name is not None:
            orchestrator = Orchestrator(clients.orchestrator)
            found = await orchestrator.get(await orchestrator.find(name))
            user_id, build_id = found.user_id, found.build_id
            others = orchestrator.list(user_id=user_id, limit=LIKE_IT)
            finished = [each.turns async for each in others if each.state is BuildState.SUCCEEDED]
            if by is Grouping.BUILD:
                raise UsageError("one build cannot be told apart by builds", advice="give --by day, model or tool")
        account = await money.account(user_id)
        rows, forecast = await money.usage(
            by, user_id="" if build_id else user_id, build_id=build_id, finished=finished
        )
    invocation.output.document({"account": account, "usage": rows, "forecast": forecast})
    lines = (*account_page(account), "", *usage_table(rows, by))
    for line in (*lines, "", *forecast_lines(forecast)) if build_id else lines:
        invocation.output.say(line)


@click.command()
@click.argument("user_id", metavar="USER")
@click.argument("dollars", metavar="AMOUNT_DOLLARS")
@_REPEATABLE
@anywhere
async def topup(invocation: Invocation, *, user_id: str, dollars: str, request_id: str | None) -> None:
    """Add money to a user's billing cycle; builds that sleep for want of it go on at once.

    All of it may be spent today. What is not is shared among the days left of the cycle; at its end it is gone.

    \b
    Examples:
      taor topup me 5
      taor topup ada 12.50 --request-id invoice-7     # safe to repeat
    """
    microdollars = microdollars_of(dollars)
    async with connect(invocation.endpoints()) as clients:
        made = await Budget(clients.budget).top_up(user_id, microdollars, request_id or str(uuid.uuid4()))
    invocation.output.document(made)
    invocation.output.say(f"{user_id}: {adjustment_line(made)}")


@click.command()
@click.argument("user_id", metavar="USER")
@click.argument("tier", metavar="TIER")
@_REPEATABLE
@anywhere
async def plan(invocation: Invocation, *, user_id: str, tier: str, request_id: str | None) -> None:
    """Put a user on another plan from now on.

    The billing cycle gets the whole difference, today its share of it. A smaller plan takes nothing that is spent or
    set aside. Builds that have begun keep their models.

    \b
    Example:
      taor plan ada partner
    """
    async with connect(invocation.endpoints()) as clients:
        made = await Budget(clients.budget).change_plan(user_id, tier, request_id or str(uuid.uuid4()))
    invocation.output.document(made)
    change = f"{made.tier_before} → {made.tier_after}" if made.tier_before != made.tier_after else made.tier_after
    invocation.output.say(f"{user_id}: {change}, {adjustment_line(made)}")


def microdollars_of(dollars: str) -> int:
    """An amount of dollars as whole microdollars. Raises UsageError."""
    try:
        exact = Decimal(dollars) * MICRODOLLARS
        whole = int(exact)
    except (InvalidOperation, ValueError, OverflowError):
        raise UsageError(f"{dollars!r} is no amount of dollars", advice="write it as 5 or 12.50") from None
    if whole <= 0 or whole != exact:
        raise UsageError(f"{dollars!r} must be above zero, in whole millionths", advice="write it as 5 or 12.50")
    return whole
