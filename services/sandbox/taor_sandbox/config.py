"""The settings of the sandbox service."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from taor_chassis.config import field


class BackendName(Enum):
    """Who runs the sandboxes."""

    LOCAL = "local"


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """Read from the environment at the start."""

    listen: str = field(env="TAOR_SANDBOX_LISTEN", help="host:port or unix:path to serve on")
    dsn: str = field(env="TAOR_SANDBOX_DSN", help="the service's own PostgreSQL database")
    token: str = field(env="TAOR_TOKEN", help="the bearer token that guards every call, and signs preview addresses")
    data: Path = field(env="TAOR_SANDBOX_DATA", help="folder of the local sandboxes")
    blobs: Path = field(env="TAOR_SANDBOX_BLOBS", help="folder of the snapshots' blobs")
    preview_listen: str = field(
        env="TAOR_SANDBOX_PREVIEW_LISTEN", help="host:port to serve previews on", default="127.0.0.1:0"
    )
    backend: BackendName = field(env="TAOR_SANDBOX_BACKEND", help="who runs the sandboxes", default=BackendName.LOCAL)
    uid: int = field(
        env="TAOR_SANDBOX_UID", help="first user id of local sandboxes, when the service runs as root", default=64001
    )
    pool_size: int = field(env="TAOR_SANDBOX_POOL_SIZE", help="database connections", default=8)
    creations: int = field(env="TAOR_SANDBOX_CREATIONS", help="sandboxes that are made at the same time", default=8)
    keep_minutes: int = field(
        env="TAOR_SANDBOX_KEEP_MINUTES", help="how long a sandbox stays for previews after the end", default=30
    )
