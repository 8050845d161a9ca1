"""Exceptions of handlers reach a client over a socket as statuses with reasons, and nothing else leaks."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable
from typing import ClassVar

import grpc
import pytest

from taor_chassis.boundary import MAX_MESSAGE_BYTES, error_info
from taor_chassis.errors import ServiceError
from taor_chassis.guard import Context
from taor_chassis.validation import FieldTooLarge, require_text
from tests.service.chassis.probe import Probe, collect, failure, probing, registration


class Refused(ServiceError):
    status: ClassVar = grpc.StatusCode.FAILED_PRECONDITION
    reason: ClassVar = "ALLOWANCE_SPENT"


REFUSAL = Refused("spend less than 5 µ$", account_id="a1", limit_microdollars="5")


async def refuse(request: object, context: Context) -> bytes:
    raise REFUSAL


async def refuse_midway(request: object, context: Context) -> AsyncIterator[bytes]:
    yield b"first"
    raise REFUSAL


async def _calls(probe: Probe) -> list[Awaitable[object]]:
    return [
        probe.unary(b""),
        probe.client_stream(iter([b""])),
        collect(probe.server_stream(b"")),
        collect(probe.both_stream(iter([b""]))),
    ]


async def test_a_refusal_keeps_its_reason_in_all_four_kinds_of_calls() -> None:
    service = registration(unary=refuse, client_stream=refuse, server_stream=refuse_midway, both_stream=refuse_midway)
    async with probing(service) as probe:
        for call in await _calls(probe):
            error = await failure(call)
            info = error_info(error)
            assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
            assert error.details() == "spend less than 5 µ$"
            assert info is not None
            assert (info.reason, info.domain) == ("ALLOWANCE_SPENT", "taor")
            assert info.metadata == {"account_id": "a1", "limit_microdollars": "5"}


async def test_what_was_streamed_before_a_refusal_arrives() -> None:
    async with probing(registration(server_stream=refuse_midway)) as probe:
        stream = aiter(probe.server_stream(b""))
        assert await anext(stream) == b"first"
        assert (await failure(anext(stream))).code() is grpc.StatusCode.FAILED_PRECONDITION


async def _failing_with(error: Exception) -> grpc.aio.AioRpcError:
    async def fail(request: object, context: Context) -> bytes:
        raise error

    async with probing(registration(unary=fail)) as probe:
        return await failure(probe.unary(b""))


async def test_an_unhandled_exception_shows_nothing_but_an_id_that_the_log_explains(
    caplog: pytest.LogCaptureFixture,
) -> None:
    error = await _failing_with(KeyError("secret"))
    info = error_info(error)
    assert error.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in f"{error.details()}"
    assert info is not None
    assert info.reason == "INTERNAL"
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.__dict__["error_id"] == info.metadata["error_id"]
    assert record.exc_info is not None
    assert record.exc_info[1].args == ("secret",)  # type: ignore[union-attr] # checked by the comparison


async def test_a_time_limit_that_ran_out_is_no_defect() -> None:
    assert (await _failing_with(TimeoutError())).code() is grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.parametrize(
    ("below", "code", "reason"),
    [
        (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE"),
        (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.DEADLINE_EXCEEDED, "DEPENDENCY_TIMEOUT"),
        (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INTERNAL, "INTERNAL"),
        (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.INTERNAL, "INTERNAL"),
    ],
)
async def test_the_failure_of_a_service_below_is_not_the_clients_mistake(
    below: grpc.StatusCode, code: grpc.StatusCode, reason: str
) -> None:
    tries = 0

    async def refuse_below(request: bytes, context: Context) -> bytes:
        nonlocal tries
        tries += 1
        await context.abort(below, "as it is")

    async with probing(registration(unary=refuse_below)) as lower:

        async def call_below(request: bytes, context: Context) -> bytes:
            answer: bytes = await lower.unary(request)
            return answer

        async with probing(registration(unary=call_below)) as upper:
            error = await failure(upper.unary(b""))
    info = error_info(error)
    assert tries == (5 if code is grpc.StatusCode.UNAVAILABLE else 1)  # retried below, and not once more from above
    assert error.code() is code
    assert info is not None
    assert info.reason == reason


async def test_a_handlers_own_abort_passes_untouched() -> None:
    async def abort(request: bytes, context: Context) -> bytes:
        await context.abort(grpc.StatusCode.NOT_FOUND, "no such build")

    async with probing(registration(unary=abort)) as probe:
        error = await failure(probe.unary(b""))
    assert (error.code(), error.details(), error_info(error)) == (grpc.StatusCode.NOT_FOUND, "no such build", None)


async def test_a_cancelled_stream_is_closed_at_once_within_its_own_call() -> None:
    closed_by: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def endless(request: bytes, context: Context) -> AsyncIterator[bytes]:
        call = asyncio.current_task()
        try:
            while True:
                yield b"x" * 65536
        finally:  # run by the garbage collector, it would be in another task, which no drain waits for
            closed_by.set_result(asyncio.current_task() is call)

    async with probing(registration(server_stream=endless)) as probe:
        stream = probe.server_stream(b"")
        await stream.read()
        stream.cancel()
        assert await asyncio.wait_for(closed_by, 60)


async def test_a_handler_whose_work_was_cancelled_answers_at_once() -> None:
    async def wait_for_cancelled_work(request: bytes, context: Context) -> bytes:
        work = asyncio.ensure_future(asyncio.Event().wait())
        work.cancel()
        await work
        return b""

    async with probing(registration(client_stream=wait_for_cancelled_work)) as probe, asyncio.timeout(60):
        error = await failure(probe.client_stream(iter([b""]), timeout=600))
    info = error_info(error)
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert info is not None
    assert info.reason == "DEPENDENCY_UNAVAILABLE"


async def test_a_text_too_long_for_the_metadata_is_cut_and_keeps_its_reason() -> None:
    error = await _failing_with(Refused("µ" * 20_000, path="é" * 20_000))
    info = error_info(error)
    assert len(f"{error.details()}".encode()) <= MAX_MESSAGE_BYTES
    assert info is not None
    assert info.reason == "ALLOWANCE_SPENT"
    assert info.metadata["path"].endswith("…")


async def test_a_field_over_its_limit_names_itself() -> None:
    async def start(request: bytes, context: Context) -> bytes:
        return require_text("brief", request.decode(), max_bytes=10).encode()

    async with probing(registration(unary=start)) as probe:
        assert await probe.unary(b"0123456789") == b"0123456789"
        error = await failure(probe.unary(b"01234567890"))
    info = error_info(error)
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert info is not None
    assert info.reason == FieldTooLarge.reason
    assert info.metadata == {"field": "brief", "size_bytes": "11", "max_bytes": "10"}


async def test_sixteen_mebibytes_pass_and_more_is_refused_by_the_transport() -> None:
    async with probing(registration()) as probe:
        almost = bytes(16 * 1024 * 1024 - 64)
        assert await probe.unary(almost) == almost
        error = await failure(probe.unary(bytes(16 * 1024 * 1024 + 1)))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert error_info(error) is None
