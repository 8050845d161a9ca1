"""Where things stand inside an E2B sandbox."""

import os
import sys

ROOT = "/var/lib/taor"
JOURNAL = f"{ROOT}/journal"
LIBRARIES = f"{ROOT}/lib-"
"""Before the release of a library: several may stand side by side, each with its own bridge."""
UPLOADS = f"{ROOT}/uploads"
LOCK = f"{ROOT}/agent.lock"
LOG = f"{ROOT}/agent.log"
ALLOWED = f"{ROOT}/allowed"
"""The hosts that commands may reach, as the service's setting has them; missing where there are none."""
DOOR = f"{ROOT}/teller.sock"
TELLER_LOG = f"{ROOT}/teller.log"


def socket_of(agent: str) -> str:
    """Where an agent of this release listens."""
    return f"{ROOT}/agent-{agent}.sock"


def sockets() -> list[str]:
    """Of agents of every release; at most one of them is alive, the one that has the lock."""
    return [f"{ROOT}/{name}" for name in os.listdir(ROOT) if name.startswith("agent") and name.endswith(".sock")]


def config_of(agent: str) -> str:
    """The settings of an agent of this release."""
    return f"{ROOT}/agent-{agent}.json"


def library() -> str:
    """The library that this process runs from."""
    return sys.argv[0]
