"""Limits that no rlimit keeps: time and output of a command; memory, processes and files in memory of the sandbox.

Each look costs something and an idle server may live for days, so the next look comes when trouble could be there:
memory when the fastest growth that we know of could have reached the limit, output and files ever later while they do
not grow.
"""

import math
import os
import time
from collections.abc import Collection

from taor_sandbox.agent import processes, segments
from taor_sandbox.agent.config import Config
from taor_sandbox.agent.running import Running

_SOON_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 2.0
_LONGEST_BLINK_SECONDS = 0.5
"""A look at files in memory costs microseconds, and they come by the quarter million in a second."""
_FASTEST_GROWTH_BYTES_PER_SECOND = 2 * 1024**3


class Watch:
    """Kills what is over a limit, and knows when to look again."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._usage_at = math.inf
        self._output_at = math.inf
        self._output_pause = _SOON_SECONDS
        self._output_seen = 0
        self._files_at = math.inf
        self._files_pause = _SOON_SECONDS
        self._files_seen: dict[str, int] = {}
        self._files_grow_on = False

    def begin(self) -> None:
        """Something has been started: look soon."""
        soon = time.monotonic() + _SOON_SECONDS
        self._output_pause = self._files_pause = _SOON_SECONDS
        self._usage_at, self._output_at = min(self._usage_at, soon), min(self._output_at, soon)
        self._files_at = min(self._files_at, soon)

    def pause_seconds(self, commands: Collection[Running]) -> float | None:
        """How long the agent may sleep; None when nothing is there to be watched."""
        deadlines = (command.deadline for command in commands if command.deadline is not None)
        earliest = min(self._usage_at, self._output_at, self._files_at, *deadlines)
        return None if earliest == math.inf else max(0.0, earliest - time.monotonic())

    def look(self, commands: Collection[Running]) -> None:
        """Make every check that is due."""
        now = time.monotonic()
        for command in commands:
            if command.deadline is not None and now >= command.deadline:
                command.kill("TIMEOUT")
        if now >= self._output_at:
            self._check_outputs(commands, now)
        if now >= self._files_at:
            self._check_files(commands, now)
        if now >= self._usage_at:
            self._check_usage(commands, now)

    def _check_outputs(self, commands: Collection[Running], now: float) -> None:
        seen = 0
        for command in commands:
            seen += sum(command.output_sizes())
            if command.is_over_output():
                command.kill("OUTPUT_LIMIT")
        grew, self._output_seen = seen > self._output_seen, seen
        self._output_pause = _SOON_SECONDS if grew else min(self._output_pause * 2, _LONGEST_PAUSE_SECONDS)
        self._output_at = now + self._output_pause if commands else math.inf

    def _check_files(self, commands: Collection[Running], now: float) -> None:
        """Nobody can tell who makes a file: all commands end, and all else too if that was not it.

        What stands there harms nobody who makes no more, for else nobody could remove it."""
        used = _count(self._config.memory_files)
        grown = {folder for folder in used if used[folder] > self._files_seen.get(folder, 0)}
        if any(used[folder] > self._config.memory_files[folder] for folder in grown):
            for command in commands:
                command.kill("FILES_LIMIT")
            if self._files_grow_on:
                processes.kill_everything()
            self._files_grow_on, used = True, _count(used)
        else:
            self._files_grow_on = False
        self._files_seen = used
        self._files_pause = _SOON_SECONDS if grown else min(self._files_pause * 2, _LONGEST_BLINK_SECONDS)
        self._files_at = now + self._files_pause

    def _check_usage(self, commands: Collection[Running], now: float) -> None:
        running = [process.pid for process in processes.scan()]
        used = {pid: processes.memory_bytes(pid) for pid in running}
        for segment in segments.unheld():
            used[segment.maker] = used.get(segment.maker, 0) + segment.memory_bytes
        left = self._config.memory_bytes - sum(used.values())
        if left < 0:
            _kill_largest(commands, used, "MEMORY_LIMIT")
            segments.remove(segments.unheld())
        elif len(running) > self._config.processes:
            _kill_largest(commands, dict.fromkeys(running, 1), "PROCESS_LIMIT")
        pause = min(_LONGEST_PAUSE_SECONDS, max(_SOON_SECONDS, left / _FASTEST_GROWTH_BYTES_PER_SECOND))
        self._usage_at = now + pause if used else math.inf
        self._files_at = self._files_at if used else math.inf


def _count(folders: Collection[str]) -> dict[str, int]:
    """How many inodes of each of these file systems are in use."""
    found = {folder: os.statvfs(folder) for folder in folders}
    return {folder: each.f_files - each.f_ffree for folder, each in found.items()}


def _kill_largest(commands: Collection[Running], used: dict[int, int], ending: str) -> None:
    """Kill the command that uses the most; a process that belongs to none and uses more goes alone."""
    shares = [(sum(used.get(p.pid, 0) for p in processes.members(c.claim.op_id, c.pid)), c) for c in commands]
    share, largest = max(shares, key=lambda item: item[0], default=(0, None))
    largest_process = max(used, key=lambda pid: used[pid])
    if largest is not None and share >= used[largest_process]:
        largest.kill(ending)
    else:
        processes.kill_tree("", largest_process)
