"""`python -m taor_orchestrator serve | migrate`."""

from taor_chassis.main import run
from taor_orchestrator.app import app
from taor_orchestrator.config import OrchestratorConfig

raise SystemExit(run("orchestrator", OrchestratorConfig, app))
