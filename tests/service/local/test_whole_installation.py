"""The real parts list: everything comes up, and comes back after all of it was killed at once."""

import signal
from collections.abc import Callable

from taor_local.composition import SERVICES
from taor_local.endpoints import Endpoints
from taor_local.options import Options
from taor_local.probes import GrpcHealthProbe, TcpProbe
from tests.support.installation import part_of, process_of
from tests.support.waiting import wait_until

PARTS = ("postgres", "model", *SERVICES)


async def test_the_services_serve_and_come_back_after_a_kill_of_all(
    installation_options: Options, running_installation: Endpoints
) -> None:
    await all_serve(running_installation)
    killed = [process_of(installation_options, name) for name in PARTS]
    for process in killed:
        process.send(signal.SIGKILL)
    wait_until(lambda: not any(process.is_alive() for process in killed), "all die")
    for name in PARTS:
        wait_until(is_back(installation_options, name), f"{name} comes back")
    await all_serve(running_installation)


def is_back(options: Options, name: str) -> Callable[[], bool]:
    """Tell whether a part serves again after a restart."""
    return lambda: (now := part_of(options, name)).ready and now.restarts >= 1


async def all_serve(endpoints: Endpoints) -> None:
    """Ask each service, the preview and the model."""
    for name in SERVICES:
        assert await GrpcHealthProbe(getattr(endpoints, name)).serves(), name
    assert await TcpProbe(endpoints.preview).serves()
    assert await TcpProbe(endpoints.model.removeprefix("http://")).serves()
