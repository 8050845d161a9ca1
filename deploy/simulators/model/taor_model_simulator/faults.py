"""Decides whether a call fails. How often a fault has struck is the only memory of this server, and a bounded one."""

from __future__ import annotations

from collections import OrderedDict, deque

from taor_model_simulator.errors import Refused
from taor_model_simulator.script import Fault, FaultKind

MAX_REMEMBERED = 10_000
MAX_ARMED = 1_000

REFUSALS = {
    FaultKind.INVALID_REQUEST: (400, "invalid_request_error", "Refused by the script"),
    FaultKind.UNAUTHORIZED: (401, "authentication_error", "invalid x-api-key"),
    FaultKind.RATE_LIMITED: (429, "rate_limit_error", "This request would exceed your rate limit"),
    FaultKind.SPEND_LIMIT: (429, "rate_limit_error", "The organization's spend limit is reached"),
    FaultKind.SERVER_ERROR: (500, "api_error", "Internal server error"),
    FaultKind.BAD_GATEWAY: (502, "api_error", "Bad gateway"),
    FaultKind.GATEWAY_TIMEOUT: (504, "timeout_error", "Gateway timeout"),
    FaultKind.OVERLOADED: (529, "overloaded_error", "Overloaded"),
}


class Faults:
    """Faults of scripts, counted per step of a conversation, and faults armed from outside for the next calls."""

    def __init__(self) -> None:
        self._struck: OrderedDict[bytes, int] = OrderedDict()
        self._armed: deque[Fault] = deque(maxlen=MAX_ARMED)

    def arm(self, fault: Fault) -> None:
        """Let the next `times` calls of anyone fail this way."""
        self._armed.extend([fault] * fault.times)

    def disarm(self) -> None:
        """Forget what was armed."""
        self._armed.clear()

    def strike(self, conversation: bytes, declared: Fault | None) -> Fault | None:
        """The fault that hits this attempt, if any; `conversation` identifies the prompt, not its `max_tokens`."""
        if self._armed:
            return self._armed.popleft()
        if declared is None:
            return None
        struck = self._struck.get(conversation, 0)
        if struck >= declared.times:
            return None
        self._struck[conversation] = struck + 1
        if len(self._struck) > MAX_REMEMBERED:
            self._struck.popitem(last=False)
        return declared


def refusal(fault: Fault) -> Refused | None:
    """The HTTP error that this fault answers with; None if it strikes after the answer has begun."""
    if fault.kind not in REFUSALS:
        return None
    status, kind, text = REFUSALS[fault.kind]
    code = "enforced_spend_limit_reached" if fault.kind is FaultKind.SPEND_LIMIT else ""
    default = "1" if fault.kind is FaultKind.RATE_LIMITED else ""
    return Refused(text, status=status, kind=kind, code=code, retry_after=fault.retry_after or default)
