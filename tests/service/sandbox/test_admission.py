"""Every RPC, asked without anything in it, or without a token: refused, with a reason."""

import grpc
from taor.sandbox.v1 import sandbox_pb2 as pb
from taor.sandbox.v1.sandbox_pb2_grpc import SandboxServiceStub

from taor_chassis.boundary import error_info
from tests.service.sandbox.harness import Harness

METHODS = {each.name: each.input_type for each in pb.DESCRIPTOR.services_by_name["SandboxService"].methods}


async def test_an_empty_request_is_refused_by_name(harness: Harness) -> None:
    refusals = {name: await _refusal(harness.stub, name, {}) for name in METHODS}
    assert refusals == dict.fromkeys(METHODS, (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_MISSING"))


async def test_a_call_without_a_token_is_refused(harness: Harness) -> None:
    async with grpc.aio.insecure_channel(harness.address) as channel:
        refusals = {name: await _refusal(SandboxServiceStub(channel), name, {}) for name in METHODS}
    assert refusals == dict.fromkeys(METHODS, (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING"))


async def test_a_build_that_nobody_attached_has_nothing(harness: Harness) -> None:
    fields = {"build_id": harness.build_id, "epoch": 1, "generation": 1, "op_id": "x/1/1/0", "log_sequence": 1}
    fields |= {"fate": pb.ReleaseSandboxRequest.PAUSE, "port": 80, "read_file": pb.ReadFile(path="x")}
    moment = pb.Moment(build_id=harness.build_id, log_sequence=1)
    fields |= {"before": moment, "after": moment}
    empty_lists = {"ListOperations", "ListSnapshots", "DiffSnapshots"}
    of_new_builds_and_projects = {"AttachBuild", "PinSnapshot", "DeleteProject"}
    asked = METHODS.keys() - empty_lists - of_new_builds_and_projects
    refusals = {name: await _refusal(harness.stub, name, fields) for name in asked}
    assert refusals == dict.fromkeys(asked, (grpc.StatusCode.NOT_FOUND, "SANDBOX_NOT_FOUND"))
    assert {await _refusal(harness.stub, name, fields) for name in empty_lists} == {(grpc.StatusCode.OK, "")}


async def _refusal(stub: SandboxServiceStub, name: str, fields: dict[str, object]) -> tuple[grpc.StatusCode, str]:
    """Status and reason of the answer to a request with these fields, as far as it has them."""
    known = {field.name for field in METHODS[name].fields}
    request = getattr(pb, METHODS[name].name)(**{key: value for key, value in fields.items() if key in known})
    call = getattr(stub, name)(request, timeout=10)
    try:
        if isinstance(call, grpc.aio.UnaryStreamCall):
            async for _ in call:
                pass
        else:
            await call
    except grpc.aio.AioRpcError as error:
        info = error_info(error)
        return error.code(), info.reason if info else ""
    return grpc.StatusCode.OK, ""
