"""`taor budget`, `topup` and `plan` as processes, against the real budget service."""

import asyncio
import json
import os
import sys
from dataclasses import dataclass

from tests.service.budget.conftest import TOKEN, Bench, bench
from tests.service.budget.test_usage import work

__all__ = ["bench"]
SECONDS = 60.0


@dataclass(frozen=True)
class Said:
    """How a command ended and what it said."""

    status: int | None
    out: str
    err: str


async def taor(bench: Bench, *arguments: str) -> Said:
    """Run a command against the budget of the test; nothing else of the installation answers."""
    where = {"TAOR_TARGET": "127.0.0.1:1", "TAOR_BUDGET_TARGET": bench.address, "TAOR_TOKEN": TOKEN}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "taor_cli", *arguments),
        env={"PATH": os.environ["PATH"], **where},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), SECONDS)
    return Said(process.returncode, out.decode(), err.decode())


async def test_the_budget_of_a_user_is_shown_with_what_was_used(bench: Bench) -> None:
    booked = await work(bench, calls=2, charged=1)
    told = json.loads((await taor(bench, "budget", "ada", "--by", "build", "--json")).out)
    assert told["account"]["spent_microdollars"] == booked
    assert [(row["group"], row["cost_microdollars"]) for row in told["usage"]] == [(bench.build_id, booked)]
    by_tool = await taor(bench, "budget", "ada", "--by", "tool")
    assert "(no tool)" in by_tool.out, by_tool.err
    shown = await taor(bench, "budget", "ada")
    assert shown.status == 0, shown.err
    assert "ada (bootstrapper)" in shown.out
    assert "%" in shown.out


async def test_money_is_added_once(bench: Bench) -> None:
    await bench.admit()
    for _ in range(2):
        said = await taor(bench, "topup", "ada", "12.50", "--request-id", "invoice-7")
        assert (said.status, said.out) == (0, "ada: +$12.50 for the billing cycle, +$12.50 for today\n"), said.err
    told = json.loads((await taor(bench, "budget", "ada", "--json")).out)
    assert told["account"]["cycle_remaining_microdollars"] == 42_500_000
    other = await taor(bench, "topup", "ada", "13", "--request-id", "invoice-7")
    assert other.status == 4
    assert "ID_CONFLICT" in other.err


async def test_a_plan_is_changed_and_an_unknown_one_refused(bench: Bench) -> None:
    await bench.admit()
    said = await taor(bench, "plan", "ada", "partner")
    assert said.out.startswith("ada: bootstrapper → partner, +$90.00 for the billing cycle")
    refused = await taor(bench, "plan", "ada", "gold")
    assert refused.status == 4
    assert "TIER_UNKNOWN" in refused.err
    nobody = await taor(bench, "budget", "nobody")
    assert nobody.status == 4
    assert "ACCOUNT_NOT_FOUND" in nobody.err
