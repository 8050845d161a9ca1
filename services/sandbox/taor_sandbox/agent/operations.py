"""What runs in the sandbox: claimed commands and helpers, from their start to their record, within their limits."""

import contextlib
import os
from collections.abc import Callable

from taor_sandbox.agent import processes
from taor_sandbox.agent.config import Config
from taor_sandbox.agent.exec import start_command, start_helper
from taor_sandbox.agent.files import open_to_owner
from taor_sandbox.agent.journal import CommandRecord, Journal
from taor_sandbox.agent.messages import Claim, Ended, Spawn, State
from taor_sandbox.agent.running import Running, shell_status
from taor_sandbox.agent.watch import Watch

NOBODY = ""
"""Named to `kill`, what no operation owns."""


class Operations:
    """What runs. The agent is the parent of every shell, so an unfinished claim that is not in this table is dead."""

    def __init__(self, config: Config, journal: Journal, ended: Callable[[Ended], None]) -> None:
        self._config = config
        self._journal = journal
        self._ended = ended
        self._running: dict[int, Running] = {}
        self._helpers: dict[int, tuple[str, Callable[[int], None]]] = {}
        self._claimed: set[str] = set()
        self._watch = Watch(config)

    def claim(self, request: Claim) -> bool:
        """Start a command unless its claim was made before; raises OSError, without a claim, where there is no room."""
        if self.is_claimed(request.op_id):
            return False
        folder = self.make_claim(request.op_id)
        try:
            pid = start_command(request, folder, self._config)
        except (OSError, ValueError) as error:  # what cannot be an argument of a program is a ValueError
            self._tell_unstarted(request.op_id, error)
            return True
        self._running[pid] = Running(request, folder, pid)
        self._watch.begin()
        return True

    def is_claimed(self, op_id: str) -> bool:
        """Whether a claim was made, even if a command has deleted its folder since."""
        return op_id in self._claimed or self._journal.is_claimed(op_id)

    def make_claim(self, op_id: str) -> str:
        """Make the claim and return its folder; raises OSError when it was made before, or when the journal is gone.

        From here to the start there is only this process, and its death is the end of all others: no claim of a living
        sandbox waits for a command that was never started."""
        folder = self._journal.make_folder(op_id)
        self._claimed.add(op_id)
        return folder

    def look(self, op_id: str) -> State:
        """The state of a claim, from the exit record, the table, and the folder, in this order."""
        record = self._journal.exit(op_id)
        if record is not None:
            return State("COMMAND" if isinstance(record, CommandRecord) else "WRITE", 0, list(record))
        running = self._find(op_id)
        if running is not None:
            return State("LIVE", running.pid, [running.claim.output_bytes])
        return State("DEAD" if self.is_claimed(op_id) else "NONE", 0, [])

    def live(self) -> list[str]:
        """Operations of which something runs: their shells, and what the shell of a background command left behind."""
        found = {running.claim.op_id for running in self._running.values()}
        found.update(op_id for each in processes.scan() if (op_id := processes.operation_of(each.pid)))
        return sorted(found - {helper_id for helper_id, _ in self._helpers.values()})

    def spawn(self, request: Spawn, fds: list[int], ended: Callable[[int], None]) -> None:
        """Start a helper; `ended` gets its exit status."""
        self._helpers[start_helper(request, fds, self._config)] = (request.helper_id, ended)
        self._watch.begin()

    def kill(self, op_id: str, ending: str) -> None:
        """Kill an operation's or a helper's processes, also those that its shell has left behind.

        "" names what belongs to no operation any more: it dropped its mark, and its parents are gone."""
        running = self._find(op_id)
        if running is not None:
            running.kill(ending)
        elif op_id == NOBODY:
            processes.kill_strays([*self._running, *self._helpers])
        else:
            leaders = [pid for pid, (helper_id, _) in self._helpers.items() if helper_id == op_id]
            processes.kill_tree(op_id, leaders[0] if leaders else -1)
        self.reap()

    def reap(self) -> None:
        """Collect every process that has ended, ours and adopted ones, and record the ends that matter."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._running:
                self._record(self._running.pop(pid), status)
            elif pid in self._helpers:
                self._helpers.pop(pid)[1](shell_status(status))

    def pause_seconds(self) -> float | None:
        """How long the agent may sleep before the next look at the limits; None: until something happens."""
        return self._watch.pause_seconds(self._running.values())

    def check_limits(self) -> None:
        """Kill what is over a limit, if a look is due."""
        self._watch.look(list(self._running.values()))

    def unlock_journal(self) -> None:
        """Let its owner in again: a command that locks the journal would be the last that could be recorded."""
        for folder in self._journal.folders:
            open_to_owner(folder)

    def _record(self, running: Running, status: int) -> None:
        op_id = running.claim.op_id
        self.unlock_journal()
        if not running.claim.background:
            processes.kill_tree(op_id, running.pid)
        with contextlib.suppress(OSError):  # its folder was deleted: the claim is dead, nobody invents its exit
            self._journal.record(op_id, running.record(status, self._journal.cwd(op_id)))
        self._ended(Ended(op_id, *self.look(op_id)))

    def _tell_unstarted(self, op_id: str, error: Exception) -> None:
        """Record why; where that cannot be, nothing has happened, and so it must not look as if something had."""
        try:
            self._journal.record_unstarted(op_id, str(error))
        except OSError:
            self._journal.take_back(op_id)
            self._claimed.discard(op_id)
            raise

    def _find(self, op_id: str) -> Running | None:
        return next((r for r in self._running.values() if r.claim.op_id == op_id), None)
