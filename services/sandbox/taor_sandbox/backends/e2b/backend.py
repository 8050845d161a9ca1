"""Sandboxes at E2B.

Traps that are answered here: the SDK repeats a create, so every create carries an idempotency key; a time-out kills
unless told to pause; a paused sandbox and a dead one look the same from the data side, so the control plane is asked.
"""

import asyncio
import hashlib
import logging
import re
from collections.abc import Sequence
from contextlib import suppress

from e2b import AsyncSandbox, SandboxInfo, SandboxQuery, SandboxState
from e2b.connection_config import ApiParams

from taor_chassis.clock import Clock, SystemClock
from taor_sandbox.backends.e2b.bridge import NotInstalled
from taor_sandbox.backends.e2b.installation import Toolbox, install
from taor_sandbox.backends.e2b.sandbox import E2BSandbox
from taor_sandbox.backends.e2b.settings import E2BSettings
from taor_sandbox.backends.e2b.troubles import patiently
from taor_sandbox.backends.errors import InvalidRequest, OtherRelease, SandboxGone, SandboxUnreachable
from taor_sandbox.backends.port import Limits, SandboxListing, SandboxStatus

OWNER, OWNER_VALUE = "owner", "taor"
KEY = "key"
_KEY_SHAPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}/[0-9]{1,10}")
_REBIRTHS = 8
"""How often a key can be used again after its sandbox is gone; a build's own keys never are."""
_PAGE = 100
_MOST_PAGES = 100
_END_SECONDS = 30.0
_POLL_SECONDS = 0.2
_ALL_TRAFFIC = "0.0.0.0/0"

_log = logging.getLogger(__name__)


class E2BBackend:
    """Implements `Backend`; make it with `open_backend`."""

    def __init__(self, settings: E2BSettings, toolbox: Toolbox, clock: Clock | None = None) -> None:
        self._settings = settings
        self._toolbox = toolbox
        self._clock = clock or SystemClock()
        self._options = options_of(settings)

    async def create(self, key: str, limits: Limits) -> E2BSandbox:
        """A sandbox of this name, with an empty workspace, or the one that has it."""
        if not _KEY_SHAPE.fullmatch(key):
            raise InvalidRequest(f"{key!r} is not build_id/generation")
        for found in await self._list({OWNER: OWNER_VALUE, KEY: key}):
            with suppress(SandboxGone):
                return await self._attach(found.sandbox_id, limits)
        for life in range(_REBIRTHS):
            with suppress(SandboxGone):
                return await self._furnish(await self._create(key, life), limits)
        raise SandboxUnreachable(f"every sandbox that was made for {key} is gone")

    async def attach(self, provider_id: str) -> E2BSandbox:
        """A handle on a sandbox; a paused one is resumed."""
        return await self._attach(provider_id, Limits())

    async def pause(self, provider_id: str, epoch: int, *, only_idle: bool = False) -> None:
        """End what runs inside, write the disk out, and pause: so a resume has nothing to lose but memory.

        E2B knows no epochs. Whoever stalls between the last two steps pauses what a newer owner has woken meanwhile:
        with its memory, so that his commands go on at his next call."""
        if (await self._info(provider_id)).state is SandboxState.PAUSED:
            return
        try:
            await self._quiet(provider_id, epoch, only_idle=only_idle)
        except OtherRelease:
            raise  # it may know a higher epoch, and cannot be asked
        except SandboxUnreachable as error:
            _log.warning("a sandbox is paused with its memory, for its agent was not reached", exc_info=error)
        await patiently(lambda: AsyncSandbox.pause(provider_id, **self._options))

    async def destroy(self, provider_id: str) -> None:
        """Kill it, and return when E2B does not know it any more."""
        await patiently(lambda: AsyncSandbox.kill(provider_id, **self._options))
        deadline = asyncio.get_running_loop().time() + _END_SECONDS
        while await self._exists(provider_id):
            if asyncio.get_running_loop().time() > deadline:
                raise SandboxUnreachable(f"E2B still knows {provider_id}, {_END_SECONDS:.0f} s after its end")
            await asyncio.sleep(_POLL_SECONDS)

    async def keepalive(self, provider_id: str) -> float | None:
        """Let it live for another while. What is paused stays so; what may not live longer is paused in time."""
        info = await self._info(provider_id)
        if info.state is not SandboxState.RUNNING:
            return None
        seconds = self._settings.lifetime_seconds
        await patiently(lambda: AsyncSandbox.set_timeout(provider_id, seconds, **self._options))
        return self._settings.longest_life_seconds - (self._clock.now() - info.started_at).total_seconds()

    async def list(self) -> Sequence[SandboxListing]:
        """Every sandbox that carries our name."""
        return [
            SandboxListing(
                info.sandbox_id,
                info.metadata.get(KEY, ""),
                SandboxStatus.PAUSED if info.state is SandboxState.PAUSED else SandboxStatus.RUNNING,
            )
            for info in await self._list({OWNER: OWNER_VALUE})
        ]

    async def close(self) -> None:
        """Nothing is held here: connections belong to the SDK, bridges to their handles."""

    async def _create(self, key: str, life: int) -> AsyncSandbox:
        settings = self._settings
        return await patiently(
            lambda: AsyncSandbox.create(
                settings.template,
                settings.lifetime_seconds,
                metadata={OWNER: OWNER_VALUE, KEY: key},
                lifecycle={"on_timeout": {"action": "pause"}, "auto_resume": False},
                network={
                    "allow_out": list(settings.allowed_hosts),
                    "deny_out": [_ALL_TRAFFIC],
                    "allow_public_traffic": False,
                },
                idempotency_key=hashlib.sha256(f"taor {key} {life}".encode()).hexdigest(),
                **self._options,
            )
        )

    async def _attach(self, provider_id: str, limits: Limits) -> E2BSandbox:
        seconds = self._settings.lifetime_seconds
        return await self._open(
            await patiently(lambda: AsyncSandbox.connect(provider_id, seconds, **self._options)), limits
        )

    async def _open(self, connected: AsyncSandbox, limits: Limits) -> E2BSandbox:
        """A handle on a sandbox that was found; raises SandboxGone when it is dead."""
        try:
            return await self._greet(connected)
        except NotInstalled:
            return await self._furnish(connected, limits)

    async def _furnish(self, connected: AsyncSandbox, limits: Limits) -> E2BSandbox:
        """A handle on a sandbox that was just made, by another release, or by one who died; raises SandboxGone."""
        try:
            await patiently(lambda: install(connected, self._toolbox, limits, self._settings.allowed_hosts))
        except SandboxUnreachable:
            await self._info(connected.sandbox_id)
            raise
        return await self._greet(connected)

    async def _greet(self, connected: AsyncSandbox) -> E2BSandbox:
        """A handle on a sandbox whose agent answers; raises SandboxGone when it is dead, and NotInstalled.

        Which of the two a 502 means, only the control plane knows. What runs and cannot be reached is waited for: a new
        sandbox would cost more, and run things again."""
        sandbox = E2BSandbox(connected, self._toolbox.library, self._settings.lease_seconds)
        for pause in self._settings.reaching_pauses_seconds:
            try:
                await sandbox.greet()
                return sandbox
            except OtherRelease:
                raise
            except SandboxUnreachable:
                if (await self._info(connected.sandbox_id)).state is not SandboxState.RUNNING:
                    raise
            await asyncio.sleep(pause)
        await sandbox.greet()
        return sandbox

    async def _quiet(self, provider_id: str, epoch: int, *, only_idle: bool) -> None:
        sandbox = await self._attach(provider_id, Limits())
        try:
            await sandbox.shut_down(epoch, only_idle=only_idle)
        finally:
            await sandbox.close()

    async def _info(self, provider_id: str) -> SandboxInfo:
        return await patiently(lambda: AsyncSandbox.get_info(provider_id, **self._options))

    async def _exists(self, provider_id: str) -> bool:
        try:
            await self._info(provider_id)
        except SandboxGone:
            return False
        return True

    async def _list(self, metadata: dict[str, str]) -> Sequence[SandboxInfo]:
        found: list[SandboxInfo] = []
        query = SandboxQuery(metadata=metadata, state=[SandboxState.RUNNING, SandboxState.PAUSED])
        pages = AsyncSandbox.list(query=query, limit=_PAGE, **self._options)
        for _ in range(_MOST_PAGES):
            if not pages.has_next:
                break
            found += await patiently(pages.next_items)
        return found


async def open_backend(settings: E2BSettings) -> E2BBackend:
    """A backend whose key was accepted; raises BackendUnavailable with the remedy."""
    backend = E2BBackend(settings, await asyncio.to_thread(Toolbox.pack))
    await backend.list()
    return backend


def options_of(settings: E2BSettings) -> ApiParams:
    """How the SDK finds the server; what is left out here it takes from its own defaults."""
    options = ApiParams(api_key=settings.api_key, request_timeout=settings.request_seconds)
    if settings.domain:
        options["domain"] = settings.domain
    if settings.api_url:
        options["api_url"] = settings.api_url
    if settings.sandbox_url:
        options["sandbox_url"] = settings.sandbox_url
    return options
