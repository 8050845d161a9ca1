"""How the loop bears with a service that goes away in mid-call."""

import grpc

from taor_chassis.guard import Context
from taor_orchestrator.clients.patience import patiently
from tests.service.chassis.probe import probing, registration

MORE_THAN_A_CHANNEL_TRIES = 6


async def test_a_call_that_was_cut_off_by_a_stopped_server_is_made_again() -> None:
    calls = 0

    async def cut_off(request: bytes, context: Context) -> bytes:
        nonlocal calls
        calls += 1
        if calls <= MORE_THAN_A_CHANNEL_TRIES:
            await context.abort(grpc.StatusCode.CANCELLED, "")
        return request

    async with probing(registration(unary=cut_off)) as probe:
        assert await patiently(lambda: probe.unary(b"x")) == b"x"
    assert calls == MORE_THAN_A_CHANNEL_TRIES + 1
