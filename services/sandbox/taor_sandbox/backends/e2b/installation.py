"""Lays the agent, the bridge and ripgrep into a new sandbox."""

import gzip
import io
import json
import shlex
import tarfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from e2b import AsyncSandbox, CommandExitException

import taor_sandbox.agent
import taor_sandbox.backends.e2b.inside
import taor_sandbox.egress
from taor_sandbox import http_head, pump
from taor_sandbox.agent.config import Config
from taor_sandbox.backends.e2b.bridge import USER
from taor_sandbox.backends.e2b.inside import layout
from taor_sandbox.backends.e2b.troubles import translated
from taor_sandbox.backends.errors import BackendUnavailable
from taor_sandbox.backends.local.toolbox import find_ripgrep
from taor_sandbox.backends.port import HOME, WORKSPACE, Limits
from taor_sandbox.backends.release import release_of

_INSTALL_SECONDS = 120.0
_OWNERLESS_SECONDS = 1_000_000.0
"""The provider's own time-out ends what nobody owns; the agent waits longer than any sandbox may live."""
_PARTS: tuple[ModuleType, ...] = (
    taor_sandbox.agent, taor_sandbox.backends.e2b.inside, taor_sandbox.egress, http_head, pump,
)  # fmt: skip
"""What stands inside: packages without those below them, and modules. The standard library is all they need."""
_ABOVE = Path(http_head.__file__).parents[1]
_AGENT = "taor_sandbox/agent/"
_MAIN = "from taor_sandbox.backends.e2b.inside.main import main\n\nmain({agent!r})\n"
_SCRIPT = """
set -e
newer='Python 3.11 or newer is missing'
python3 -I -S -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$newer" >&2; exit 3; }
mkdir -p $WORKSPACE $HOME_FOLDER $ROOT/uploads $ROOT/journal
exec 9>$ROOT/install.lock
flock 9
if [ ! -e $LIBRARY ]; then
  rm -rf $LIBRARY.new
  mkdir $LIBRARY.new
  tar -xzf "$ARCHIVE" -C $LIBRARY.new
  if [ ! -e $ROOT/installed ]; then
    [ -z "$ALLOWED" ] || printf %s "$ALLOWED" > $ROOT/allowed
    chown -R $USER_NAME: $WORKSPACE $ROOT
    touch $ROOT/installed
  fi
  chown -R $USER_NAME: $LIBRARY.new
  mv $LIBRARY.new $LIBRARY
fi
rm -f "$ARCHIVE"
"""


@dataclass(frozen=True, slots=True)
class Toolbox:
    """The files of every sandbox, packed once."""

    archive: bytes
    library: str
    """The folder inside that they are laid into, named after their release."""
    agent: str
    """The release of the agent among them."""

    @classmethod
    def pack(cls) -> "Toolbox":
        """Pack them; raises BackendUnavailable when ripgrep is missing."""
        return cls.of(inside_files())

    @classmethod
    def of(cls, files: Mapping[str, bytes]) -> "Toolbox":
        """Pack these files."""
        agent = release_of({name: content for name, content in files.items() if name.startswith(_AGENT)})
        whole = {**files, "__main__.py": _MAIN.format(agent=agent).encode()}
        archive = gzip.compress(_tar(whole), compresslevel=1, mtime=0)
        return cls(archive, f"{layout.LIBRARIES}{release_of(whole)}", agent)


def inside_files() -> dict[str, bytes]:
    """What stands in a sandbox's library but its beginning; raises BackendUnavailable when ripgrep is missing."""
    files = {"bin/rg": find_ripgrep().read_bytes()}
    for part in _PARTS:
        assert part.__file__ is not None
        source = Path(part.__file__)
        for path in sorted(source.parent.glob("*.py")) if source.name == "__init__.py" else [source]:
            files[path.relative_to(_ABOVE).as_posix()] = path.read_bytes()
    return files


async def install(sandbox: AsyncSandbox, toolbox: Toolbox, limits: Limits, allowed_hosts: Sequence[str]) -> None:
    """Lay everything; may be repeated, and done by several at once. Raises BackendUnavailable with the remedy."""
    archive = f"{layout.ROOT}/{uuid.uuid4().hex}.tar.gz"
    names = {
        "WORKSPACE": WORKSPACE, "HOME_FOLDER": HOME, "ROOT": layout.ROOT, "ARCHIVE": archive, "USER_NAME": USER,
        "ALLOWED": ",".join(allowed_hosts), "LIBRARY": toolbox.library,
    }  # fmt: skip
    config = layout.config_of(toolbox.agent)
    assigned = "\n".join(f"{name}={shlex.quote(value)}" for name, value in names.items())
    with translated():
        await sandbox.files.write(archive, toolbox.archive, user="root", use_octet_stream=True)
        await sandbox.files.write(config, json.dumps(_config(limits)), user="root", use_octet_stream=True)
        try:
            await sandbox.commands.run(f"{assigned}{_SCRIPT}", user="root", cwd="/", timeout=_INSTALL_SECONDS)
        except CommandExitException as error:
            raise BackendUnavailable(f"the template cannot carry the agent: {error.stderr[-500:]}") from error


def _config(limits: Limits) -> Config:
    return Config(
        uid=None,
        journal=layout.JOURNAL,
        workspace=WORKSPACE,
        env={},
        memory_bytes=limits.memory_bytes,
        processes=limits.processes,
        file_bytes=limits.file_bytes,
        open_files=limits.open_files,
        ownerless_seconds=_OWNERLESS_SECONDS,
        memory_files={},
    )


def _tar(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755 if name.startswith("bin/") else 0o644
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()
