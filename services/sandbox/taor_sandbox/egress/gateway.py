"""The outlets of all sandboxes of a backend: one policy, one network."""

import socket
from collections.abc import Sequence

from taor_sandbox.egress.allowlist import AllowList
from taor_sandbox.egress.network import MachineNetwork, Network
from taor_sandbox.egress.outlet import Outlet
from taor_sandbox.egress.variables import proxy_variables


class Gateway:
    """Opens and closes outlets; where nothing is allowed there are none."""

    def __init__(self, allow: AllowList, network: Network | None = None) -> None:
        self._allow, self._network = allow, network or MachineNetwork()
        self._outlets: dict[str, Outlet] = {}

    @property
    def is_open(self) -> bool:
        """Whether anything may be reached at all."""
        return not self._allow.is_empty

    def environment(self) -> dict[str, str]:
        """What tells programs inside to use the proxy."""
        return proxy_variables() if self.is_open else {}

    async def serve(self, provider_id: str, listener: socket.socket) -> None:
        """Serve a sandbox through a socket that listens inside it."""
        outlet = self._outlets.setdefault(provider_id, Outlet(self._allow, self._network))
        await outlet.listen(listener)

    def refused(self, provider_id: str) -> Sequence[str]:
        """What this sandbox was refused since the last call."""
        outlet = self._outlets.get(provider_id)
        return outlet.refusals.take() if outlet else ()

    async def shut(self, provider_id: str) -> None:
        """Cut a sandbox off that is about to end."""
        if outlet := self._outlets.pop(provider_id, None):
            await outlet.close()

    async def close(self) -> None:
        """Cut every sandbox off."""
        for provider_id in list(self._outlets):
            await self.shut(provider_id)
