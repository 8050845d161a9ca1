"""From the bridge's program to the agent's: apart, because the agent's modules would cost every bridge its time."""

import ctypes
import json

from taor_sandbox.agent.config import Config
from taor_sandbox.agent.main import main

_PR_SET_CHILD_SUBREAPER = 36


def become_agent(listener_fd: int, lock_fd: int, config: str) -> None:
    """Serve until shut down. Not the first process here: without this what a shell leaves would be nobody's child."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    main(listener_fd, lock_fd, Config(*json.loads(config)))
