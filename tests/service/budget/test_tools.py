"""What the tools have cost: each call is divided among the uses of its answer, to the last microdollar."""

import random
from collections import Counter
from collections.abc import Sequence

from taor.budget.v1 import budget_pb2 as pb

from tests.service.budget.conftest import Bench
from tests.service.budget.test_usage import usage

NAMES = ("bash", "read_file", "write_file")


async def settle(bench: Bench, k: int, used: pb.Usage | None, tools: Sequence[str]) -> int:
    """A call whose answer asks for tools; what it cost."""
    await bench.reserve(k)
    settlement = pb.Settlement(rid=bench.rid(k), usage=used, tools=tools)
    settled = await bench.stub.Settle(pb.SettleRequest(build_id=bench.build_id, settlement=settlement))
    return settled.closing.booked_microdollars


async def by_tool(bench: Bench) -> dict[str, pb.UsageRow]:
    """The rows of the build by tool."""
    rows = (await usage(bench, build_id=bench.build_id, group_by=pb.GetUsageRequest.TOOL)).rows
    return {row.group: row for row in rows}


async def test_a_call_is_divided_among_the_uses_of_its_answer(bench: Bench) -> None:
    await bench.admit()
    await bench.attach()
    cost = await settle(bench, 0, pb.Usage(input_tokens=7, output_tokens=50), ["bash", "read_file", "bash"])
    assert cost == 514  # 171 1/3 each: the first use gets the microdollar that is left over
    rows = await by_tool(bench)
    assert {name: row.cost_microdollars for name, row in rows.items()} == {"bash": 172 + 171, "read_file": 171}
    assert {name: row.usage.input_tokens for name, row in rows.items()} == {"bash": 3 + 2, "read_file": 2}
    assert {name: row.calls for name, row in rows.items()} == {"bash": 2, "read_file": 1}


async def test_what_asked_for_no_tool_has_an_empty_name(bench: Bench) -> None:
    await bench.admit()
    await bench.attach()
    silent = await settle(bench, 0, pb.Usage(input_tokens=10), [])
    await bench.reserve(1)
    lost = (await bench.charge(1)).closing.booked_microdollars
    unknown = await settle(bench, 2, None, ["bash"])
    rows = await by_tool(bench)
    assert (rows[""].cost_microdollars, rows[""].calls, rows[""].charged_calls) == (silent + lost, 1, 1)
    assert (rows["bash"].cost_microdollars, rows["bash"].charged_microdollars) == (unknown, unknown)


async def test_the_tools_of_many_calls_add_up_to_the_whole(bench: Bench) -> None:
    await bench.admit()
    await bench.attach()
    chance, expected = random.Random(8), Counter[str]()
    for k in range(40):
        tools = chance.choices(NAMES, k=chance.randrange(6))
        used = pb.Usage(input_tokens=chance.randrange(900), output_tokens=chance.randrange(99))
        cost = await settle(bench, k, used, tools)
        for place, name in enumerate(tools or [""]):
            expected[name] += (cost + len(tools or [""]) - 1 - place) // len(tools or [""])
    rows = await by_tool(bench)
    assert {name: row.cost_microdollars for name, row in rows.items()} == dict(expected)
    (whole,) = (await usage(bench, user_id="ada", group_by=pb.GetUsageRequest.MODEL)).rows
    parts = (await usage(bench, user_id="ada", group_by=pb.GetUsageRequest.TOOL)).rows
    assert sum(row.cost_microdollars for row in parts) == whole.cost_microdollars
    assert sum(row.usage.output_tokens for row in parts) == whole.usage.output_tokens


async def test_a_repeated_settlement_keeps_its_tools(bench: Bench) -> None:
    await bench.admit()
    await bench.attach()
    await bench.reserve(0)
    used = pb.Usage(input_tokens=10)
    for tools in (["bash"], []):
        settlement = pb.Settlement(rid=bench.rid(0), usage=used, tools=tools)
        await bench.stub.Settle(pb.SettleRequest(build_id=bench.build_id, settlement=settlement))
    assert list(await by_tool(bench)) == ["bash"]
