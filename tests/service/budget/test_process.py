"""The service as a process: what was acknowledged outlives kill -9, SIGTERM drains, a bad environment is told."""

import os
import signal
from pathlib import Path

from taor.budget.v1 import budget_pb2 as pb

from tests.service.budget.process import environment_of, run, served


async def test_money_set_aside_outlives_a_kill(database: str, tmp_path: Path) -> None:
    environment = environment_of(database, tmp_path)
    assert await run(environment, "migrate") == (0, b"")
    async with served(environment) as (process, bench):
        await bench.admit()
        await bench.attach()
        held = (await bench.reserve(0)).grant
        process.kill()
    async with served(environment) as (process, again):
        again.build_id = bench.build_id
        assert (await again.reserve(0)).grant.held_microdollars == held.held_microdollars
        advanced = await again.advance(0, pb.Usage(input_tokens=900, output_tokens=50))
        assert advanced.closing.booked_microdollars == 2300
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


async def test_every_mistake_of_the_environment_is_told(tmp_path: Path) -> None:
    broken = {
        "PATH": os.environ["PATH"],
        "TAOR_BUDGET_TIME_ZONE": "Mars/Olympus",
        "TAOR_BUDGET_PRICES": str(tmp_path / "absent.toml"),
        "TAOR_BUDGET_POOL_SIZE": "0",
    }
    code, errors = await run(broken, "serve")
    assert code == 2
    for word in (
        b"TAOR_BUDGET_LISTEN",
        b"TAOR_BUDGET_DSN",
        b"TAOR_TOKEN",
        b"Mars/Olympus",
        b"absent.toml",
        b"above zero",
    ):
        assert word in errors


async def test_a_malformed_price_file_is_told(database: str, tmp_path: Path) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text('[[price]]\nmodel = "m"\n')
    code, errors = await run(environment_of(database, tmp_path) | {"TAOR_BUDGET_PRICES": str(prices)}, "serve")
    assert code == 2
    assert b"price of m" in errors
