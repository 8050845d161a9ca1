"""A project is deleted from the command line, while the services that do it are killed: nothing of it is left."""

import os
import signal
from pathlib import Path

from taor_local.options import Options
from tests.support.command import Said, taor
from tests.support.installation import process_of
from tests.support.waiting import wait_until


def test_a_deleted_project_is_gone_whoever_is_killed_meanwhile(installation: Options, tmp_path: Path) -> None:
    build_id = str(_ordered(installation, tmp_path, "--no-follow").document["build_id"])
    watched = taor(installation, "watch", build_id)
    assert watched.status == 0, watched.out + watched.err
    begun = taor(installation, "delete", "notes", "--yes", "--no-wait", "--json")
    assert begun.status == 0, begun.err
    for victim in ("checkpoint", "orchestrator"):
        os.kill(process_of(installation, victim).pid, signal.SIGKILL)
    wait_until(lambda: _is_gone(installation, since=begun.document["delete_time"]), "the end of the deletion")

    shown = taor(installation, "show", build_id)
    assert (shown.status, "deleted with its project" in shown.err) == (4, True), shown.err
    again = _ordered(installation, tmp_path, "--no-follow", "--request-id", "another")
    assert (again.status, "PROJECT_DELETED" in again.err) == (4, True), again.err


def _is_gone(options: Options, *, since: object) -> bool:
    """Whether nothing is left, as another request for the same deletion is told; services may be away for a moment."""
    said = taor(options, "delete", "notes", "--yes", "--json")
    if said.status != 0:
        return False
    assert said.document["delete_time"] == since
    return said.document["purge_time"] is not None


def _ordered(options: Options, folder: Path, *more: str) -> Said:
    brief = folder / "brief.md"
    brief.write_text("Write a note.\n\ntaor-script: note\n")
    whose = ("--project", "notes", "--user", "notary")
    return taor(options, "build", "--brief", str(brief), *whose, "--json", *more)
