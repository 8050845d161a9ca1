"""The orchestrator's configuration, from the environment."""

from __future__ import annotations

from dataclasses import dataclass

from taor_chassis.config import field


@dataclass(frozen=True, slots=True)
class OrchestratorConfig:
    """What the orchestrator has to know before it starts."""

    listen: str = field(env="TAOR_ORCHESTRATOR_LISTEN", help="host:port or unix:path to serve on")
    dsn: str = field(env="TAOR_ORCHESTRATOR_DSN", help="the orchestrator's own database")
    token: str = field(env="TAOR_TOKEN", help="the bearer token that guards every call")
    budget: str = field(env="TAOR_BUDGET_TARGET", help="where the budget service listens")
    checkpoint: str = field(env="TAOR_CHECKPOINT_TARGET", help="where the checkpoint service listens")
    sandbox: str = field(env="TAOR_SANDBOX_TARGET", help="where the sandbox service listens")
    model_key: str = field(env="ANTHROPIC_API_KEY", help="the key of the model's provider")
    model_url: str = field(env="ANTHROPIC_BASE_URL", help="a compatible server; empty for the provider's", default="")
    pool_size: int = field(env="TAOR_ORCHESTRATOR_POOL_SIZE", help="database connections", default=8)
    slots: int = field(env="TAOR_ORCHESTRATOR_SLOTS", help="builds that this process works on at once", default=500)
