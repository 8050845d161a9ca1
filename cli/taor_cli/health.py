"""Whether the services of an installation answer, and which processes stand behind them at home."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from taor_chassis.client import open_channel
from taor_cli.endpoints import Endpoints

HEALTH_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service says about itself."""

    service: str
    target: str
    healthy: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Part:
    """A process of the installation of this machine."""

    name: str
    pid: int | None
    ready: bool
    restarts: int

    @property
    def description(self) -> str:
        """The process in a few words."""
        process = f"process {self.pid}" if self.pid else "not running"
        restarts = f", restarted {self.restarts} times" if self.restarts else ""
        return f"{process}{restarts}"


async def check_health(endpoints: Endpoints) -> tuple[Answer, ...]:
    """Ask the four services at once."""
    targets = (
        ("orchestrator", endpoints.orchestrator),
        ("budget", endpoints.budget),
        ("checkpoint", endpoints.checkpoint),
        ("sandbox", endpoints.sandbox),
    )
    return tuple(await asyncio.gather(*(_check(service, target, endpoints.token) for service, target in targets)))


def local_parts(data: Path | None) -> tuple[Part, ...]:
    """The processes that the supervisor of this machine keeps running; none for another installation."""
    if data is None:
        return ()
    from taor_local.installation import status
    from taor_local.options import Options

    state = status(Options(data=data))
    return tuple(
        Part(part.name, part.process.pid if part.process else None, part.ready, part.restarts) for part in state.parts
    )


async def _check(service: str, target: str, token: str) -> Answer:
    async with open_channel(target, token=token, default_timeout_seconds=HEALTH_SECONDS) as channel:
        try:
            response = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        except grpc.aio.AioRpcError as error:
            return Answer(service, target, False, error.code().name)
    status = health_pb2.HealthCheckResponse.ServingStatus.Name(response.status)
    return Answer(service, target, status == "SERVING", status)
