"""The one server interceptor: every call is identified, bounded in time, and its exceptions are translated.

The concerns stand in identity, deadlines, boundary and telemetry; here they are put around a handler once per
method, because a chain of interceptors would be paid for on every call.
"""

import asyncio
import inspect
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, TypeAlias

import grpc

from taor_chassis import boundary, deadlines, identity, telemetry
from taor_chassis.errors import DependencyUnavailable

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Behaviour: TypeAlias = Callable[[Any, Context], Awaitable[Any]]
Admission: TypeAlias = Callable[[Context], None]

REQUEST_ID_KEY = "taor-request-id"
_MAX_REQUEST_ID = 64
_OPEN_TO_ALL = ("/grpc.health.v1.Health/", "/grpc.reflection.v1alpha.ServerReflection/")


class Guard(grpc.aio.ServerInterceptor):
    """Admits calls and translates what goes wrong in them; health and reflection need neither token nor deadline."""

    def __init__(self, authenticator: identity.Authenticator) -> None:
        self._authenticator = authenticator
        self._guarded: dict[str, Handler] = {}  # bounded by the methods that exist
        self._calls: set[asyncio.Task[Any]] = set()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], "Awaitable[Handler | None]"],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        """The guarded handler of the method, made on its first call."""
        method = handler_call_details.method
        if (guarded := self._guarded.get(method)) is not None:
            return guarded
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        admit = _admit_anybody if method.startswith(_OPEN_TO_ALL) else self._admit
        self._guarded[method] = guarded = _around(handler, admit)
        return guarded

    async def finish(self, seconds: float) -> None:
        """Wait until the handlers of cancelled calls have cleaned up behind themselves; grpc's stop does not."""
        if self._calls:
            await asyncio.wait(self._calls, timeout=seconds)

    def _admit(self, context: Context) -> None:
        authorization = request_id = None
        for key, value in context.invocation_metadata() or ():
            if key == "authorization":
                authorization = str(value)
            elif key == REQUEST_ID_KEY:
                request_id = str(value)
        identity.set_caller(self._authenticator.identify(authorization))
        deadlines.begin(context.time_remaining())
        telemetry.bind(rid=request_id[:_MAX_REQUEST_ID] if request_id else os.urandom(8).hex())
        self._follow(asyncio.current_task())

    def _follow(self, call: "asyncio.Task[Any] | None") -> None:
        assert call is not None  # grpc.aio gives every call a task of its own
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)


def _admit_anybody(context: Context) -> None:
    """Nothing is asked of probes and of people who look around."""


def _around(handler: Handler, admit: Admission) -> Handler:
    # The stubs of grpc know synchronous behaviours only.
    behaviour: Any = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    guarded = _streaming(behaviour, admit) if inspect.isasyncgenfunction(behaviour) else _plain(behaviour, admit)
    make = _MAKERS[handler.request_streaming, handler.response_streaming]
    return make(guarded, handler.request_deserializer, handler.response_serializer)


_MAKERS: Mapping[tuple[bool, bool], Callable[..., Handler]] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


def _plain(behaviour: Behaviour, admit: Admission) -> Behaviour:
    """Guard a coroutine: it returns the response, or writes its stream to the context."""

    async def guarded(request: Any, context: Context) -> Any:
        try:
            admit(context)
            return await behaviour(request, context)
        except grpc.aio.AbortError:
            raise
        except asyncio.CancelledError:
            if _is_cancelled():
                raise
            await boundary.abort(context, DependencyUnavailable("the work behind this call was cancelled; try again"))
        except Exception as error:  # the boundary: whatever it is, the client gets a status with a reason
            await boundary.abort(context, boundary.translate(error))

    return guarded


def _is_cancelled() -> bool:
    """Whether this call itself was cancelled, and not only a task that it waited for.

    grpc.aio takes any CancelledError for the former and sends nothing: the client would wait out its deadline.
    """
    call = asyncio.current_task()
    return call is not None and call.cancelling() > 0


def _streaming(behaviour: Callable[[Any, Context], AsyncGenerator[Any, None]], admit: Admission) -> Behaviour:
    """Guard an async generator; writing its items here closes it at once when the client goes away."""

    async def stream(request: Any, context: Context) -> None:
        async with aclosing(behaviour(request, context)) as responses:
            async for response in responses:
                await context.write(response)

    return _plain(stream, admit)
