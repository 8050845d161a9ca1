"""The life of one supervisor process around its stages: lock, leftovers, ports, endpoints file, exit status."""

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

from taor_local.endpoints import Endpoints, write_endpoints
from taor_local.errors import LocalError
from taor_local.files import read_or_make_secret
from taor_local.folder_lock import lock
from taor_local.folders import Folders
from taor_local.leftovers import end_parts
from taor_local.part import Stage
from taor_local.ports import require_free
from taor_local.processes import ProcessId
from taor_local.state import Phase, State, write_state
from taor_local.supervisor import Supervisor

FAILED_STATUS = 1
LOCKED_STATUS = 75  # EX_TEMPFAIL of sysexits.h: somebody else supervises this folder
LOCK_SECONDS = 0.2

logger = logging.getLogger(__name__)


def supervise(folders: Folders, endpoints: Endpoints, compose: Callable[[], Sequence[Stage]]) -> int:
    """Run the stages until SIGTERM and return the exit status: 0, FAILED_STATUS or LOCKED_STATUS."""
    folders.make()
    held = lock(folders.lock, timeout_seconds=LOCK_SECONDS)
    if held is None:
        return LOCKED_STATUS
    ourselves = State(Phase.STARTING, "preparing the folders", ProcessId.of(os.getpid()), environment=sys.prefix)
    try:
        end_parts(folders)
        write_state(folders.state, ourselves)
        read_or_make_secret(folders.token)
        require_free(endpoints.listening())
        write_endpoints(endpoints)
        asyncio.run(Supervisor(compose(), folders, sys.prefix).run())
    except (LocalError, OSError) as error:
        logger.error("%s", error)
        write_state(folders.state, replace(ourselves, phase=Phase.FAILED, message=str(error)))
        return FAILED_STATUS
    finally:
        folders.endpoints.unlink(missing_ok=True)
        folders.remove_short_socket_folder()
    return 0
