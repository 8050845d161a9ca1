"""The head of an HTTP/1.1 request: read just as far as a proxy must, and rewritten for the program behind it."""

import re
from dataclasses import dataclass

_REQUEST_LINE = re.compile(r"[A-Z]{1,16} (?P<target>/[^\x00-\x20\x7f]*|\*) HTTP/1\.[01]")
_HEADER = re.compile(r"(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(?P<value>[^\x00\r\n]*?)[ \t]*")
_HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "proxy-authorization"}
_NAMES_THE_ORIGIN = {"origin", "referer"}
MAX_HEADERS = 200


class BadHead(ValueError):
    """The bytes are no head of a request that we pass on."""


@dataclass(frozen=True, slots=True)
class Head:
    """A request line and headers, as they came."""

    request_line: str
    headers: tuple[tuple[str, str], ...]

    @property
    def host(self) -> str:
        """The one Host header."""
        return next(value for name, value in self.headers if name.lower() == "host")

    @property
    def is_upgrade(self) -> bool:
        """Whether the connection is to become another protocol, such as WebSocket."""
        return any(name.lower() == "upgrade" for name, _ in self.headers)

    def rewritten(self, public_name: str, port: int) -> bytes:
        """The head for the program: it hears its own address, and never the token. One request per connection."""
        own = f"localhost:{port}"
        lines = [self.request_line, f"Host: {own}"]
        for name, value in self.headers:
            lowered = name.lower()
            if lowered in _NAMES_THE_ORIGIN:
                value = re.sub(rf"{re.escape(public_name)}(:\d+)?", own, value, flags=re.IGNORECASE)
            if lowered != "host" and lowered not in _HOP_BY_HOP:
                lines.append(f"{name}: {value}")
        lines.append("Connection: Upgrade" if self.is_upgrade else "Connection: close")
        return "\r\n".join((*lines, "", "")).encode("latin-1")


def parse(data: bytes) -> Head:
    """Read a head, its empty last line included; raises BadHead."""
    lines = data.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    if not _REQUEST_LINE.fullmatch(lines[0]):
        raise BadHead("not a request line")
    if len(lines) > MAX_HEADERS:
        raise BadHead("too many headers")
    headers = tuple(header_of(line) for line in lines[1:])
    if sum(name.lower() == "host" for name, _ in headers) != 1:
        raise BadHead("one Host header is needed")
    return Head(lines[0], headers)


def header_of(line: str) -> tuple[str, str]:
    """The name and the value of one line; raises BadHead."""
    match = _HEADER.fullmatch(line)
    if match is None:
        raise BadHead("not a header")
    return match["name"], match["value"]
