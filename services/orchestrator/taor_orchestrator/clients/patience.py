"""How the loop bears with a service: it asks again while the service is away, and understands what a refusal means."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import grpc

from taor_chassis.boundary import error_info
from taor_orchestrator.ports import DependencyDown, LeaseLost, StaleGeneration

T = TypeVar("T")

PATIENCE_SECONDS = 60.0
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 1.0

# CANCELLED is what a server leaves behind that is killed, or stopped at the end of its patience, in mid-call; our own
# cancellations come as `asyncio.CancelledError`.
_AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)
_FENCED = ("STALE_EPOCH", "HEAD_MOVED", "ATTACH_SUPERSEDED", "LOG_CLOSED", "LOG_EXPIRED", "PROJECT_DELETED")


async def patiently(call: Callable[[], Awaitable[T]]) -> T:
    """The result of `call`, which must be idempotent, once its service answers.

    Raises `DependencyDown` after `PATIENCE_SECONDS` without an answer, `LeaseLost` when a fence refuses us,
    `StaleGeneration` when the sandbox was replaced; any other refusal as it is.
    """
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + PATIENCE_SECONDS
    pause_seconds = FIRST_PAUSE_SECONDS
    while True:
        try:
            return await call()
        except grpc.aio.AioRpcError as error:
            if error.code() not in _AWAY:
                raise _meaning(error) from error
            if loop.time() >= give_up_at:
                raise DependencyDown(error.details() or str(error.code())) from error
        await asyncio.sleep(pause_seconds)
        pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)


def _meaning(error: grpc.aio.AioRpcError) -> Exception:
    info = error_info(error)
    reason = info.reason if info else ""
    if reason in _FENCED:
        return LeaseLost(error.details())
    if reason == "STALE_GENERATION":
        return StaleGeneration(error.details())
    return error
