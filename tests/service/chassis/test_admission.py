"""Who may call and for how long: token and deadline over a real socket."""

import asyncio
import math

import grpc
import pytest

from taor_chassis.boundary import error_info
from taor_chassis.client import open_channel
from taor_chassis.deadlines import detached, remaining_seconds
from taor_chassis.guard import Context
from taor_chassis.identity import Caller, current_caller
from taor_chassis.telemetry import bind, bound
from tests.service.chassis.probe import SERVICE, TOKEN, Probe, failure, probing, registration

AUTHORIZED = (("authorization", f"Bearer {TOKEN}"),)


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ((), "TOKEN_MISSING"),
        ((("authorization", "Basic abc"),), "TOKEN_MISSING"),
        ((("authorization", "Bearer "),), "TOKEN_INVALID"),
        ((("authorization", f"Bearer {TOKEN}x"),), "TOKEN_INVALID"),
        ((("authorization", f"Bearer {TOKEN[:-1]}"),), "TOKEN_INVALID"),
    ],
)
async def test_a_call_without_the_right_token_is_refused(metadata: tuple[tuple[str, str], ...], reason: str) -> None:
    async with probing(registration(), bare=True) as probe:
        error = await failure(probe.unary(b"", timeout=5, metadata=metadata))
    info = error_info(error)
    assert error.code() is grpc.StatusCode.UNAUTHENTICATED
    assert info is not None
    assert info.reason == reason


async def test_a_call_without_a_deadline_is_refused() -> None:
    async with probing(registration(), bare=True) as probe:
        assert await probe.unary(b"hello", timeout=5, metadata=AUTHORIZED) == b"hello"
        error = await failure(probe.unary(b"hello", metadata=AUTHORIZED))
    info = error_info(error)
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert info is not None
    assert info.reason == "DEADLINE_REQUIRED"


async def test_the_handler_knows_its_caller_and_its_remaining_time() -> None:
    seen: list[tuple[Caller, float]] = []

    async def look(request: bytes, context: Context) -> bytes:
        seen.append((current_caller(), remaining_seconds()))
        return b""

    async with probing(registration(unary=look)) as probe:
        await probe.unary(b"", timeout=70)
    ((caller, seconds),) = seen
    assert caller == Caller("local", "owner")
    assert 10.1 < seconds < 70.7


# gRPC rounds a timeout up to three digits on its way, so a server may see up to one part in a hundred more.
async def _seconds_seen(probe: Probe, **options: float) -> float:
    return float((await probe.unary(b"", **options)).decode())


async def tell_seconds(request: bytes, context: Context) -> bytes:
    return str(remaining_seconds()).encode()


async def test_a_channel_gives_every_call_a_deadline() -> None:
    timeouts = {f"/{SERVICE}/Unary": 3.0}
    async with probing(registration(unary=tell_seconds)) as probe:
        assert 3.1 < await _seconds_seen(probe) < 10.1
        assert 10.1 < await _seconds_seen(probe, timeout=20) < 20.5
        async with open_channel(probe.address, token=TOKEN, timeouts=timeouts) as channel:
            assert 0 < await _seconds_seen(Probe(channel, probe.address)) < 3.1


async def test_a_call_made_on_behalf_of_another_is_never_longer_than_that() -> None:
    async with probing(registration(unary=tell_seconds)) as lower:

        async def ask_below(request: bytes, context: Context) -> bytes:
            answer: bytes = await lower.unary(b"", timeout=60)
            return answer

        async with probing(registration(unary=ask_below)) as upper:
            assert 0 < await _seconds_seen(upper, timeout=20) < 20.5


async def test_work_detached_from_a_call_outlives_its_deadline() -> None:
    tasks: list[asyncio.Task[float]] = []

    async def look() -> float:
        return remaining_seconds()

    async def start(request: bytes, context: Context) -> bytes:
        with detached():
            tasks.append(asyncio.create_task(look()))
        return str(remaining_seconds()).encode()

    async with probing(registration(unary=start)) as probe:
        assert await _seconds_seen(probe, timeout=50) < 50.6
        assert await tasks[0] == math.inf


async def test_a_handler_is_cancelled_when_its_deadline_has_passed() -> None:
    began, cancelled = asyncio.Event(), asyncio.Event()

    async def hang(request: bytes, context: Context) -> bytes:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return b""

    async with probing(registration(unary=hang)) as probe:
        for seconds in (0.2, 2.0, 20.0):  # the first that is long enough for this machine to come to the handler
            error = await failure(probe.unary(b"", timeout=seconds))
            assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            if began.is_set():
                break
        await asyncio.wait_for(cancelled.wait(), 60)


async def test_a_request_id_is_passed_on_and_made_where_there_is_none() -> None:
    async def tell_id(request: bytes, context: Context) -> bytes:
        return (bound("rid") or "").encode()

    async with probing(registration(unary=tell_id)) as probe:
        made = await probe.unary(b"")
        assert len(made) == 16
        assert await probe.unary(b"") != made
        bind(rid="one-request")
        assert await probe.unary(b"") == b"one-request"
        bind(rid="x" * 1000)
        assert await probe.unary(b"") == b"x" * 64


async def test_concurrent_calls_do_not_see_each_others_context() -> None:
    async def tell_twice(request: bytes, context: Context) -> bytes:
        bind(build_id=request.decode())
        await asyncio.sleep(0)
        return (bound("build_id") or "").encode()

    async with probing(registration(unary=tell_twice)) as probe:
        names = [str(number).encode() for number in range(50)]
        assert list(await asyncio.gather(*(probe.unary(name) for name in names))) == names
