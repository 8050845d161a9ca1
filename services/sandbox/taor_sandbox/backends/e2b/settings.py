"""How to reach E2B, and what every sandbox there is given."""

from dataclasses import dataclass

from taor_sandbox.config import SandboxConfig
from taor_sandbox.egress.allowlist import AllowList

PAUSES_SECONDS = (0.1, 0.5, 2.0)
"""Before each repetition of what may be repeated."""
BUSY_PAUSES_SECONDS = (*PAUSES_SECONDS, 4.0, 8.0, 16.0, 30.0)
"""As above, where E2B says itself that it takes no calls for now: a minute's wait is cheaper than a new sandbox."""


@dataclass(frozen=True, slots=True)
class E2BSettings:
    """Empty texts leave the choice to the SDK."""

    api_key: str
    domain: str = ""
    """Of a self-hosted E2B: its addresses are `api.DOMAIN`, and `49983-SANDBOX_ID.DOMAIN` for each sandbox."""
    api_url: str = ""
    sandbox_url: str = ""
    template: str = "base"
    lifetime_seconds: int = 900
    """How long a sandbox lives after the last sign of life of this service; then it is paused, not killed."""
    longest_life_seconds: int = 86_400
    """How long E2B lets a sandbox run between two sleeps, however often it is asked for more; then it is paused too."""
    allowed_hosts: tuple[str, ...] = ()
    """Where commands may connect to; `*.` before a name allows what is below it."""
    request_seconds: float = 60.0
    lease_seconds: float = 20.0
    """How long a freeze outlives the last sign of life of whoever holds it, and a follower bears a silence."""
    reaching_pauses_seconds: tuple[float, ...] = BUSY_PAUSES_SECONDS
    """Between the attempts to reach a sandbox that E2B says runs."""


def settings_of(config: SandboxConfig) -> E2BSettings:
    """The part of the service's settings that is about E2B."""
    return E2BSettings(
        api_key=config.e2b_api_key,
        domain=config.e2b_domain,
        api_url=config.e2b_api_url,
        sandbox_url=config.e2b_sandbox_url,
        template=config.e2b_template,
        lifetime_seconds=config.e2b_lifetime_seconds,
        longest_life_seconds=config.e2b_longest_life_seconds,
        allowed_hosts=AllowList.parse(config.egress_allow).entries,
    )
