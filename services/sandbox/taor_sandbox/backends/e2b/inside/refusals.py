"""The teller as the bridge sees it: started where anything may be reached at all, asked at the end of a command."""

import json
import os
import socket
import sys

from taor_sandbox.agent.processes import BRIDGE_VARIABLE
from taor_sandbox.backends.e2b.inside import layout
from taor_sandbox.backends.e2b.inside.frames import Told, emit
from taor_sandbox.egress.variables import PORT

TELLER = "teller"
"""The bridge's argument that makes it the teller."""
TELLER_VARIABLE = "TAOR_TELLER"
_BACKLOG = 64
_ASK_SECONDS = 2.0
_ANSWER_BYTES = 8192


def allowed() -> str:
    """The allow-list that the sandbox was made with; "" where nothing may be reached, and nobody needs a teller."""
    try:
        with open(layout.ALLOWED, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def start_teller() -> None:
    """Start it unless one lives, which has the port. Both sockets listen before anybody can ask."""
    if not (hosts := allowed()):
        return
    try:
        listener = socket.create_server(("127.0.0.1", PORT), backlog=_BACKLOG)
    except OSError:
        return
    with listener, _door() as door:
        for each in (listener, door):
            os.set_inheritable(each.fileno(), True)
        argv = [sys.executable, "-I", "-S", layout.library(), TELLER, str(listener.fileno()), str(door.fileno()), hosts]
        # Marked as a bridge: a freeze must not stop it, for helpers that end meanwhile ask it.
        env = {TELLER_VARIABLE: "1", BRIDGE_VARIABLE: "1"}
        log = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        stdio = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, layout.TELLER_LOG, log, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        os.posix_spawn(sys.executable, argv, env, file_actions=stdio, setsid=True)


def tell(asker: str) -> None:
    """Emit what was refused, if anything was. A teller that a command has ended is started again for the next one."""
    if not os.path.exists(layout.ALLOWED):
        return
    try:
        hosts = _ask(asker)
    except (FileNotFoundError, ConnectionRefusedError):
        start_teller()
    except (OSError, ValueError):  # a command can stop it, or stand in for it
        return
    else:
        if hosts:
            emit(Told(hosts))


def _ask(asker: str) -> list[str]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        door.settimeout(_ASK_SECONDS)
        door.connect(layout.DOOR)
        door.sendall(f"{asker}\n".encode())
        answer = b""
        while len(answer) < _ANSWER_BYTES and (piece := door.recv(_ANSWER_BYTES)):
            answer += piece
    return [str(host) for host in json.loads(answer)]


def _door() -> socket.socket:
    if os.path.exists(layout.DOOR):
        os.unlink(layout.DOOR)
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    door.bind(layout.DOOR)
    door.listen(_BACKLOG)
    return door
