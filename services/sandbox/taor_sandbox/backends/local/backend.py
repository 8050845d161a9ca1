"""Sandboxes on this machine. They protect it from its owner's own builds; strangers' code belongs elsewhere."""

import asyncio
import contextlib
import dataclasses
import errno
import os
import resource
from collections.abc import Iterator, Sequence
from pathlib import Path

from taor_sandbox.backends.errors import (
    BackendUnavailable,
    FileProblem,
    FileRefused,
    InvalidRequest,
    SandboxGone,
    SandboxUnreachable,
)
from taor_sandbox.backends.local import bwrap, selftest, toolbox
from taor_sandbox.backends.local.bwrap import Launcher, Variant
from taor_sandbox.backends.local.folder import Folder, Shelf, State, boot_id
from taor_sandbox.backends.local.launch import connect, ended
from taor_sandbox.backends.local.sandbox import LocalSandbox
from taor_sandbox.backends.local.watchdog import DiskWatchdog
from taor_sandbox.backends.local.wire import Link
from taor_sandbox.backends.port import Limits, SandboxListing, SandboxStatus
from taor_sandbox.egress.allowlist import AllowList
from taor_sandbox.egress.gateway import Gateway

FIRST_UID = 64_001
OWNERLESS_SECONDS = 60.0
_DESCRIPTORS = 65_536


class LocalBackend:
    """Implements `Backend`; make it with `open_backend`."""

    def __init__(self, shelf: Shelf, launcher: Launcher, first_uid: int, gateway: Gateway) -> None:
        self._shelf = shelf
        self._launcher = launcher
        self._first_uid = first_uid
        self._gateway = gateway
        self._watchdog = DiskWatchdog(shelf, launcher)

    @property
    def variant(self) -> Variant:
        """Who starts the sandboxes."""
        return self._launcher.variant

    async def start(self) -> None:
        """Prove that sandboxes work here, then begin to watch their disks; raises BackendUnavailable."""
        try:
            with _no_room_told():
                await self._prove()
        except FileRefused as error:
            raise BackendUnavailable(f"{error}: make room there") from error
        self._watchdog.start()

    async def _prove(self) -> None:
        # First: what a service that was killed has left there may be all that is in the way.
        await _delete(self._shelf.trash)
        self._shelf.lay()
        self._shelf.free_unused_uids()
        await selftest.check(self._shelf, self._launcher, self._first_uid if self._as_root else None)

    async def create(self, key: str, limits: Limits) -> LocalSandbox:
        """Lay the folder of a new key, then attach; raises FileRefused where the disk has no room."""
        folder = self._shelf.folder(key)
        with _no_room_told(), self._shelf.alone():
            try:
                folder.read_state()
            except SandboxGone:
                self._lay(folder, key, limits)
        return await self.attach(key)

    async def attach(self, provider_id: str) -> LocalSandbox:
        """Dial the agent, or start one over the files; after a restart of the machine they are not trusted.

        Raises FileRefused where an agent cannot be started, for the disk has no room."""
        self._launcher.reap()
        folder = self._found(provider_id)
        state = folder.read_state()
        if state.boot_id != boot_id():
            raise SandboxGone(f"the machine was restarted since {provider_id} was made")
        with _no_room_told():
            link = await connect(self._launcher, folder)
        sandbox = LocalSandbox(provider_id, state.boot_id, link, self._gateway)
        await sandbox.open_outlet()
        return sandbox

    async def pause(self, provider_id: str, epoch: int, *, only_idle: bool = False) -> None:
        """End the agent and all that it started; the folder stays."""
        async with ended(self._found(provider_id), epoch, only_idle=only_idle):
            self._launcher.reap()
            await self._gateway.shut(provider_id)

    async def destroy(self, provider_id: str) -> None:
        """End the agent, take the folder off the shelf in one step, delete it."""
        await self._gateway.shut(provider_id)
        try:
            folder = self._found(provider_id)
            uid = folder.read_state().uid
            async with ended(folder):
                rest = self._shelf.discard(folder)
        except SandboxGone:
            return
        self._launcher.reap()
        if rest is not None:
            await _delete(rest)
        if uid is not None:
            self._shelf.free_uid(uid)

    async def keepalive(self, provider_id: str) -> None:
        """An agent counts its minute from the last connection."""
        with contextlib.suppress(SandboxUnreachable):
            Link.connect(self._found(provider_id)).close()

    async def list(self) -> Sequence[SandboxListing]:
        """Read the shelf; running is what holds its lock."""
        return [_listing(folder) for folder in self._shelf.folders()]

    async def pause_all(self) -> None:
        """End every process of every sandbox, for a machine that is to be quiet; their files stay."""
        for folder in self._shelf.folders():
            async with ended(folder):
                self._launcher.reap()

    async def close(self) -> None:
        """Stop watching; agents live on, each for its ownerless time."""
        await self._watchdog.stop()
        await self._gateway.close()
        self._launcher.reap()

    def _found(self, provider_id: str) -> Folder:
        """The folder of a sandbox; raises SandboxGone for the name that another provider gave to one of its own."""
        try:
            return self._shelf.folder(provider_id)
        except InvalidRequest as error:
            raise SandboxGone(f"{provider_id} is no sandbox of this machine") from error

    def _lay(self, folder: Folder, key: str, limits: Limits) -> None:
        uid = self._shelf.take_uid(self._first_uid) if self._as_root else None
        try:
            folder.lay(State(key, boot_id(), uid, _within_service(limits)), bwrap.inside_uid(self.variant, uid))
        except OSError:
            self._shelf.clear(folder)
            if uid is not None:
                self._shelf.free_uid(uid)
            raise

    @property
    def _as_root(self) -> bool:
        return self.variant is Variant.ROOT


async def open_backend(
    root: Path,
    *,
    first_uid: int = FIRST_UID,
    ownerless_seconds: float = OWNERLESS_SECONDS,
    gateway: Gateway | None = None,
) -> LocalBackend:
    """A working local backend with its sandboxes below `root`; raises BackendUnavailable with the remedy.

    Started by root, each sandbox runs under a user id of its own from `first_uid` on. Without a gateway nothing inside
    reaches any network."""
    backend = await asyncio.to_thread(prepare, root, first_uid, ownerless_seconds, gateway)
    await backend.start()
    return backend


def prepare(
    root: Path,
    first_uid: int = FIRST_UID,
    ownerless_seconds: float = OWNERLESS_SECONDS,
    gateway: Gateway | None = None,
    agent: Path = toolbox.AGENT,
) -> LocalBackend:
    """A backend that was neither proved nor started: its folder laid, its tools found."""
    _raise_descriptor_limit()
    shelf = Shelf(root.resolve(), toolbox.release(agent))
    shelf.lay()
    variant = Variant.ROOT if os.geteuid() == 0 else Variant.USER
    tools = toolbox.prepare(shelf.root / ".toolbox", agent)
    gateway = gateway or Gateway(AllowList())
    launcher = Launcher(bwrap.find_bwrap(), variant, tools, ownerless_seconds, gateway.environment())
    return LocalBackend(shelf, launcher, first_uid, gateway)


@contextlib.contextmanager
def _no_room_told() -> Iterator[None]:
    """Raise FileRefused where the disk that the sandboxes share takes no more."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise FileRefused(FileProblem.NO_SPACE, f"the disk of the sandboxes is full: {error}") from error


def _raise_descriptor_limit() -> None:
    """Descriptors in flight count per user: with as few as a build may have, a build could stop this service."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _within_service(limits: Limits) -> Limits:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return dataclasses.replace(limits, open_files=min(limits.open_files, soft // 2))


def _listing(folder: Folder) -> SandboxListing:
    key = folder.read_state().key
    lock = folder.try_lock()
    if lock is None:
        return SandboxListing(key, key, SandboxStatus.RUNNING)
    os.close(lock)
    return SandboxListing(key, key, SandboxStatus.PAUSED)


async def _delete(path: Path) -> None:
    """Delete a tree that strangers built: of any depth, with folders that even their owner may not enter."""
    for command in (("rm", "-rf"), ("chmod", "-R", "u+rwX"), ("rm", "-rf")):
        process = await asyncio.create_subprocess_exec(
            *command, "--", str(path), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        if await process.wait() == 0 and command[0] == "rm":
            return
