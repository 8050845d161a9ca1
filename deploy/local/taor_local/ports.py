"""Are our ports free?"""

import socket
from collections.abc import Iterable

from taor_local.errors import PortInUseError


def require_free(addresses: Iterable[str]) -> None:
    """Try each host:port. Raises PortInUseError for the first one that somebody listens on."""
    for address in addresses:
        host, _, port = address.rpartition(":")
        with socket.socket() as probe:
            # A connection of an earlier run in TIME_WAIT does not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, int(port)))
            except OSError as error:
                raise PortInUseError(int(port)) from error
