"""What the proxy has refused, so that the agent hears of it in the result of its command."""

import re

_MOST = 10
_LONGEST = 120
_STRANGE = re.compile(r"[^A-Za-z0-9._:\[\] -]")
_REASONS = {400: "Bad Request", 403: "Forbidden", 431: "Request Header Fields Too Large", 502: "Bad Gateway"}


class Refusal(Exception):
    """Raised to answer a request with an error of HTTP."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    def response(self) -> bytes:
        """The message stands in the first line too: that is all that most programs show when a tunnel is refused."""
        body = f"taor: {self}\n".encode()
        return (
            f"HTTP/1.1 {self.status} {_REASONS[self.status]} - {self}\r\nContent-Type: text/plain\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        ).encode() + body


class Refusals:
    """The refused targets since they were last told, each once, and not endlessly many."""

    def __init__(self) -> None:
        self._targets: dict[str, None] = {}

    def note(self, target: str) -> str:
        """Remember a target; returns it as it can be shown to anybody."""
        shown = _STRANGE.sub("?", target)[:_LONGEST]
        if len(self._targets) < _MOST:
            self._targets[shown] = None
        return shown

    def refuse(self, target: str) -> Refusal:
        """Remember a target, and what to answer."""
        return Refusal(403, f"{self.note(target)} is not allowed")

    def take(self) -> list[str]:
        """What was refused since the last call."""
        targets, self._targets = list(self._targets), {}
        return targets
