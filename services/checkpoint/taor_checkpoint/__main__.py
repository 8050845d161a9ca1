"""`python -m taor_checkpoint serve | migrate`."""

import sys

from taor_chassis.main import run
from taor_checkpoint.app import app
from taor_checkpoint.config import CheckpointConfig

if __name__ == "__main__":
    sys.exit(run("checkpoint", CheckpointConfig, app))
