"""The settings of the sandbox service."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from taor_chassis.config import field
from taor_sandbox.egress.allowlist import AllowList


class BackendName(Enum):
    """Who runs the sandboxes."""

    LOCAL = "local"
    E2B = "e2b"


def _allow_list(text: str) -> str | None:
    try:
        AllowList.parse(text)
    except ValueError as error:
        return str(error)
    return None


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """Read from the environment at the start."""

    listen: str = field(env="TAOR_SANDBOX_LISTEN", help="host:port or unix:path to serve on")
    dsn: str = field(env="TAOR_SANDBOX_DSN", help="the service's own PostgreSQL database")
    token: str = field(env="TAOR_TOKEN", help="the bearer token that guards every call, and signs preview addresses")
    data: Path = field(env="TAOR_SANDBOX_DATA", help="folder of the local sandboxes")
    blobs: Path = field(env="TAOR_SANDBOX_BLOBS", help="folder of the snapshots' contents, where no bucket is named")
    preview_listen: str = field(
        env="TAOR_SANDBOX_PREVIEW_LISTEN", help="host:port to serve previews on", default="127.0.0.1:0"
    )
    s3_bucket: str | None = field(
        env="TAOR_SANDBOX_S3_BUCKET", help="bucket of the snapshots' contents; boto3 finds the key", default=None
    )
    s3_endpoint: str | None = field(
        env="TAOR_SANDBOX_S3_ENDPOINT", help="URL of an S3 server other than Amazon's", default=None
    )
    s3_prefix: str = field(env="TAOR_SANDBOX_S3_PREFIX", help="what every key in the bucket begins with", default="")
    backend: BackendName = field(env="TAOR_SANDBOX_BACKEND", help="who runs the sandboxes", default=BackendName.LOCAL)
    uid: int = field(
        env="TAOR_SANDBOX_UID", help="first user id of local sandboxes, when the service runs as root", default=64001
    )
    most_files: int = field(
        env="TAOR_SANDBOX_MOST_FILES", help="files, folders and links that a local sandbox may have", default=1_000_000
    )
    e2b_api_key: str = field(env="E2B_API_KEY", help="E2B's key, where it runs the sandboxes", default="")
    e2b_domain: str = field(env="E2B_DOMAIN", help="domain of a self-hosted E2B", default="")
    e2b_api_url: str = field(env="E2B_API_URL", help="URL of a server that speaks E2B's REST interface", default="")
    e2b_sandbox_url: str = field(env="E2B_SANDBOX_URL", help="URL of its sandboxes, where it is another", default="")
    e2b_template: str = field(env="TAOR_SANDBOX_E2B_TEMPLATE", help="template of E2B sandboxes", default="base")
    e2b_lifetime_seconds: int = field(
        env="TAOR_SANDBOX_E2B_LIFETIME_SECONDS", help="after so long without this service E2B pauses", default=900
    )
    e2b_longest_life_seconds: int = field(
        env="TAOR_SANDBOX_E2B_LONGEST_LIFE_SECONDS",
        help="how long E2B's plan lets a sandbox run between two sleeps",
        default=86_400,
    )
    round_seconds: float = field(
        env="TAOR_SANDBOX_ROUND_SECONDS", help="pause between two looks after all sandboxes", default=30.0
    )
    rotation_margin_seconds: int = field(
        env="TAOR_SANDBOX_ROTATION_MARGIN_SECONDS",
        help="so long before a provider stops a sandbox, a quiet moment is taken to renew its life",
        default=600,
    )
    egress_allow: str = field(
        env="TAOR_SANDBOX_EGRESS_ALLOW",
        help="hosts that commands may reach, with commas: names, *.suffixes, and the group git",
        default="",
        check=_allow_list,
    )
    browser: str = field(
        env="TAOR_SANDBOX_BROWSER", help="the browser inside for screenshots; else one on its PATH is taken", default=""
    )
    pool_size: int = field(env="TAOR_SANDBOX_POOL_SIZE", help="database connections", default=8)
    creations: int = field(env="TAOR_SANDBOX_CREATIONS", help="sandboxes that are made at the same time", default=8)
    keep_minutes: int = field(
        env="TAOR_SANDBOX_KEEP_MINUTES", help="how long a sandbox stays for previews after the end", default=30
    )

    def __post_init__(self) -> None:
        """E2B lets nobody in without a key."""
        if self.backend is BackendName.E2B and not self.e2b_api_key:
            raise ValueError("E2B_API_KEY is needed where TAOR_SANDBOX_BACKEND is e2b")
