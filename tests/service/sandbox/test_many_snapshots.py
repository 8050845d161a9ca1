"""Snapshots of many builds at once: a process works on two of them, and the others wait their turn."""

import asyncio
import os
from pathlib import Path

from tests.service.sandbox.harness import Harness

BUILDS = 4


class Gates:
    """Pipes in the place of stored contents: whoever reads one is held until it is let through."""

    def __init__(self, paths: list[Path]) -> None:
        self._contents = {path: path.read_bytes() for path in paths}
        self._held: dict[Path, int] = {}
        for path in paths:
            path.unlink()
            os.mkfifo(path)

    @property
    def left(self) -> int:
        """How many gates there still are."""
        return len(self._contents)

    def held(self) -> int:
        """How many readers stand at a gate now."""
        for path in self._contents.keys() - self._held.keys():
            try:
                self._held[path] = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
            except OSError:  # nobody reads there yet
                continue
        return len(self._held)

    def let_through(self) -> None:
        """Give every reader that is held what it came for; from then on there is a content again."""
        for path, writer in self._held.items():
            path.unlink()
            content = self._contents.pop(path)
            path.write_bytes(content)
            os.write(writer, content)
            os.close(writer)
        self._held.clear()


async def test_a_process_works_on_two_at_once(harness: Harness) -> None:
    """Before the walk, the manifest of the last snapshot is read: there the gates are."""
    builds = [harness, *(harness.beside() for _ in range(BUILDS - 1))]
    for build in builds:
        await build.attach()
        await build.write(1, "f", build.build_id)
        await build.snapshot()
        await build.write(2, "f", "")
    await harness.restart()  # a process that remembers no manifest
    for build in builds[1:]:
        build.stub = harness.stub
    gates = Gates([each for each in harness.config.blobs.glob("*/*/*") if each.read_bytes().startswith(b'["f","f",')])
    taking = [asyncio.ensure_future(build.snapshot()) for build in builds]
    most = 0
    while gates.left:
        await harness.until(lambda: _held(gates), lambda held: held >= min(2, gates.left))
        for _ in range(20):  # long enough for a third to come
            await harness.state()
            most = max(most, gates.held())
        gates.let_through()
    assert most == 2
    assert [each.covers_log_sequence for each in await asyncio.gather(*taking)] == [2] * BUILDS


async def _held(gates: Gates) -> int:
    return gates.held()
