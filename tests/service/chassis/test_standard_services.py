"""Health and reflection are open to probes and to people who look around, without token and deadline."""

import asyncio
import sys
from pathlib import Path

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from taor_chassis.server import running_server
from tests.service.chassis.probe import SERVICE, TOKEN, failure, probing, registration

GRPCURL = Path(sys.executable).parent / "grpcurl"


async def grpcurl(*arguments: str) -> str:
    """What the real grpcurl prints; a failure of it fails the test."""
    process = await asyncio.create_subprocess_exec(
        GRPCURL, "-plaintext", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, err.decode()
    return out.decode()


async def test_health_answers_for_the_server_and_for_each_service() -> None:
    async with probing(registration(), bare=True) as probe:
        health = HealthStub(probe.channel)
        for name in ("", SERVICE):
            assert (await health.Check(HealthCheckRequest(service=name))).status == HealthCheckResponse.SERVING
        error = await failure(health.Check(HealthCheckRequest(service="another")))
    assert error.code() is grpc.StatusCode.NOT_FOUND


async def test_a_watched_health_tells_the_drain_and_ends_without_holding_it_up() -> None:
    loop = asyncio.get_running_loop()
    async with running_server(services=[registration()], token=TOKEN, drain_seconds=30) as address:
        channel = grpc.aio.insecure_channel(address)
        # Iterated: `read()` of grpc.aio forgets what arrived just before the end.
        watch = aiter(HealthStub(channel).Watch(HealthCheckRequest(service=SERVICE)))
        assert (await anext(watch)).status == HealthCheckResponse.SERVING
        began = loop.time()
    assert loop.time() - began < 25
    assert [answer.status async for answer in watch] == [HealthCheckResponse.NOT_SERVING]
    await channel.close()


async def test_grpcurl_lists_the_services_and_calls_health() -> None:
    async with probing(registration()) as probe:
        listed = (await grpcurl(probe.address, "list")).split()
        assert listed == ["grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection", SERVICE]
        assert "SERVING" in await grpcurl(probe.address, "grpc.health.v1.Health/Check")
        assert "rpc Check" in await grpcurl(probe.address, "describe", "grpc.health.v1.Health.Check")
