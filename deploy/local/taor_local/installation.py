"""What `taor up`, `taor down` and `taor status` do: start a detached supervisor, watch its state file, stop it."""

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence

from taor_local import environment
from taor_local.endpoints import Endpoints, plan_endpoints, read_endpoints
from taor_local.errors import OtherCheckoutError, StartFailedError, StopFailedError, UnsupportedSystemError
from taor_local.folder_lock import lock
from taor_local.folders import Folders
from taor_local.leftovers import end_parts, end_sandboxes
from taor_local.logs import tail
from taor_local.options import Options
from taor_local.processes import ProcessId, kill_and_wait
from taor_local.session import LOCKED_STATUS
from taor_local.state import Phase, State, read_state

Progress = Callable[[str], None]
SUPERVISOR = ("-P", "-m", "taor_local")
POLL_SECONDS = 0.03
UP_SECONDS = 90.0
DOWN_SECONDS = 60.0
LOCK_SECONDS = 5.0
# The second is SIGTERM before the supervisor listens for it, when it has not started anything.
TOLD_TO_STOP = (0, -signal.SIGTERM)


def ensure_up(options: Options, progress: Progress, *, program: Sequence[str] = SUPERVISOR) -> Endpoints:
    """Start the installation unless it is up, wait until every part serves, and say where.

    Several callers at once get the same system; `program` is what Python runs as the supervisor. Raises a LocalError,
    whose message says what to do.
    """
    if sys.platform != "linux":
        raise UnsupportedSystemError("taor runs builds in Linux sandboxes: start it on Linux, or in a Linux machine.")
    folders = Folders(options.data.absolute())
    starter = Starter(options, folders, program)
    told = ""
    deadline = time.monotonic() + UP_SECONDS
    while time.monotonic() < deadline:
        state = read_state(folders.state)
        if state.is_supervised() and state.phase is Phase.STARTING and state.message != told:
            told = state.message
            progress(told)
        if state.is_supervised() and state.phase is Phase.UP:
            endpoints = _require_same_checkout(state, folders)
            _tell_differences(endpoints, options, progress)
            return endpoints
        if not state.is_supervised():
            starter.start_or_raise()
        time.sleep(POLL_SECONDS)
    raise StartFailedError(f"taor is not up after {UP_SECONDS:.0f} s. Its logs are in {folders.logs}.")


def down(options: Options) -> bool:
    """Stop everything, sandboxes included; False when nothing ran. Raises StopFailedError when something stays."""
    folders = Folders(options.data.absolute())
    if not folders.run.exists():
        return False
    supervisor = read_state(folders.state).supervisor
    ran = supervisor is not None and supervisor.is_alive()
    if ran and supervisor:
        _end(supervisor)
    held = lock(folders.lock, timeout_seconds=LOCK_SECONDS)
    if held is None:
        raise StopFailedError(f"A supervisor is just starting on {folders.data}; try again.")
    try:
        ended = [ran, end_parts(folders), end_sandboxes(folders)]
        return any(ended)
    finally:
        os.close(held)


def status(options: Options) -> State:
    """Say which parts run, and what the supervisor does; DOWN when there is none."""
    return read_state(Folders(options.data.absolute()).state)


class Starter:
    """Starts a detached supervisor, again if another one was faster and then ended."""

    def __init__(self, options: Options, folders: Folders, program: Sequence[str]) -> None:
        self._program = program
        self._options = options
        self._folders = folders
        self._pid: int | None = None

    def start_or_raise(self) -> None:
        """Start one, unless ours is still on its way. Raises StartFailedError when ours has ended."""
        if self._pid is not None:
            pid, wait_status = os.waitpid(self._pid, os.WNOHANG)
            if pid == 0:
                return
            self._pid = None
            exit_status = os.waitstatus_to_exitcode(wait_status)
            if exit_status in TOLD_TO_STOP:
                raise StartFailedError("taor was told to stop while it started.")
            if exit_status != LOCKED_STATUS:
                raise StartFailedError(self._reason())
        self._pid = self._spawn()

    def _reason(self) -> str:
        state = read_state(self._folders.state)
        if state.phase is Phase.FAILED:
            return state.message
        log = self._folders.log("supervisor")
        return f"The supervisor ended. Its log is {log}, which ends:\n{tail(log)}"

    def _spawn(self) -> int:
        self._folders.make()
        log = os.fspath(self._folders.log("supervisor"))
        write = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        choice = ("--data", os.fspath(self._folders.data), "--base-port", str(self._options.base_port))
        return os.posix_spawn(
            sys.executable,
            (sys.executable, *self._program, *choice),
            environment.for_supervisor(os.environ),
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, log, write, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
        )


def _require_same_checkout(state: State, folders: Folders) -> Endpoints:
    if state.environment != sys.prefix:
        raise OtherCheckoutError(
            f"A taor from {state.environment} is up on {folders.data}. Stop it with its own `taor down`, "
            "or choose another folder and ports with --data and --base-port."
        )
    endpoints = read_endpoints(folders.data)
    if endpoints is None:
        raise StartFailedError(f"{folders.endpoints} is gone although taor is up; run `taor down` and try again.")
    return endpoints


def _tell_differences(endpoints: Endpoints, options: Options, progress: Progress) -> None:
    """Say where the system that is up is not the one that this caller would have started."""
    wanted = plan_endpoints(Folders(endpoints.data_dir), options.base_port, os.environ)
    if endpoints.orchestrator != wanted.orchestrator:
        progress(f"already up on other ports: the orchestrator is at {endpoints.orchestrator}")
    if endpoints.model != wanted.model and endpoints.scripted != wanted.scripted:
        kind = "the scripted model" if endpoints.scripted else f"the model at {endpoints.model}"
        progress(f"already up with {kind}; `taor down` and `taor up` take over today's ANTHROPIC_ variables")


def _end(supervisor: ProcessId) -> None:
    supervisor.send(signal.SIGTERM)
    deadline = time.monotonic() + DOWN_SECONDS
    while supervisor.is_alive():
        if time.monotonic() > deadline:
            # Its children die with it, what does not is a leftover.
            kill_and_wait([supervisor], timeout_seconds=LOCK_SECONDS)
            return
        time.sleep(POLL_SECONDS)
