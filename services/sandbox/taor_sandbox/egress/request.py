"""What a command asks the proxy for: a tunnel to a host, or one plain request."""

import re
from dataclasses import dataclass

from taor_sandbox.egress.allowlist import normal
from taor_sandbox.http_head import MAX_HEADERS, BadHead, header_of

MAX_HEAD_BYTES = 32 * 1024
HTTP, HTTPS = 80, 443
_CONNECT = re.compile(r"CONNECT (?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[^ :/@]{1,254}):(?P<port>[0-9]{1,5}) HTTP/1\.[01]")
_PLAIN = re.compile(
    r"(?P<method>[A-Z]{1,16}) http://(?P<host>\[[0-9a-f:.]{2,45}\]|[^ :/?#@]{1,254})(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>[/?][^\x00-\x20#\x7f]*)? HTTP/1\.[01]",
    re.IGNORECASE,
)
_NOT_PASSED_ON = {"host", "connection", "keep-alive", "proxy-connection", "proxy-authorization", "te", "upgrade"}


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A connection for TLS with a host."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Plain:
    """One request in the clear, and the head in which it is passed on."""

    host: str
    port: int
    head: bytes
    body_bytes: int


def parse(data: bytes) -> Tunnel | Plain:
    """Read a head, its empty last line included; raises BadHead."""
    first, *lines = data.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    if len(lines) > MAX_HEADERS:
        raise BadHead("too many headers")
    headers = [header_of(line) for line in lines]
    if match := _CONNECT.fullmatch(first):
        return Tunnel(normal(match["host"]), int(match["port"]))
    if match := _PLAIN.fullmatch(first):
        return _plain(match, headers)
    raise BadHead("only CONNECT and http:// are passed on")


def _plain(match: re.Match[str], headers: list[tuple[str, str]]) -> Plain:
    if any(name.lower() == "transfer-encoding" for name, _ in headers):
        raise BadHead("say the length of the body with Content-Length")
    host, path = normal(match["host"]), match["path"] or "/"
    target = path if path.startswith("/") else f"/{path}"
    lines = [f"{match['method'].upper()} {target} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in headers if name.lower() not in _NOT_PASSED_ON]
    head = "\r\n".join((*lines, "Connection: close", "", "")).encode("latin-1")
    return Plain(host, int(match["port"] or HTTP), head, _body_bytes(headers))


def _body_bytes(headers: list[tuple[str, str]]) -> int:
    lengths = {value for name, value in headers if name.lower() == "content-length"}
    if not lengths:
        return 0
    (length, *others) = lengths
    if others or not re.fullmatch(r"[0-9]{1,15}", length):
        raise BadHead("one Content-Length, please")
    return int(length)
