"""All sandboxes of the simulator: made once per idempotency key, found by id, ended in time."""

from __future__ import annotations

import asyncio
import datetime as dt
import secrets
from collections import OrderedDict
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from taor_e2b_simulator import view
from taor_e2b_simulator.errors import Refused
from taor_e2b_simulator.faults import FaultKind, Faults
from taor_e2b_simulator.machine import Machine
from taor_e2b_simulator.sandbox import Order, Sandbox, State, copy

MAX_SANDBOXES = 200
MAX_REMEMBERED_KEYS = 10_000
TMP_BYTES = 512 * 1024**2
LONGEST_LIFE = dt.timedelta(days=1)
"""How long a sandbox may run between two sleeps, however often it is asked for more; one hour on E2B's free plan."""


@dataclass(frozen=True, slots=True)
class _Made:
    """What an idempotency key has made."""

    order: Order
    sandbox: asyncio.Future[Sandbox]


class Shelf:
    """Sandboxes below one folder, gone with the simulator."""

    def __init__(self, root: Path, faults: Faults, tmp_bytes: int = TMP_BYTES) -> None:
        self._root = root
        self._faults = faults
        self._tmp_bytes = tmp_bytes
        self._sandboxes: dict[str, Sandbox] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._made: OrderedDict[str, _Made] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    def __iter__(self) -> Iterator[Sandbox]:
        return iter(list(self._sandboxes.values()))

    def find(self, sandbox_id: str) -> Sandbox:
        """A sandbox that exists; raises Refused 404."""
        try:
            return self._sandboxes[sandbox_id]
        except KeyError:
            raise Refused(404, f"Sandbox {sandbox_id} not found") from None

    def running(self, sandbox_id: str) -> Sandbox:
        """A sandbox that runs; raises Refused 502 in the same words for a paused one and for one that is gone."""
        sandbox = self._sandboxes.get(sandbox_id)
        if sandbox is None or sandbox.state is not State.RUNNING:
            raise Refused(502, "The sandbox was not found")
        return sandbox

    async def create(self, order: Order, key: str | None) -> Sandbox:
        """A new sandbox, or the one that this idempotency key has made; raises Refused when the orders differ."""
        if key is None:
            return await self._make(order)
        if key not in self._made:
            self._made[key] = _Made(order, asyncio.ensure_future(self._make(order)))
            if len(self._made) > MAX_REMEMBERED_KEYS:
                self._made.popitem(last=False)
        made = self._made[key]
        if made.order != order:
            raise Refused(422, "the idempotency key belongs to another request", "idempotency_request_mismatch")
        return await asyncio.shield(made.sandbox)

    async def destroy(self, sandbox: Sandbox) -> None:
        """End it and delete its files."""
        self._disarm(sandbox)
        self._sandboxes.pop(sandbox.sandbox_id, None)
        await sandbox.destroy()

    async def pause(self, sandbox: Sandbox, *, memory: bool) -> None:
        """Pause it, unless a fault says how it goes wrong; raises Refused 409 when it is paused already."""
        fault = self._faults.strike(f"/sandboxes/{sandbox.sandbox_id}/pause", (FaultKind.LOST_CHANGES,))
        await sandbox.pause(memory=memory, loses_changes=fault is not None)
        self._disarm(sandbox)

    async def resume(self, sandbox: Sandbox, timeout_seconds: float, *, memory: bool) -> bool:
        """Let it run for at least so long; True when it was paused."""
        resumed = await sandbox.resume(memory=memory)
        ends_at = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=timeout_seconds)
        if resumed or ends_at > sandbox.ends_at:
            self.end_in(sandbox, timeout_seconds)
        return resumed

    def end_in(self, sandbox: Sandbox, seconds: float) -> None:
        """Set its time-out anew, counted from now, or from its last start for as long as any may run."""
        self._disarm(sandbox)
        now = dt.datetime.now(dt.UTC)
        sandbox.ends_at = min(now + dt.timedelta(seconds=seconds), sandbox.started_at + LONGEST_LIFE)
        left = max(0.0, (sandbox.ends_at - now).total_seconds())
        self._timers[sandbox.sandbox_id] = asyncio.get_running_loop().call_later(left, self._time_out, sandbox)

    async def close(self) -> None:
        """Destroy everything."""
        for timer in self._timers.values():
            timer.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for sandbox in self:
            await self.destroy(sandbox)

    async def _make(self, order: Order) -> Sandbox:
        if len(self._sandboxes) >= MAX_SANDBOXES:
            raise Refused(429, "too many sandboxes")
        sandbox_id = f"i{secrets.token_hex(10)}"
        folder = self._root / sandbox_id
        view.lay(folder)
        await copy(folder / "disk", folder / "saved")
        machine = await Machine.boot(folder, self._tmp_bytes)
        sandbox = Sandbox(sandbox_id, folder, order, machine, self._tmp_bytes)
        self._sandboxes[sandbox_id] = sandbox
        self.end_in(sandbox, order.timeout_seconds)
        return sandbox

    def _time_out(self, sandbox: Sandbox) -> None:
        work = self._pause_in_time(sandbox) if sandbox.order.pauses_on_timeout else self.destroy(sandbox)
        self._spawn(work)

    async def _pause_in_time(self, sandbox: Sandbox) -> None:
        with suppress(Refused):
            await self.pause(sandbox, memory=True)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _disarm(self, sandbox: Sandbox) -> None:
        if (timer := self._timers.pop(sandbox.sandbox_id, None)) is not None:
            timer.cancel()
