"""Where exceptions become gRPC statuses, and where clients read them back.

Every refusal travels as google.rpc.Status with one google.rpc.ErrorInfo (domain `taor`) in the trailing metadata
`grpc-status-details-bin`, as https://google.aip.dev/193 describes.
"""

import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Never

import asyncpg
import grpc
from google.protobuf import any_pb2
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped] # ships no stubs

from taor_chassis.errors import DependencyTimeout, DependencyUnavailable, Internal, ServiceError

DOMAIN = "taor"
_DETAILS = "grpc-status-details-bin"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """Why a call was refused, as its client sees it."""

    reason: str
    domain: str
    metadata: Mapping[str, str]


def error_info(error: grpc.RpcError) -> ErrorInfo | None:
    """Read the reason from a failed call; None when the status did not come from a service of ours."""
    if not isinstance(error, grpc.aio.AioRpcError):
        return None
    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS and isinstance(value, bytes):
            return _parse(value)
    return None


def translate(error: Exception) -> ServiceError:
    """The refusal that stands for any exception; what is not meant for the client is logged under an error id."""
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, grpc.aio.AioRpcError):
        match error.code():
            case grpc.StatusCode.UNAVAILABLE:
                return DependencyUnavailable("a service behind this one cannot be reached; try again")
            case grpc.StatusCode.DEADLINE_EXCEEDED:
                return DependencyTimeout("a service behind this one did not answer in time; allow more time")
    if isinstance(error, _DATABASE_GONE):
        return DependencyUnavailable("the database cannot be reached; try again")
    return _internal(error)


async def abort(context: "grpc.aio.ServicerContext[object, object]", error: ServiceError) -> Never:
    """End the call with the refusal's status, message and ErrorInfo."""
    await context.abort(error.status, error.message, ((_DETAILS, _details(error)),))


# Lost, refused or shut down: nothing is known to be wrong with the call itself.
_DATABASE_GONE = (
    asyncpg.exceptions.PostgresConnectionError,
    asyncpg.exceptions.OperatorInterventionError,
    asyncpg.exceptions.CannotConnectNowError,
    asyncpg.exceptions.TooManyConnectionsError,
    ConnectionError,
)


def _internal(error: Exception) -> Internal:
    error_id = uuid.uuid4().hex
    _log.error("unhandled exception", exc_info=error, extra={"error_id": error_id})
    return Internal(f"an internal error happened; its details stand in the log under {error_id}", error_id=error_id)


def _details(error: ServiceError) -> bytes:
    info = any_pb2.Any()
    info.Pack(error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata))
    status = status_pb2.Status(code=error.status.value[0], message=error.message, details=[info])
    return bytes(status.SerializeToString())


def _parse(value: bytes) -> ErrorInfo | None:
    info = error_details_pb2.ErrorInfo()
    try:
        for detail in status_pb2.Status.FromString(value).details:
            if detail.Unpack(info):
                return ErrorInfo(info.reason, info.domain, dict(info.metadata))
    except DecodeError:
        return None
    return None
