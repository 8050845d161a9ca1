"""What can go wrong around a build: a broken link, a killed or stopped process, a full disk. Each begins and ends."""

import contextlib
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from taor_local.folders import Folders
from tests.chaos.network import Network
from tests.support.cut_proxy import Fault
from tests.support.installation import part_of
from tests.support.small_disk import empty, fill

Step = Callable[[Network], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Disruption:
    """Something that goes wrong and, after a while, is right again."""

    name: str
    begin: Step
    end: Step
    link: str = ""
    """The way that it breaks, if it is one."""


def broken_link(link: str, fault: Fault) -> Disruption:
    """The way between two processes is broken."""
    return Disruption(f"{link} {fault.name}", partial(_set, link, fault), partial(_set, link, Fault.NONE), link)


def crashed(part: str) -> Disruption:
    """A process is killed; its supervisor starts it anew at once."""
    # PostgreSQL's "immediate" shutdown, as `pg_ctl stop -m immediate`: no checkpoint, it has to recover from its log.
    number = signal.SIGQUIT if part == "postgres" else signal.SIGKILL
    return Disruption(f"{part} crashed", partial(_signal, part, number), _nothing)


def stalled(part: str) -> Disruption:
    """A process stands still and comes back, knowing nothing of the time between."""
    return Disruption(f"{part} stalled", partial(_signal, part, signal.SIGSTOP), partial(_signal, part, signal.SIGCONT))


def full_disk(folder: str) -> Disruption:
    """The file system below one folder of the data has no free byte; see `small_disk`."""
    return Disruption(f"{folder} full", partial(_fill, folder), partial(_empty, folder))


async def _set(link: str, fault: Fault, network: Network) -> None:
    await network.proxies[link].set(fault)


async def _signal(part: str, number: signal.Signals, network: Network) -> None:
    process = part_of(network.options, part).process
    if process is None or not process.is_alive():  # another disruption may have ended it meanwhile
        return
    # PostgreSQL stands still only if those do that work for it; whatever it is told else, it tells them itself.
    is_told_alone = part != "postgres" or number not in (signal.SIGSTOP, signal.SIGCONT)
    family = () if is_told_alone else psutil.Process(process.pid).children(recursive=True)
    for pid in (process.pid, *(each.pid for each in family)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


async def _nothing(network: Network) -> None:
    """It is right again by itself."""


async def _fill(folder: str, network: Network) -> None:
    fill(_folder(network, folder))


async def _empty(folder: str, network: Network) -> None:
    empty(_folder(network, folder))


def _folder(network: Network, name: str) -> Path:
    return Folders(network.options.data).data / name
