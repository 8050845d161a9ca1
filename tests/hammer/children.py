"""Clients as processes: forked from this one, which has everything imported and neither a loop nor gRPC running."""

import ctypes
import os
import random
import signal
import sys
import traceback
from collections.abc import Callable, Sequence

from tests.hammer.client import Slot, live

PR_SET_PDEATHSIG = 1
PAUSE_SECONDS = (0.0, 9.0)  # until a dead client has a successor: sometimes longer than its hold lives


def fork(work: Callable[[], None]) -> int:
    """Start a process that works and dies with this one; its number."""
    if pid := os.fork():
        return pid
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        work()
    except BaseException:  # the child must never run on in its parent's code
        traceback.print_exc(file=sys.stderr)
        os._exit(1)
    os._exit(0)


class Children:
    """One living client per slot, or one that will come."""

    def __init__(self, slots: Sequence[Slot], chance: random.Random) -> None:
        self._slots = slots
        self._chance = chance
        self._epochs = dict.fromkeys(range(len(slots)), 0)
        self._living: dict[int, int] = {}  # slot by process
        self._due: dict[int, float] = {}
        self.killed = 0

    def fork_all(self) -> None:
        """Start the first client of every slot."""
        for number in range(len(self._slots)):
            self._fork(number)

    def kill_one(self) -> None:
        """Kill -9 one of the living."""
        if self._living:
            os.kill(self._chance.choice(list(self._living)), signal.SIGKILL)
            self.killed += 1

    def reap_and_replace(self, now: float) -> None:
        """Bury the dead, and let successors begin whose time has come."""
        for pid in list(self._living):  # by number: this process has other children, whom others wait for
            if os.waitpid(pid, os.WNOHANG)[0]:
                self._due[self._living.pop(pid)] = now + self._chance.uniform(*PAUSE_SECONDS)
        for number in [number for number, at in self._due.items() if at <= now]:
            del self._due[number]
            self._fork(number)

    def kill_all(self) -> None:
        """Kill -9 everybody at once."""
        self.killed += len(self._living)
        for pid in self._living:
            os.kill(pid, signal.SIGKILL)
        for pid in self._living:
            os.waitpid(pid, 0)
        self._living.clear()

    def _fork(self, number: int) -> None:
        self._epochs[number] += 1
        slot, epoch = self._slots[number], self._epochs[number]
        seed = f"{self._chance.random()}"
        self._living[fork(lambda: live(slot, epoch, seed))] = number
