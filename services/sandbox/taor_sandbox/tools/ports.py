"""Which ports a background command listens on, seen from inside the sandbox."""

from collections.abc import Sequence
from importlib.resources import files

from taor_sandbox.backends.port import Sandbox

WAIT_SECONDS = 2.0
"""How long the call that starts a command waits for its first port; a server is there by then, a watcher never is."""
_MOST = 8


async def first_ports(sandbox: Sandbox, op_id: str) -> Sequence[int]:
    """The ports of a running command as soon as it has any; none when it opens none in time, or ends."""
    script = files("taor_sandbox.tools").joinpath("listening.py").read_text("utf-8")
    argv = ["python3", "-I", "-S", "-B", "-c", script, op_id, str(WAIT_SECONDS)]
    found = await sandbox.run(argv, output_bytes=4096)
    return [int(line) for line in found.stdout.split() if line.isdigit()][:_MOST]
