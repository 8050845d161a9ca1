"""What is locked, made readable for an archive, as for a snapshot: while everything inside stands still.

Either copied into a folder of ours, or where it stands for as long as a program inside reads it.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from taor_chassis.clock import SystemClock
from taor_sandbox.backends.port import Sandbox
from taor_sandbox.blobs.directory import DirectoryBlobs
from taor_sandbox.blobs.port import Blobs
from taor_sandbox.manifest import Manifest
from taor_sandbox.spool import copy_out, stow, upload
from taor_sandbox.tree import has_locked, report_unreadable, take_stock, unlocked


@asynccontextmanager
async def copied(sandbox: Sandbox, starting: asyncio.Lock, tenant_id: str) -> AsyncIterator[tuple[Manifest, Blobs]]:
    """Everything inside stands still while the files are read, and so while their locks are off.

    Raises SnapshotFailed, SandboxFrozen, BlobError, and FileRefused."""
    with tempfile.TemporaryDirectory(prefix="taor-") as folder:
        blobs = DirectoryBlobs(Path(folder), SystemClock())
        with tempfile.TemporaryFile() as spool:
            async with starting, sandbox.frozen():
                manifest = await take_stock(sandbox)
                files = manifest.files_of(manifest.sizes)
                await copy_out(sandbox, files, manifest.locked(files), spool)
            report_unreadable(manifest)
            stowed = await asyncio.to_thread(stow, spool, files, ())
            await upload(blobs, tenant_id, stowed, spool)
        yield manifest.placed(stowed.places), blobs


@asynccontextmanager
async def readable(sandbox: Sandbox, starting: asyncio.Lock) -> AsyncIterator[Sequence[str]]:
    """The owner may read all of the project within the block, but for the paths that are yielded: another user's.

    Nothing inside stands still where nothing is locked. Raises SnapshotFailed and SandboxFrozen."""
    if not await has_locked(sandbox):
        yield ()
        return
    async with starting, sandbox.frozen():
        manifest = await take_stock(sandbox)
        report_unreadable(manifest)
        async with unlocked(sandbox, manifest.locked(entry.path for entry in manifest.entries)):
            yield manifest.unreadable
