"""What an installation left behind when its supervisor was killed: found in its state file, and by its folder."""

from taor_local.errors import StopFailedError
from taor_local.folders import Folders
from taor_local.processes import descendants, kill_and_wait, processes_naming
from taor_local.state import read_state

KILL_SECONDS = 10.0


def end_leftovers(folders: Folders) -> bool:
    """Kill parts and sandboxes that outlived their supervisor; tell whether there were any. Raises StopFailedError.

    Called only by the holder of the installation's lock. PostgreSQL is not among them: it ends by itself, cleanly, and
    the next one waits for its lock.
    """
    recorded = [part.process for part in read_state(folders.state).parts if part.process and part.name != "postgres"]
    # A sandbox outlives its service by a minute on purpose; bubblewrap names the project's folder in its command.
    sandboxes = list(processes_naming(f"{folders.sandboxes}/", program="bwrap"))
    roots = [process for process in (*recorded, *sandboxes) if process.is_alive()]
    below = [process for root in roots for process in descendants(root.pid)]
    if not kill_and_wait([*roots, *below], timeout_seconds=KILL_SECONDS):
        raise StopFailedError(f"Processes of an earlier run on {folders.data} do not end, even by SIGKILL.")
    return bool(roots)
