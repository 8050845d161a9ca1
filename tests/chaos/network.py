"""An installation whose services reach each other, the model and PostgreSQL through proxies that can be broken."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from taor_cli.clients import Clients, connect
from taor_cli.endpoints import Wanted, resolve
from taor_local.composition import SERVICES
from taor_local.endpoints import plan_endpoints
from taor_local.folders import SOCKET_NAME, Folders
from taor_local.installation import ensure_up
from taor_local.options import Options
from tests.chaos.supervisor import PROGRAM, detours_file
from tests.crash.supervisor import boundaries_folder
from tests.crash.sweep import SCRIPTS, Rig
from tests.support.cut_proxy import UNIX, CutProxy, cut_proxy
from tests.support.installation import temporary_installation

CALLED = ("budget", "checkpoint", "sandbox", "model")
LINKS = (*(f"orchestrator-{name}" for name in CALLED), *(f"{service}-database" for service in SERVICES))


@dataclass(frozen=True, slots=True)
class Network:
    """A running installation, and the proxy of each of its `LINKS`."""

    options: Options
    clients: Clients
    rig: Rig
    proxies: Mapping[str, CutProxy]


def no_disk(options: Options) -> AbstractContextManager[None]:
    """Everything lies where it always does."""
    return nullcontext()


@asynccontextmanager
async def running_network(disk: Callable[[Options], AbstractContextManager[None]] = no_disk) -> AsyncIterator[Network]:
    """A fresh installation with a proxy in every link; `disk` may mount something in its data folder before."""
    with (
        pytest.MonkeyPatch.context() as patch,
        tempfile.TemporaryDirectory(prefix="taor-links-") as links,
        temporary_installation() as options,
        disk(options),
    ):
        patch.setenv("TAOR_MODEL_SCRIPTS", str(SCRIPTS))
        async with AsyncExitStack() as stack:
            proxies = await _lay_detours(stack, options, Path(links))
            await asyncio.to_thread(ensure_up, options, lambda _: None, program=PROGRAM)
            endpoints = resolve(Wanted(data=options.data))
            clients = await stack.enter_async_context(connect(endpoints))
            yield Network(options, clients, Rig(endpoints, clients, boundaries_folder(options.data)), proxies)


async def _lay_detours(stack: AsyncExitStack, options: Options, links: Path) -> Mapping[str, CutProxy]:
    folders = Folders(options.data)
    endpoints = plan_endpoints(folders, options.base_port, {})
    proxies: dict[str, CutProxy] = {}
    detours: list[tuple[str, str, str]] = []
    for name in CALLED:
        address = getattr(endpoints, name).removeprefix("http://")
        proxies[f"orchestrator-{name}"], proxy_address = await stack.enter_async_context(cut_proxy(address))
        detours.append(("orchestrator", address, proxy_address))
    for service in SERVICES:
        folder = links / service
        folder.mkdir()
        proxy = cut_proxy(f"{UNIX}{folders.socket_folder() / SOCKET_NAME}", f"{UNIX}{folder / SOCKET_NAME}")
        proxies[f"{service}-database"], _ = await stack.enter_async_context(proxy)
        detours.append((service, quote(str(folders.socket_folder())), quote(str(folder))))
    detours_file(options.data).write_text(json.dumps(detours))
    return proxies
