"""How the supervisor sees that a part serves."""

import asyncio
from dataclasses import dataclass
from typing import Protocol

import asyncpg
import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from taor_local.postgres import Cluster

CHECK_SECONDS = 2.0


class Probe(Protocol):
    """A question to a part that has just been started."""

    async def serves(self) -> bool:
        """Tell whether the part can be used now; never raises for a part that is not there yet."""
        ...


@dataclass(frozen=True, slots=True)
class TcpProbe:
    """The part accepts connections on host:port."""

    address: str

    async def serves(self) -> bool:
        """Connect and hang up."""
        host, _, port = self.address.rpartition(":")
        try:
            _, writer = await asyncio.open_connection(host, int(port))
        except OSError:
            return False
        writer.close()
        return True


@dataclass(frozen=True, slots=True)
class GrpcHealthProbe:
    """The part's gRPC health service says SERVING (grpc/health/v1)."""

    address: str

    async def serves(self) -> bool:
        """Ask once, on a channel of its own: a kept one would wait a second between its attempts to connect."""
        if not await TcpProbe(self.address).serves():
            return False
        async with grpc.aio.insecure_channel(self.address, options=[("grpc.enable_http_proxy", 0)]) as channel:
            try:
                answer = await health_pb2_grpc.HealthStub(channel).Check(
                    health_pb2.HealthCheckRequest(), timeout=CHECK_SECONDS
                )
            except grpc.aio.AioRpcError:
                return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


@dataclass(frozen=True, slots=True)
class PostgresProbe:
    """PostgreSQL accepts sessions."""

    cluster: Cluster

    async def serves(self) -> bool:
        """Open a session and close it."""
        try:
            connection = await asyncpg.connect(self.cluster.dsn(), timeout=CHECK_SECONDS)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        await connection.close()
        return True
