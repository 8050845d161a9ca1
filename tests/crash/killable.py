"""`python -m tests.crash.killable FOLDER SERVICE ARGUMENT…`: runs a service as it is, with its boundaries watched.

And with its sandboxes lost, when a test wants that."""

import runpy
import sys
from pathlib import Path

from tests.crash import boundaries, losses


def main() -> None:
    """Wrap what is to be watched or broken, then become the service."""
    folder, service, *arguments = sys.argv[1:]
    boundaries.install(service, Path(folder))
    losses.install(service, Path(folder))
    sys.argv = [f"taor_{service}", *arguments]
    runpy.run_module(f"taor_{service}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
