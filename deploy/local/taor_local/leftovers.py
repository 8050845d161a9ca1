"""What a killed supervisor left behind: parts are found by its state file, sandboxes by their folder."""

from taor_local.errors import StopFailedError
from taor_local.folders import Folders
from taor_local.processes import descendants, kill_and_wait, processes_naming, wait_gone
from taor_local.state import read_state

KILL_SECONDS = 10.0
DATABASE = "postgres"


def end_parts(folders: Folders) -> bool:
    """End the parts that outlived their supervisor; tell whether there were any. Raises StopFailedError.

    Called only by the holder of the installation's lock.
    """
    recorded = {part.name: part.process for part in read_state(folders.state).parts if part.process}
    database = [process for name, process in recorded.items() if name == DATABASE and process.is_alive()]
    parts = [process for name, process in recorded.items() if name != DATABASE and process.is_alive()]
    gone = kill_and_wait(parts, timeout_seconds=KILL_SECONDS)
    # PostgreSQL was told to close its data when its parent died; killed, it would have to recover at its next start.
    closed = wait_gone(database, timeout_seconds=KILL_SECONDS) or kill_and_wait(database, timeout_seconds=KILL_SECONDS)
    if not (gone and closed):
        raise StopFailedError(f"Processes of an earlier run on {folders.data} do not end, even by SIGKILL.")
    return bool(database or parts)


def end_sandboxes(folders: Folders) -> bool:
    """End the sandboxes that nobody owns any more; tell whether there were any. Raises StopFailedError.

    They outlive their service by a minute, so that the next one finds running commands again: not called by `up`.
    """
    # bubblewrap names the project's folder in its command.
    sandboxes = list(processes_naming(f"{folders.sandboxes}/", program="bwrap"))
    below = [process for sandbox in sandboxes for process in descendants(sandbox.pid)]
    if not kill_and_wait([*sandboxes, *below], timeout_seconds=KILL_SECONDS):
        raise StopFailedError(f"Sandboxes in {folders.sandboxes} do not end, even by SIGKILL.")
    return bool(sandboxes)
