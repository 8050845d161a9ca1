"""The money of one build, from its admission to the end of its calls, over the wire."""

from typing import Any

import grpc
import pytest
from taor.budget.v1 import budget_pb2 as pb

from tests.service.budget.conftest import Bench


async def test_a_build_reserves_advances_and_settles(bench: Bench) -> None:
    admitted = await bench.admit()
    assert (admitted.model, admitted.max_concurrent_builds) == ("claude-sonnet-5-5", 1)
    await bench.attach()
    reserved = await bench.reserve(0)
    assert reserved.grant.held_microdollars == 1000 * 4 + 1000 * 10
    assert reserved.grant.max_output_tokens == 1000
    advanced = await bench.advance(0, pb.Usage(input_tokens=900, output_tokens=50))
    assert advanced.closing.booked_microdollars == 900 * 2 + 50 * 10
    assert advanced.grant.held_microdollars == 14_000
    settled = await bench.settle(1, pb.Usage(input_tokens=900, output_tokens=50))
    assert settled.closing.state == pb.Reservation.SETTLED
    assert settled.allowance.spent_microdollars == 2 * 2300
    assert settled.allowance.reserved_microdollars == 0
    assert settled.allowance.build_spent_microdollars == 2 * 2300
    taken_over = await bench.attach(2, "another")
    assert taken_over.allowance.build_spent_microdollars == 2 * 2300


async def test_a_call_is_reserved_with_its_earmark_and_the_earmark_is_replaced(bench: Bench) -> None:
    await bench.admit()
    await bench.attach()
    reserved = await bench.reserve(0, earmark=bench.need(1, kind=pb.Reservation.EARMARK))
    assert reserved.grant.earmark.held_microdollars == reserved.grant.held_microdollars == 14_000
    assert reserved.allowance.reserved_microdollars == 28_000
    grown = await bench.reserve(
        2, replaces_rid=bench.rid(1), earmark=bench.need(3, kind=pb.Reservation.EARMARK, prompt_tokens=2000)
    )
    assert grown.grant.earmark.held_microdollars == 18_000
    assert grown.allowance.reserved_microdollars == 14_000 + 14_000 + 18_000


@pytest.mark.parametrize(
    ("field", "of_need", "of_earmark"),
    [
        ("need.earmark", {"kind": pb.Reservation.HANDOVER}, {}),
        ("need.earmark.kind", {}, {"kind": pb.Reservation.CALL}),
        ("need.earmark.rid", {}, {"k": 1}),
        ("need.earmark.rid", {}, {"epoch": 2}),
        ("need.earmark.prompt_tokens", {}, {"prompt_tokens": 0}),
        ("need.earmark", {}, {"replaces_rid": "any"}),
        ("need.replaces_rid", {"replaces_rid": "any"}, {}),
        ("need.replaces_rid", {"replaces": 1}, {}),
    ],
)
async def test_an_earmark_that_cannot_be_meant_is_refused(
    bench: Bench, field: str, of_need: dict[str, Any], of_earmark: dict[str, Any]
) -> None:
    await bench.admit()
    await bench.attach()
    if "replaces" in of_need:
        of_need = {"replaces_rid": bench.rid(of_need["replaces"])}
    earmark = bench.need(**{"k": 2, "kind": pb.Reservation.EARMARK, **of_earmark})
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await bench.reserve(1, earmark=earmark, **of_need)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert f"{field}: " in str(refused.value.details())
