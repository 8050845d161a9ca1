"""The detached supervisor: `python -m taor_local --data DIR --base-port N`, started by `installation.ensure_up`."""

import argparse
import logging
import os
import sys
from pathlib import Path

from taor_local.composition import compose
from taor_local.endpoints import plan_endpoints
from taor_local.folders import Folders
from taor_local.options import DEFAULT_BASE_PORT
from taor_local.session import supervise


def main() -> int:
    """Run the installation until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m taor_local", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--base-port", type=int, default=DEFAULT_BASE_PORT)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    os.chdir("/")
    folders = Folders(arguments.data)
    endpoints = plan_endpoints(folders, arguments.base_port, os.environ)
    return supervise(folders, endpoints, lambda: compose(folders, endpoints, os.environ))


if __name__ == "__main__":
    sys.exit(main())
