"""What runs of a background command and on which ports it listens, seen from inside the sandbox."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from taor_sandbox.backends.port import Sandbox

WAIT_SECONDS = 2.0
"""How long the call that starts a command waits for its first port; a server is there by then, a watcher never is."""
_MOST = 8


@dataclass(frozen=True, slots=True)
class Running:
    """What a background command has running; nothing once it is over with all that it started."""

    processes: Sequence[int]
    ports: Sequence[int]


async def running(sandbox: Sandbox, op_id: str) -> Running:
    """What runs of a command, as soon as it has a port; without ports when it opens none in time, or has ended."""
    script = files("taor_sandbox.tools").joinpath("listening.py").read_text("utf-8")
    argv = ["python3", "-I", "-S", "-B", "-c", script, op_id, str(WAIT_SECONDS)]
    told = (await sandbox.run(argv, output_bytes=4096)).stdout.decode(errors="replace").splitlines()
    return Running(_numbers(told, "process"), _numbers(told, "port"))


def _numbers(told: Sequence[str], what: str) -> Sequence[int]:
    found = (line.removeprefix(f"{what} ") for line in told if line.startswith(f"{what} "))
    return [int(number) for number in found if number.isdigit()][:_MOST]
