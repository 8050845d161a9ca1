"""Where exceptions become gRPC statuses, and where clients read them back.

Every refusal travels as google.rpc.Status with one google.rpc.ErrorInfo (domain `taor`) in the trailing metadata
`grpc-status-details-bin`, as https://google.aip.dev/193 describes.
"""

import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Never

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped] # ships no stubs

from taor_chassis import database
from taor_chassis.errors import DependencyStillUnavailable, DependencyTimeout, Internal, ServiceError

DOMAIN = "taor"

# Trailing metadata above 8 KiB may be dropped on the way, and the reason with it.
MAX_MESSAGE_BYTES = 1024
MAX_VALUE_BYTES = 256

_DETAILS = "grpc-status-details-bin"
# https://github.com/grpc/proposal/blob/master/A6-client-retries.md#pushback
_NO_RETRY = ("grpc-retry-pushback-ms", "-1")

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
    """The refusal that stands for any exception; what its client cannot mend is logged."""
    if isinstance(error, ServiceError):
        return error
    refusal = _dependency(error)
    if refusal is None:
        return _internal(error)
    _log.warning("dependency failed", extra={"reason": refusal.reason, "error": repr(error)})
    return refusal


async def abort(context: grpc.aio.ServicerContext[Any, Any], error: ServiceError) -> Never:
    """End the call with the refusal's status, message and ErrorInfo."""
    message = _clip(error.message, MAX_MESSAGE_BYTES)
    details = (_DETAILS, _details(error, message))
    await context.abort(error.status, message, (details,) if error.retryable else (details, _NO_RETRY))


def _dependency(error: Exception) -> ServiceError | None:
    if isinstance(error, grpc.aio.AioRpcError):
        return _downstream(error)
    if isinstance(error, TimeoutError):
        return DependencyTimeout("something that this call needs did not answer in time; try again")
    return database.refusal(error)


def _downstream(error: grpc.aio.AioRpcError) -> ServiceError | None:
    """What the failure of a call made on behalf of this one means; refusals not translated by us are defects."""
    match error.code():
        case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.CANCELLED:  # cut off by a server that was stopped or killed
            return DependencyStillUnavailable("a service behind this one cannot be reached; try again")
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return DependencyTimeout("a service behind this one did not answer in time; allow more time")
        case _:
            return None


def _internal(error: Exception) -> Internal:
    error_id = uuid.uuid4().hex
    _log.error("unhandled exception", exc_info=error, extra={"error_id": error_id})
    return Internal(f"an internal error happened; its details stand in the log under {error_id}", error_id=error_id)


def _details(error: ServiceError, message: str) -> bytes:
    metadata = {key: _clip(value, MAX_VALUE_BYTES) for key, value in error.metadata.items()}
    info = any_pb2.Any()
    info.Pack(error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata))
    status = status_pb2.Status(code=error.status.value[0], message=message, details=[info])
    return bytes(status.SerializeToString())


def _clip(text: str, max_bytes: int) -> str:
    encoded = text.encode(errors="replace")
    return text if len(encoded) <= max_bytes else encoded[: max_bytes - 3].decode(errors="ignore") + "…"


def _parse(value: bytes) -> ErrorInfo | None:
    info = error_details_pb2.ErrorInfo()
    try:
        for detail in status_pb2.Status.FromString(value).details:
            if detail.Unpack(info):
                return ErrorInfo(info.reason, info.domain, dict(info.metadata))
    except DecodeError:
        return None
    return None
