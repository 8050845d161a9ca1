"""`python -m taor_sandbox serve | migrate`."""

import sys

from taor_chassis.main import run
from taor_sandbox.app import application
from taor_sandbox.config import SandboxConfig

if __name__ == "__main__":
    sys.exit(run("sandbox", SandboxConfig, application))
