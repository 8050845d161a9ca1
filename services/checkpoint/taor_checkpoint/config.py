"""The configuration of the checkpoint service."""

import base64
import binascii
from dataclasses import dataclass
from datetime import timedelta

from taor_chassis.config import field
from taor_checkpoint.envelope import KEY_BYTES

MAX_RETENTION_DAYS = 36_500


def _mistake_in_key(text: str) -> str | None:
    try:
        secret = _decoded(text)
    except binascii.Error:
        return "is not base64"
    return None if len(secret) == KEY_BYTES else f"has {len(secret)} bytes instead of {KEY_BYTES}"


def _mistake_in_days(days: int) -> str | None:
    return None if 0 <= days <= MAX_RETENTION_DAYS else f"is not between 0 and {MAX_RETENTION_DAYS}"


def _decoded(text: str) -> bytes:
    """Base64 of either alphabet (RFC 4648), with or without its padding."""
    standard = text.translate(str.maketrans("-_", "+/")).rstrip("=")
    return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)


@dataclass(frozen=True, slots=True)
class CheckpointConfig:
    """What the checkpoint service is told by its environment."""

    listen: str = field(env="TAOR_CHECKPOINT_LISTEN", help="host:port or unix:path to serve on")
    dsn: str = field(env="TAOR_CHECKPOINT_DSN", help="the PostgreSQL database of this service")
    token: str = field(env="TAOR_TOKEN", help="the bearer token that guards every call")
    master_key: str = field(
        env="TAOR_CHECKPOINT_MASTER_KEY",
        help="32 random bytes in base64 that wrap the keys of the projects; keep them as long as the database",
        check=_mistake_in_key,
    )
    pool_size: int = field(env="TAOR_CHECKPOINT_POOL_SIZE", help="database connections", default=8)
    retention_days: int = field(
        env="TAOR_CHECKPOINT_RETENTION_DAYS",
        help="days that the log of an ended build is kept; 0 keeps it for good",
        default=0,
        check=_mistake_in_days,
    )

    @property
    def master_secret(self) -> bytes:
        """The master key as bytes."""
        return _decoded(self.master_key)

    @property
    def retention(self) -> timedelta | None:
        """How long the log of an ended build is kept; None for good."""
        return timedelta(days=self.retention_days) if self.retention_days else None
