"""A freeze that ends with whoever asked for it, also when nobody can tell us that he is gone."""

import os
import select

from taor_sandbox.agent.messages import Freeze, Refused, Thaw
from taor_sandbox.backends.e2b.inside.frames import emit
from taor_sandbox.backends.e2b.inside.link import Link
from taor_sandbox.backends.e2b.inside.requests import Hold

THAW = b"thaw\n"
STILL_HERE = b"hold\n"
_STDIN = 0


def hold(link: Link, request: Hold) -> None:
    """Freeze; every line renews the lease, silence ends it. The agent thaws when this connection ends."""
    reply, _ = link.ask(Freeze())
    emit(reply)
    if isinstance(reply, Refused):
        return
    while select.select([_STDIN], [], [], request.lease_seconds)[0]:
        line = os.read(_STDIN, 4096)
        if line.endswith(THAW):
            emit(link.ask(Thaw())[0])
            return
        if not line:
            return
