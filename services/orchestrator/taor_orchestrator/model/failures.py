"""What a failed call means: whose fault, whether to try again, and whether it can have been billed. Pure."""

from __future__ import annotations

from taor_orchestrator.model.port import CallFailed, FailureKind, Outcome, Usage

MAX_MESSAGE_CHARACTERS = 500
MAX_RETRY_AFTER_SECONDS = 3600.0
SPEND_LIMITS = frozenset(
    {"enforced_spend_limit_reached", "contract_spend_limit_reached", "linked_organization_spend_limit_reached"}
)
PASSING = frozenset(
    {
        *(FailureKind.CONNECTION, FailureKind.OVERLOADED, FailureKind.RATE_LIMITED, FailureKind.SERVER_ERROR),
        *(FailureKind.TIMEOUT, FailureKind.INTERRUPTED, FailureKind.MALFORMED_STREAM),
    }
)
EVENT_KINDS = {
    "overloaded_error": FailureKind.OVERLOADED,
    "rate_limit_error": FailureKind.RATE_LIMITED,
    "timeout_error": FailureKind.TIMEOUT,
    "api_error": FailureKind.SERVER_ERROR,
    "authentication_error": FailureKind.CREDENTIALS,
    "permission_error": FailureKind.CREDENTIALS,
}


def from_status(
    status: int, message: str, *, code: str = "", retry_after: str = "", provider_request_id: str = ""
) -> CallFailed:
    """An HTTP error instead of an answer: 4xx and 529 are documented as unbilled, behind other 5xx the call may run."""
    kind = _kind_of_status(status, code)
    # A 408 is a proxy's guess about a call that may still run.
    refused = status == 529 or (400 <= status < 500 and status != 408)
    return failed(
        kind,
        Outcome.REFUSED_UNBILLED if refused else Outcome.UNKNOWN,
        f"{status}: {message}",
        retry_after_seconds=_seconds(retry_after),
        provider_request_id=provider_request_id,
    )


def from_event(error: dict[str, object], partial_usage: Usage | None, provider_request_id: str) -> CallFailed:
    """An error in the middle of a stream that had begun well: what was produced until then may be billed."""
    kind = EVENT_KINDS.get(str(error.get("type")), FailureKind.INVALID_REQUEST)
    return failed(
        kind,
        Outcome.UNKNOWN,
        str(error.get("message", error)),
        partial_usage=partial_usage,
        provider_request_id=provider_request_id,
    )


def failed(
    kind: FailureKind,
    outcome: Outcome,
    message: str,
    *,
    retry_after_seconds: float | None = None,
    partial_usage: Usage | None = None,
    provider_request_id: str = "",
) -> CallFailed:
    """A failure of this kind; the kind alone decides whether another try makes sense."""
    return CallFailed(
        kind,
        outcome,
        message[:MAX_MESSAGE_CHARACTERS],
        retryable=kind in PASSING,
        retry_after_seconds=retry_after_seconds,
        partial_usage=partial_usage,
        provider_request_id=provider_request_id,
    )


def _kind_of_status(status: int, code: str) -> FailureKind:
    match status:
        case 429 if code in SPEND_LIMITS:
            return FailureKind.PROVIDER_SPEND_LIMIT
        case 429:
            return FailureKind.RATE_LIMITED
        case 401 | 402 | 403:
            return FailureKind.CREDENTIALS
        case 408 | 504:
            return FailureKind.TIMEOUT
        case 529:
            return FailureKind.OVERLOADED
        case _:
            return FailureKind.SERVER_ERROR if status >= 500 else FailureKind.INVALID_REQUEST


def _seconds(retry_after: str) -> float | None:
    if not retry_after.replace(".", "", 1).isdecimal():
        return None
    return min(float(retry_after), MAX_RETRY_AFTER_SECONDS)
