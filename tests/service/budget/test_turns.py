"""The money of one build, from its admission to the end of its calls, over the wire."""

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
