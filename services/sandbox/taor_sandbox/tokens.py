"""Preview tokens: a build, a port and a time, signed, in the form of a host name's first label.

Host names know no case and have 63 characters per label: 22 bytes of content and 16 of HMAC-SHA256 in base32 are 61.
"""

import base64
import hmac
import struct
import uuid
from dataclasses import dataclass
from hashlib import sha256

_CONTENT = struct.Struct(">16sHI")
_SIGNATURE_BYTES = 16
_LABEL_CHARACTERS = 61


@dataclass(frozen=True, slots=True)
class Preview:
    """What a token grants: a look at one port of one build's sandbox, until a time in seconds since 1970."""

    build_id: str
    port: int
    expires_at: int


class Tokens:
    """Makes and checks tokens with one secret. The tenant is signed too, though it does not stand in the token."""

    def __init__(self, secret: str) -> None:
        self._key = hmac.digest(secret.encode(), b"taor preview", sha256)

    def make(self, tenant_id: str, preview: Preview) -> str:
        """The token, in lower case."""
        content = _CONTENT.pack(uuid.UUID(preview.build_id).bytes, preview.port, preview.expires_at)
        return _encode(content + self._signature(tenant_id, content))

    def verify(self, token: str, tenant_id: str) -> bool:
        """Whether we made this token for this tenant; the comparison takes the same time wherever it differs."""
        raw = _decode(token)
        if raw is None:
            return False
        return hmac.compare_digest(raw[_CONTENT.size :], self._signature(tenant_id, raw[: _CONTENT.size]))

    def _signature(self, tenant_id: str, content: bytes) -> bytes:
        return hmac.digest(self._key, content + tenant_id.encode(), sha256)[:_SIGNATURE_BYTES]


def read(token: str) -> Preview | None:
    """What a token claims; nothing may be done with it before `verify`."""
    raw = _decode(token)
    if raw is None:
        return None
    build, port, expires_at = _CONTENT.unpack(raw[: _CONTENT.size])
    return Preview(str(uuid.UUID(bytes=build)), port, expires_at)


def _encode(raw: bytes) -> str:
    return base64.b32encode(raw).decode().rstrip("=").lower()


def _decode(token: str) -> bytes | None:
    if len(token) != _LABEL_CHARACTERS:
        return None
    try:
        raw = base64.b32decode(token.upper() + "=" * (-len(token) % 8))
    except ValueError:
        return None
    # Base32 has spare bits at its end: one preview, one name.
    return raw if _encode(raw) == token else None
