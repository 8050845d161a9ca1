"""What may name a content: checked here, so that no tenant and no hash can lead to another place."""

import re

from taor_sandbox.blobs.port import BlobError

_HASH = re.compile(r"[0-9a-f]{64}")
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


def is_hash(name: str) -> bool:
    """Whether this is a SHA-256 in lower-case hex."""
    return _HASH.fullmatch(name) is not None


def checked_hash(sha256: str) -> str:
    """The hash itself; ours are never anything else."""
    assert is_hash(sha256), sha256
    return sha256


def checked_tenant(tenant_id: str) -> str:
    """The tenant itself; raises BlobError when it cannot name a folder."""
    if not _TENANT.fullmatch(tenant_id):
        raise BlobError(f"{tenant_id!r} cannot name a folder")
    return tenant_id
