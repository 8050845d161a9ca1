"""The name that a TLS client asks for (RFC 8446 section 4.1.2, RFC 6066 section 3), read from its first bytes."""

from dataclasses import dataclass

MAX_BYTES = 16 * 1024
_HANDSHAKE_RECORD, _CLIENT_HELLO = 22, 1
_RECORD_HEADER, _MESSAGE_HEADER = 5, 4
_VERSION_AND_RANDOM = 2 + 32
_SERVER_NAME, _HOST_NAME = 0, 0


class NoClientHello(ValueError):
    """These bytes do not begin a TLS connection."""


@dataclass(slots=True)
class _Reader:
    """Bytes that are taken from the front; running out of them raises NoClientHello."""

    data: bytes

    def take(self, count: int) -> bytes:
        if count > len(self.data):
            raise NoClientHello("a field is longer than the message")
        taken, self.data = self.data[:count], self.data[count:]
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> "_Reader":
        """What stands behind its own length, which takes `size` bytes."""
        return _Reader(self.take(self.number(size)))


def server_name(data: bytes) -> str | None:
    """The name in a ClientHello, "" when it names none; None while more bytes are needed. Raises NoClientHello."""
    message = _message(data)
    if message is None:
        return None
    reader = _Reader(message[_MESSAGE_HEADER:])
    reader.take(_VERSION_AND_RANDOM)
    for length_bytes in (1, 2, 1):  # session id, cipher suites, compression methods
        reader.vector(length_bytes)
    if not reader.data:
        return ""
    extensions = reader.vector(2)
    while extensions.data:
        kind, body = extensions.number(2), extensions.vector(2)
        if kind == _SERVER_NAME:
            return _host_name(body.vector(2))
    return ""


def _message(data: bytes) -> bytes | None:
    """The handshake message, put together from as many records as it takes."""
    message = b""
    while True:
        if data and data[0] != _HANDSHAKE_RECORD:
            raise NoClientHello("not a handshake")
        if len(data) < _RECORD_HEADER:
            return None
        end = _RECORD_HEADER + int.from_bytes(data[3:5], "big")
        message += data[_RECORD_HEADER:end]
        if message and message[0] != _CLIENT_HELLO:
            raise NoClientHello("not a ClientHello")
        if len(message) >= _MESSAGE_HEADER:
            size = _MESSAGE_HEADER + int.from_bytes(message[1:4], "big")
            if len(message) >= size:
                return message[:size]
        if len(data) < end:
            return None
        data = data[end:]


def _host_name(names: _Reader) -> str:
    while names.data:
        kind, name = names.number(1), names.vector(2).data
        if kind == _HOST_NAME:
            try:
                return name.decode("ascii")
            except UnicodeDecodeError as error:
                raise NoClientHello("a name that is no ASCII") from error
    return ""
