"""The adapter to the Messages API: the official SDK carries bytes, keys and errors; the stream is read here.

The SDK's own streaming helpers cost ten times the CPU and re-serialise what must stay as it is, so request and answer
pass as bytes. Of the SDK's two transports aiohttp costs a third less CPU per call. Importing this module takes 1.2 s:
`open_model` does it when the service starts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import aiohttp
import anthropic
import httpx2
from anthropic import AsyncStream
from anthropic.types import Message, RawMessageStreamEvent

from taor_orchestrator.model.assembly import Assembly, MalformedStream
from taor_orchestrator.model.failures import failed, from_event, from_status
from taor_orchestrator.model.port import Answer, CallFailed, Delta, FailureKind, Outcome
from taor_orchestrator.model.sse import EventReader, EventTooLong

CONNECT_SECONDS = 10.0
MAX_CONNECTIONS = 1000
# The transport's own errors: to the SDK it calls a connection that was lost after the request a ConnectError, too.
NEVER_SENT = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
    httpx2.UnsupportedProtocol,
)
Stream = AsyncStream[RawMessageStreamEvent]


class AnthropicModel:
    """Calls the provider, or any server that speaks its API; implements the port `Model`."""

    def __init__(self, *, api_key: str, base_url: str) -> None:
        # A redirect would send the request, and bill it, a second time.
        transport = anthropic.DefaultAioHttpClient(
            follow_redirects=False,
            limits=httpx2.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_CONNECTIONS),
        )
        self._client = anthropic.AsyncAnthropic(
            api_key=api_key, base_url=base_url or None, max_retries=0, http_client=transport
        )

    async def call(self, request: bytes, *, on_delta: Callable[[Delta], None] | None, timeout_seconds: float) -> Answer:
        """Send these bytes once and read the answer to its end; raises `CallFailed`."""
        attempt = _Attempt()
        try:
            async with asyncio.timeout(timeout_seconds):
                return await attempt.run(self._client, request, on_delta, timeout_seconds)
        except TimeoutError as error:
            raise attempt.failed(FailureKind.TIMEOUT, f"no complete answer within {timeout_seconds:g} s") from error

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


class _Attempt:
    """One request on its way, and what is known of its answer."""

    def __init__(self) -> None:
        self._assembly = Assembly()
        self._request_id = ""

    async def run(
        self,
        client: anthropic.AsyncAnthropic,
        request: bytes,
        on_delta: Callable[[Delta], None] | None,
        timeout_seconds: float,
    ) -> Answer:
        try:
            async with await _send(client, request, timeout_seconds) as stream:
                self._request_id = stream.response.headers.get("request-id", "")
                await self._read(stream, on_delta)
        except anthropic.APIStatusError as error:
            raise _refusal(error) from error
        except (anthropic.APIConnectionError, httpx2.HTTPError, httpx2.StreamError) as error:
            if not self._assembly.complete:
                raise self._cut(error) from error
        except (MalformedStream, EventTooLong) as error:
            raise self.failed(FailureKind.MALFORMED_STREAM, str(error)) from error
        return self._conclude()

    async def _read(self, stream: Stream, on_delta: Callable[[Delta], None] | None) -> None:
        reader = EventReader()
        async for chunk in stream.response.aiter_bytes():
            for data in reader.feed(chunk):
                delta = self._assembly.add(data)
                if delta is not None and on_delta is not None:
                    on_delta(delta)

    def _conclude(self) -> Answer:
        if self._assembly.error is not None:
            raise from_event(self._assembly.error, self._assembly.tally.so_far(), self._request_id)
        if not self._assembly.complete:  # the connection was closed in order, but too early
            raise self.failed(FailureKind.INTERRUPTED, "the answer ended before it was complete")
        return self._assembly.answer(self._request_id)

    def _cut(self, error: Exception) -> CallFailed:
        causes = list(_causes(error))
        if unsent := [cause for cause in causes if isinstance(cause, NEVER_SENT)]:
            message = f"the model's server cannot be reached: {unsent[0]}"
            return failed(FailureKind.CONNECTION, Outcome.NOT_SENT, message)
        timed_out = any(isinstance(cause, httpx2.TimeoutException) for cause in causes)
        kind = FailureKind.TIMEOUT if timed_out else FailureKind.INTERRUPTED
        return self.failed(kind, f"the connection to the model broke: {type(causes[-1]).__name__}")

    def failed(self, kind: FailureKind, message: str) -> CallFailed:
        """A failure after the request was sent: whether it was billed cannot be known."""
        return failed(
            kind,
            Outcome.UNKNOWN,
            message,
            partial_usage=self._assembly.tally.so_far(),
            provider_request_id=self._request_id,
        )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error of the SDK, that of its HTTP client in it, that of the transport in that, and so on."""
    while error is not None:
        yield error
        error = error.__cause__


async def _send(client: anthropic.AsyncAnthropic, request: bytes, timeout_seconds: float) -> Stream:
    return await client.post(
        "/v1/messages",
        content=request,
        cast_to=Message,
        stream=True,
        stream_cls=Stream,
        options={
            "headers": {"content-type": "application/json"},
            "max_retries": 0,
            "timeout": httpx2.Timeout(timeout_seconds, connect=CONNECT_SECONDS),
        },
    )


def _refusal(error: anthropic.APIStatusError) -> CallFailed:
    return from_status(
        error.status_code,
        error.api_message or error.message,
        code=error.error_code or "",
        retry_after=error.response.headers.get("retry-after", ""),
        provider_request_id=error.request_id or "",
    )
