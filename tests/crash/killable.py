"""`python -m tests.crash.killable FOLDER SERVICE ARGUMENT…`: runs a service as it is, with its boundaries watched."""

import runpy
import sys
from pathlib import Path

from tests.crash.boundaries import install


def main() -> None:
    """Install the boundaries, then become the service."""
    folder, service, *arguments = sys.argv[1:]
    install(service, Path(folder))
    sys.argv = [f"taor_{service}", *arguments]
    runpy.run_module(f"taor_{service}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
