"""Encryption at rest: each project has its own key, wrapped by the master key; deleting that row shreds the project.

Everything is AES-256-GCM (NIST SP 800-38D) with a fresh random nonce of 96 bits: safe for 2^32 bodies per project.
What is sealed is bound to a name, so that bytes moved to another row do not open there.
"""

import os
from dataclasses import dataclass
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
_NONCE_BYTES = 12
_TAG_BYTES = 16
SEAL_BYTES = _NONCE_BYTES + _TAG_BYTES
"""How many bytes sealing adds."""


class Unopened(Exception):
    """The bytes were not sealed with this key under this name, or they were changed since."""


class Key:
    """Seals bytes and opens them."""

    __slots__ = ("_cipher",)

    def __init__(self, secret: bytes) -> None:
        assert len(secret) == KEY_BYTES
        self._cipher = AESGCM(secret)

    def seal(self, plain: bytes, name: bytes) -> bytes:
        """Encrypt and authenticate bytes under a name."""
        nonce = os.urandom(_NONCE_BYTES)  # not through a port: a nonce that a test could repeat would give the key away
        return nonce + self._cipher.encrypt(nonce, plain, name)

    def open(self, sealed: bytes, name: bytes) -> bytes:
        """Give back what was sealed under this name; raises Unopened."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], name)
        except (InvalidTag, ValueError) as error:
            raise Unopened from error


@dataclass(frozen=True, slots=True)
class ProjectKey:
    """The key of one project, for the bodies of its logs.

    A body is bound to project and sequence, not to the build: a fork keeps both, and can copy rows as they are.
    """

    tenant_id: str
    project_id: str
    key: Key

    @classmethod
    def unwrap(cls, tenant_id: str, project_id: str, wrapped: bytes, master: Key) -> Self:
        """Open the stored form of a project's key; raises Unopened when another master key made it."""
        return cls(tenant_id, project_id, Key(master.open(wrapped, _name(tenant_id, project_id, "key"))))

    def seal_body(self, body: bytes, sequence: int) -> bytes:
        """The stored form of an entry's body."""
        return self.key.seal(body, _name(self.tenant_id, self.project_id, str(sequence)))

    def open_body(self, sealed: bytes, sequence: int) -> bytes:
        """The body of an entry; raises Unopened."""
        return self.key.open(sealed, _name(self.tenant_id, self.project_id, str(sequence)))


def new_wrapped_key(tenant_id: str, project_id: str, master: Key) -> bytes:
    """Make a key for a project, in its stored form."""
    return master.seal(os.urandom(KEY_BYTES), _name(tenant_id, project_id, "key"))


def _name(*parts: str) -> bytes:
    return "\0".join(parts).encode()
