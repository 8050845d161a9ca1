"""Channels to our services: every call carries a deadline, the token and the request id.

A wrapped channel rather than interceptors: grpc.aio runs each intercepted call in a task of its own, which costs
more than all that is done here.
"""

from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from types import MappingProxyType, TracebackType
from typing import Any, Self

import grpc

from taor_chassis import telemetry
from taor_chassis.deadlines import capped
from taor_chassis.guard import REQUEST_ID_KEY
from taor_chassis.transport import CLIENT_OPTIONS

DEFAULT_TIMEOUT_SECONDS = 10.0

NO_TIMEOUTS: Mapping[str, float] = MappingProxyType({})


def open_channel(
    target: str,
    *,
    token: str,
    default_timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    timeouts: Mapping[str, float] = NO_TIMEOUTS,
) -> grpc.aio.Channel:
    """Open a channel; `timeouts` maps full method names (`/taor.budget.v1.BudgetService/Reserve`) to seconds.

    A `timeout=` at the call wins over both; none is ever longer than what the call being handled has left.
    """
    channel = grpc.aio.insecure_channel(target, options=CLIENT_OPTIONS)
    return BoundedChannel(channel, token, default_timeout_seconds, timeouts)


class BoundedChannel(grpc.aio.Channel):
    """A channel that adds deadline, token and request id to every call made through it."""

    def __init__(
        self, channel: grpc.aio.Channel, token: str, default_timeout_seconds: float, timeouts: Mapping[str, float]
    ) -> None:
        self._channel = channel
        self._authorization = ("authorization", f"Bearer {token}")
        self._default_timeout_seconds = default_timeout_seconds
        self._timeouts = timeouts

    def _bounded(self, method: str, call: Callable[..., Any]) -> Any:
        default_seconds = self._timeouts.get(method, self._default_timeout_seconds)
        return _BoundedCall(call, default_seconds, self._authorization)

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """A call with one request and one response."""
        return self._bounded(method, self._channel.unary_unary(method, *args, **kwargs))

    def unary_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """A call with one request and a stream of responses."""
        return self._bounded(method, self._channel.unary_stream(method, *args, **kwargs))

    def stream_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """A call with a stream of requests and one response."""
        return self._bounded(method, self._channel.stream_unary(method, *args, **kwargs))

    def stream_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """A call with a stream of requests and a stream of responses."""
        return self._bounded(method, self._channel.stream_stream(method, *args, **kwargs))

    async def close(self, grace: float | None = None) -> None:
        """Close the channel; calls still open get `grace` seconds."""
        await self._channel.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """The state of the connection."""
        return self._channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Wait until the state is another one."""
        await self._channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Wait until the connection is up."""
        await self._channel.channel_ready()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        await self.close()


class _BoundedCall:
    """One method of a channel, of any of the four kinds."""

    def __init__(self, call: Callable[..., Any], default_seconds: float, authorization: tuple[str, str]) -> None:
        self._call = call
        self._default_seconds = default_seconds
        self._authorization = authorization

    def __call__(
        self,
        request: object | AsyncIterable[object] | Iterable[object] | None = None,
        *,
        timeout: float | None = None,
        metadata: Iterable[tuple[str, str | bytes]] | None = None,
        **options: object,
    ) -> Any:
        seconds = capped(self._default_seconds if timeout is None else timeout)
        request_id = telemetry.bound("rid")
        ours = (self._authorization,) if request_id is None else (self._authorization, (REQUEST_ID_KEY, request_id))
        return self._call(request, timeout=seconds, metadata=(*(metadata or ()), *ours), **options)
