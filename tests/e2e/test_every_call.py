"""Every call of every contract, as it runs: with nothing in it, without or with a wrong token, without a deadline."""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from taor_chassis.boundary import error_info
from taor_local.endpoints import Endpoints, read_endpoints
from taor_local.options import Options

SERVICES = ("budget", "checkpoint", "orchestrator", "sandbox")
UNFIT = (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL)
SECONDS = 20.0


@dataclass(frozen=True)
class Call:
    """One method of one service."""

    service: str
    method: MethodDescriptor

    @property
    def path(self) -> str:
        """The method as it is named on the wire."""
        return f"/{self.method.containing_service.full_name}/{self.method.name}"


def _calls() -> Iterator[Call]:
    for service in SERVICES:
        contract = importlib.import_module(f"taor.{service}.v1.{service}_pb2").DESCRIPTOR
        for declared in contract.services_by_name.values():
            yield from (Call(service, method) for method in declared.methods)


CALLS = list(_calls())


async def _make(
    call: Call, endpoints: Endpoints, token: str | None, timeout: float | None
) -> grpc.aio.AioRpcError | None:
    """Send an empty request and read one answer; how it was refused, or None."""
    metadata = () if token is None else (("authorization", f"Bearer {token}"),)
    request = GetMessageClass(call.method.input_type)()
    reader = GetMessageClass(call.method.output_type).FromString
    async with grpc.aio.insecure_channel(getattr(endpoints, call.service)) as channel:
        try:
            if call.method.server_streaming:
                stream = channel.unary_stream(call.path, type(request).SerializeToString, reader)
                await anext(aiter(stream(request, metadata=metadata, timeout=timeout)), None)
            else:
                method = channel.unary_unary(call.path, type(request).SerializeToString, reader)
                await method(request, metadata=metadata, timeout=timeout)
        except grpc.aio.AioRpcError as error:
            return error
    return None


@pytest.fixture
def endpoints(installation: Options) -> Endpoints:
    """Where the services of the installation listen."""
    found = read_endpoints(installation.data)
    assert found is not None
    return found


@pytest.mark.parametrize("call", CALLS, ids=[call.path for call in CALLS])
async def test_a_call_is_guarded_and_an_empty_one_is_understood(call: Call, endpoints: Endpoints) -> None:
    token = endpoints.token_file.read_text().strip()
    empty = await _make(call, endpoints, token, SECONDS)
    if empty is not None:
        assert empty.code() not in UNFIT, empty.details()
        info = error_info(empty)
        assert info is not None
        assert info.reason in importlib.import_module(f"taor.{call.service}.v1.errors_pb2").ErrorReason.keys()  # noqa: SIM118 - an enum wrapper, no dict
    for wrong_token, reason in ((None, "TOKEN_MISSING"), ("wrong", "TOKEN_INVALID")):
        refused = await _make(call, endpoints, wrong_token, SECONDS)
        assert refused is not None
        info = error_info(refused)
        assert info is not None
        assert (refused.code(), info.reason) == (grpc.StatusCode.UNAUTHENTICATED, reason)
    endless = await _make(call, endpoints, token, None)
    assert endless is not None
    info = error_info(endless)
    assert info is not None
    assert info.reason == "DEADLINE_REQUIRED"
