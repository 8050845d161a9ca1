"""Health of the server (grpc.health.v1): serving from start to drain, then never again."""

import asyncio
from collections.abc import AsyncIterator, Iterable

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthServicer

from taor_chassis.guard import Context


class Health(HealthServicer):  # type: ignore[misc] # the package ships no types
    """Answers probes for the server as a whole ("") and for each of its services."""

    def __init__(self, service_names: Iterable[str], draining: asyncio.Event) -> None:
        self._names = {"", *service_names}
        self._draining = draining

    async def Check(self, request: HealthCheckRequest, context: Context) -> HealthCheckResponse:  # noqa: N802 - gRPC's name
        """The state now; NOT_FOUND for a service that is not here."""
        if request.service not in self._names:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no service {request.service!r} here")
        return self._status()

    async def Watch(self, request: HealthCheckRequest, context: Context) -> AsyncIterator[HealthCheckResponse]:  # noqa: N802 - gRPC's name
        """The state now and once more when it changes; ends with the drain, so that it does not hold it up."""
        if request.service not in self._names:
            yield HealthCheckResponse(status=HealthCheckResponse.SERVICE_UNKNOWN)
            await self._draining.wait()
            return
        yield self._status()
        if not self._draining.is_set():
            await self._draining.wait()
            yield self._status()

    def _status(self) -> HealthCheckResponse:
        draining = self._draining.is_set()
        return HealthCheckResponse(status=HealthCheckResponse.NOT_SERVING if draining else HealthCheckResponse.SERVING)
