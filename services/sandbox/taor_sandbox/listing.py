"""Lists the files inside a sandbox without reading them: what has changed is read, and hashed, when it is copied out.

The agent looks, and tells only what is different from its last look, so that a file that stays costs a look at its
status and no more. Where it cannot tell, the walk (`tree.py`) can: it unlocks what its owner has locked.
"""

import stat
from dataclasses import dataclass

from taor_sandbox.backends.errors import FileRefused
from taor_sandbox.backends.port import Sandbox, Standing
from taor_sandbox.manifest import UNREAD, Entry, Manifest


@dataclass(frozen=True, slots=True)
class Listing:
    """The project as it stood at one look."""

    manifest: Manifest
    """The contents of files that nobody has read yet are not known."""
    stamp: str = ""
    """Names the look for the next one in the same sandbox; "": that one must tell everything."""


NOTHING = Listing(Manifest(()))
"""Before the first look."""


async def list_files(sandbox: Sandbox, before: Listing | None = None) -> Listing | None:
    """What stands there now; contents are known of what has not changed since the listing before of the same sandbox.

    None where something cannot be read as it stands, or where there is too much. Raises ValueError for nonsense.
    """
    old = before or NOTHING
    try:
        survey = await sandbox.survey(old.stamp)
    except FileRefused:
        return None
    known = old.manifest.by_path
    changed = Manifest.of_rows([_row(each, known.get(each.path)) for each in survey.there])
    return Listing(changed if survey.is_whole else old.manifest.followed_by(changed, survey.gone), survey.stamp)


def _row(found: Standing, known: Entry | None) -> list[str | int]:
    """What the walk would print, with a content that is known from before."""
    mode = stat.S_IMODE(found.mode)
    match stat.S_IFMT(found.mode):
        case stat.S_IFREG:
            fingerprint = f"{found.inode}.{found.size_bytes}.{found.modified_ns}.{found.changed_ns}"
            content = known.content if known and known.fingerprint == fingerprint else UNREAD
            return [found.path, "f", mode, found.size_bytes, found.modified_ns, fingerprint, content]
        case stat.S_IFDIR:
            return [found.path, "d", mode, 0, found.modified_ns, "", ""]
        case stat.S_IFLNK:
            return [found.path, "l", 0, 0, found.modified_ns, "", found.target]
        case _:
            raise ValueError(f"nothing that a survey tells of: {found!r:.200}")
