"""The port to the internet, and the adapter that takes the machine's own network."""

import asyncio
import contextlib
import socket
from collections.abc import Sequence
from typing import Protocol, TypeAlias

Connection: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_BUFFER_BYTES = 256 * 1024


class Network(Protocol):
    """Finds hosts and connects to them."""

    async def resolve(self, host: str) -> Sequence[str]:
        """The addresses of a host, best first; none when it is not known."""
        ...

    def is_own(self, address: str) -> bool:
        """Whether the address is this machine's."""
        ...

    async def dial(self, address: str, port: int) -> Connection:
        """A connection to exactly this address; raises OSError."""
        ...


class MachineNetwork(Network):
    """Asks the resolver of this machine."""

    async def resolve(self, host: str) -> Sequence[str]:
        """By getaddrinfo, in its order."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except OSError:
            return ()
        return [str(sockaddr[0]) for *_, sockaddr in found]

    def is_own(self, address: str) -> bool:
        """Only to an address of one's own can a socket be bound."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
            probe.bind((address, 0))
            return True
        return False

    async def dial(self, address: str, port: int) -> Connection:
        """A TCP connection; the address is not looked up again."""
        return await asyncio.open_connection(address, port, limit=_BUFFER_BYTES)
