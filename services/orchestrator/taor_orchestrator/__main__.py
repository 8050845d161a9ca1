"""`python -m taor_orchestrator serve | migrate`."""

import sys

from taor_chassis.main import run
from taor_orchestrator.app import app
from taor_orchestrator.config import OrchestratorConfig

if __name__ == "__main__":
    sys.exit(run("orchestrator", OrchestratorConfig, app))
