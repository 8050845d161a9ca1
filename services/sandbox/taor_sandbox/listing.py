"""Lists the files inside a sandbox without reading them: what has changed is read, and hashed, when it is copied out.

`find` needs no Python to start, and a file that has to be copied anyway need not be read twice, once while everything
stands still. Where `find` cannot tell, the walk (`tree.py`) can: it unlocks what its owner has locked.
"""

from collections.abc import Iterator, Mapping

from taor_sandbox.backends.port import Sandbox
from taor_sandbox.manifest import UNREAD, Manifest

_SECONDS = 120.0
_UNREADABLE = "u"
_KINDS = (
    *("-type", "f", "!", "-readable", "-printf", _UNREADABLE, "-o", "-type", "f", "-printf", "f"),
    *("-o", "-type", "d", "-printf", "d", "-o", "-type", "l", "-printf", "l"),
)
_FIND = ("find", ".", "-mindepth", "1", "(", *_KINDS, ")", "-printf", r" %m %s %i %T@ %C@ %P\0%l\0")
_NANOSECONDS, _DIGITS = 1_000_000_000, 9


async def list_files(sandbox: Sandbox, before: Manifest | None) -> Manifest | None:
    """The project as it stands; the contents of files that have changed since `before` are not known yet.

    None where something cannot be read as it stands. Raises ValueError for what find never says.
    """
    found = await sandbox.run(_FIND, timeout_seconds=_SECONDS)
    if found.status != 0 or found.truncated or found.timed_out or found.stderr:
        return None
    rows = list(_rows(found.stdout, before.fingerprints() if before else {}))
    return None if any(row[1] == _UNREADABLE for row in rows) else Manifest.of_rows(rows)


def _rows(text: bytes, known: Mapping[str, tuple[str, str]]) -> Iterator[list[str | int]]:
    """What the walk would print, with contents that are known from before."""
    parts = text.split(b"\0")
    for described, target in zip(parts[:-1:2], parts[1::2], strict=True):
        fields = described.decode("utf-8", "surrogateescape").split(" ", 6)
        kind, mode, size, inode, modified, changed, path = fields
        modified_ns = _nanoseconds(modified)
        match kind:
            case "f" | "u":
                fingerprint = f"{inode}.{size}.{modified_ns}.{_nanoseconds(changed)}"
                before = known.get(path)
                content = before[1] if before and before[0] == fingerprint else UNREAD
                yield [path, kind, int(mode, 8), int(size), modified_ns, fingerprint, content]
            case "d":
                yield [path, kind, int(mode, 8), 0, modified_ns, "", ""]
            case _:
                yield [path, kind, 0, 0, modified_ns, "", target.decode("utf-8", "surrogateescape")]


def _nanoseconds(time: str) -> int:
    """`seconds.fraction`, where the fraction counts forwards also before 1970."""
    seconds, _, fraction = time.partition(".")
    return int(seconds) * _NANOSECONDS + int(fraction[:_DIGITS].ljust(_DIGITS, "0"))
