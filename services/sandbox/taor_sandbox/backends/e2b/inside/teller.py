"""The teller: a proxy on the sandbox's own loopback that knows the allow-list, so that what is refused can be named.

E2B's firewall is the wall, and tells nobody. This one is a guide for programs that take the proxy they are told of: it
refuses in the words of the service's own gateway, connects to the very address that it has looked at, and remembers.
A command can go around it or end it, and then meets the firewall.
"""

import asyncio
import json
import socket

from taor_sandbox.egress.allowlist import AllowList
from taor_sandbox.egress.network import MachineNetwork
from taor_sandbox.egress.outlet import Outlet
from taor_sandbox.egress.refusals import Refusals

_ASK_SECONDS = 2.0


class Book:
    """What was refused, told to whoever asks for a command or a helper; to the same one again, when he asks again."""

    def __init__(self, refusals: Refusals) -> None:
        self._refusals = refusals
        self._asker, self._told = "", list[str]()

    def told(self, asker: str) -> list[str]:
        """What was refused since somebody else has asked: an answer that got lost loses nothing."""
        if asker != self._asker:
            self._asker, self._told = asker, []
        self._told = list(dict.fromkeys([*self._told, *self._refusals.take()]))
        return self._told

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection: a line with the asker's name, an array of hosts back."""
        try:
            async with asyncio.timeout(_ASK_SECONDS):
                line = await reader.readline()
            writer.write(json.dumps(self.told(line.decode().strip())).encode())
            await writer.drain()
        except (OSError, ValueError, TimeoutError):
            return  # whoever asked is gone, or says what is no name
        finally:
            writer.close()


def become_teller(listener_fd: int, door_fd: int, allowed: str) -> None:
    """Serve until killed: with the agent, or by a command."""
    asyncio.run(_serve(socket.socket(fileno=listener_fd), socket.socket(fileno=door_fd), AllowList.parse(allowed)))


async def _serve(listener: socket.socket, door: socket.socket, allow: AllowList) -> None:
    for each in (listener, door):
        each.setblocking(False)
    outlet = Outlet(allow, MachineNetwork())
    await outlet.listen(listener)
    async with await asyncio.start_unix_server(Book(outlet.refusals).answer, sock=door) as server:
        await server.serve_forever()
