"""What a channel sends again, and what it does not."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest

from taor_chassis.client import open_channel
from taor_chassis.errors import DependencyStillUnavailable, DependencyUnavailable
from taor_chassis.guard import Context
from taor_chassis.server import running_server
from tests.service.chassis.probe import TOKEN, Probe, collect, failure, probing, registration


class Flaky:
    """A handler that fails a number of times with one error, then answers."""

    def __init__(self, failures: int, error: Exception) -> None:
        self.calls = 0
        self._failures = failures
        self._error = error

    async def unary(self, request: bytes, context: Context) -> bytes:
        """Answer with the request, once the failures are used up."""
        self.calls += 1
        if self.calls <= self._failures:
            raise self._error
        return request


async def test_an_unavailable_service_is_asked_again() -> None:
    flaky = Flaky(2, DependencyUnavailable("wait"))
    async with probing(registration(unary=flaky.unary)) as probe:
        assert await probe.unary(b"x") == b"x"
    assert flaky.calls == 3


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (LookupError("a defect"), grpc.StatusCode.INTERNAL),
        (DependencyStillUnavailable("tried already"), grpc.StatusCode.UNAVAILABLE),
    ],
)
async def test_other_failures_are_told_at_once(error: Exception, code: grpc.StatusCode) -> None:
    flaky = Flaky(1, error)
    async with probing(registration(unary=flaky.unary)) as probe:
        assert (await failure(probe.unary(b""))).code() is code
    assert flaky.calls == 1


async def test_a_stream_that_has_begun_is_not_begun_again() -> None:
    begun = 0

    async def break_off(request: bytes, context: Context) -> AsyncIterator[bytes]:
        nonlocal begun
        begun += 1
        yield b"first"
        raise DependencyUnavailable("gone")

    async with probing(registration(server_stream=break_off)) as probe:
        assert (await failure(collect(probe.server_stream(b"")))).code() is grpc.StatusCode.UNAVAILABLE
    assert begun == 1


async def test_one_of_two_servers_drains_without_an_error_at_its_clients() -> None:
    one, two = Flaky(0, LookupError()), Flaky(0, LookupError())
    async with running_server(services=[registration(unary=two.unary)], token=TOKEN) as second:
        first_server = running_server(services=[registration(unary=one.unary)], token=TOKEN, drain_seconds=120)
        async with first_server as first:
            channel = open_channel(f"ipv4:{first},{second}", token=TOKEN)
            probe = Probe(channel, first)
            while not (one.calls and two.calls):  # until both connections are up
                await probe.unary(b"")
            calling = asyncio.ensure_future(_call(probe, 300))
            while one.calls < 50:
                await probe.unary(b"")
        assert not calling.done()
        await calling
        assert two.calls > 150
    await channel.close()


async def _call(probe: Probe, count: int) -> None:
    for _ in range(count):
        await probe.unary(b"")
