"""What a service says when it refuses a call.

    Exception
    └── ServiceError                  a refusal with a status, a reason and a message for the caller
        ├── DeadlineRequired          DEADLINE_REQUIRED        the call came without a deadline
        ├── TokenMissing              TOKEN_MISSING            no `authorization: Bearer …` metadata
        ├── TokenInvalid              TOKEN_INVALID            the bearer token is not the one we gave out
        ├── InvalidField              (validation.py)
        │   ├── FieldMissing          FIELD_MISSING            a required field is empty
        │   ├── FieldInvalid          FIELD_INVALID            a field has a value that cannot be meant
        │   └── FieldTooLarge         FIELD_TOO_LARGE          a field is longer than the application accepts
        ├── DependencyUnavailable     DEPENDENCY_UNAVAILABLE   a service or database below cannot be reached; try again
        │   └── DependencyStillUnavailable                     … and was tried several times already
        ├── DependencyTimeout         DEPENDENCY_TIMEOUT       a service below did not answer before the deadline
        └── Internal                  INTERNAL                 a defect; the message carries an id found in the log

Every service repeats these reasons in the `ErrorReason` enum of its `errors.proto`, and adds its own subclasses.
"""

from typing import ClassVar

import grpc


class ServiceError(Exception):
    """A refusal that its caller can understand: subclasses set the gRPC status and the reason.

    The message is for the client and says what to do; the metadata names the values that matter.
    """

    status: ClassVar[grpc.StatusCode]
    reason: ClassVar[str]
    retryable: ClassVar[bool] = True  # False: the client's channel gives up at once, even when UNAVAILABLE

    def __init__(self, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = metadata


class DeadlineRequired(ServiceError):
    """A call without a deadline could hold its resources for ever, so it is refused."""

    status = grpc.StatusCode.INVALID_ARGUMENT
    reason = "DEADLINE_REQUIRED"


class TokenMissing(ServiceError):
    """The call carries no bearer token."""

    status = grpc.StatusCode.UNAUTHENTICATED
    reason = "TOKEN_MISSING"


class TokenInvalid(ServiceError):
    """The call carries a token that this installation did not give out."""

    status = grpc.StatusCode.UNAUTHENTICATED
    reason = "TOKEN_INVALID"


class DependencyUnavailable(ServiceError):
    """Something this service stands on cannot be reached at the moment; the same call may be sent again."""

    status = grpc.StatusCode.UNAVAILABLE
    reason = "DEPENDENCY_UNAVAILABLE"


class DependencyStillUnavailable(DependencyUnavailable):
    """The calls below were already retried; retrying them from above again would multiply the attempts."""

    retryable = False


class DependencyTimeout(ServiceError):
    """Something this service stands on did not answer within the deadline of the call."""

    status = grpc.StatusCode.DEADLINE_EXCEEDED
    reason = "DEPENDENCY_TIMEOUT"


class Internal(ServiceError):
    """A defect of ours: details stay in the log, the client gets the id under which they stand there."""

    status = grpc.StatusCode.INTERNAL
    reason = "INTERNAL"
