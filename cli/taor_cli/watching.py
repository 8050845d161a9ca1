"""The events of a build as one stream, however often the connection breaks."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
from taor.orchestrator.v1 import orchestrator_pb2 as pb

from taor_cli import translate
from taor_cli.events import Ended, Event, Words

if TYPE_CHECKING:  # the generated async stub is a type only
    from taor.orchestrator.v1.orchestrator_pb2_grpc import OrchestratorServiceAsyncStub

# A quiet stream that lived longer than any attempt to connect was a connection.
LONGEST_CONNECT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How a watch bears a service that goes away."""

    stream_seconds: float = 600.0
    """The deadline of one stream; a longer watch is a series of them."""
    first_wait_seconds: float = 0.2
    longest_wait_seconds: float = 3.0
    give_up_after_seconds: float = 120.0
    """How long nothing may answer before the watch ends with the error."""


@dataclass(frozen=True, slots=True)
class Break:
    """The connection was lost; the watch tries again and goes on where it was."""

    lost_seconds: float


async def watch(
    stub: "OrchestratorServiceAsyncStub",
    build_id: str,
    *,
    after_sequence: int = 0,
    with_words: bool = False,
    patience: Patience | None = None,
) -> AsyncIterator[Event | Words | Break]:
    """Every event after a number, in order and once, until the build has ended; a Break at each lost connection.

    With words: also those of model calls while they run, as far as the service that is watched makes them.
    """
    request = pb.WatchBuildRequest(build_id=build_id, after_sequence=after_sequence, include_text_deltas=with_words)
    watcher = _Watcher(stub, request, patience or Patience())
    while not watcher.finished:
        try:
            async for item in watcher.stream():
                yield item
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                yield watcher.lost(error)
                await watcher.wait()


class _Watcher:
    """One watch over a series of streams."""

    def __init__(self, stub: "OrchestratorServiceAsyncStub", request: pb.WatchBuildRequest, patience: Patience) -> None:
        self.finished = False
        self._stub = stub
        self._request = request
        self._patience = patience
        self._began_at = 0.0
        self._lost_at: float | None = None
        self._wait_seconds = patience.first_wait_seconds

    async def stream(self) -> AsyncIterator[Event | Words]:
        """The events of one stream, until it ends for whatever reason."""
        self._began_at = time.monotonic()
        async for response in self._stub.WatchBuild(self._request, timeout=self._patience.stream_seconds):
            self._heard()
            if response.WhichOneof("news") == "text_delta":
                yield translate.words(response.text_delta)
                continue
            event = translate.event(response.event)
            self._request.after_sequence = event.sequence
            self.finished = isinstance(event.what, Ended)
            yield event
        if not self.finished:
            await self._closed_in_order()

    async def _closed_in_order(self) -> None:
        """A server that drains closes its streams in order, too: only the build itself tells whether there is more."""
        build = (await self._stub.GetBuild(pb.GetBuildRequest(build_id=self._request.build_id))).build
        self._heard()
        self.finished = (
            translate.state(build.state).is_ended and build.last_event_sequence <= self._request.after_sequence
        )
        if not self.finished:
            await self.wait()

    def lost(self, error: grpc.aio.AioRpcError) -> Break:
        """Account for a lost connection; raises the error when patience is at its end, or when it will not pass."""
        now = time.monotonic()
        if self._lost_at is None or now - self._began_at > LONGEST_CONNECT_SECONDS:
            self._lost_at = now
        lost_seconds = now - self._lost_at
        if not _may_pass(error) or lost_seconds > self._patience.give_up_after_seconds:
            raise error
        return Break(lost_seconds)

    async def wait(self) -> None:
        """Wait a little longer each time."""
        await asyncio.sleep(self._wait_seconds)
        self._wait_seconds = min(2 * self._wait_seconds, self._patience.longest_wait_seconds)

    def _heard(self) -> None:
        self._lost_at = None
        self._wait_seconds = self._patience.first_wait_seconds


def _may_pass(error: grpc.aio.AioRpcError) -> bool:
    # A killed server shows as UNAVAILABLE; one that is killed in the middle of a frame may show as CANCELLED.
    return error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
