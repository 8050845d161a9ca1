"""The large sizes of the protocol's models, explored beside a sweep, which mostly waits."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.model.experiments import EXPERIMENTS

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Explored:
    """What came of one model."""

    name: str
    is_sound: bool
    lines: Sequence[str]


async def explore() -> Sequence[Explored]:
    """All models, one after the other, in processes of their own."""
    return [await _explore(name) for name in EXPERIMENTS]


async def _explore(name: str) -> Explored:
    command = ("nice", "-n", "10", sys.executable, "-m", "tests.model", name, "large")
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Explored(name, process.returncode == 0, said.decode().splitlines())
