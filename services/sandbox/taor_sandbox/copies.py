"""A copy of a running sandbox's files in a folder of ours, made as a snapshot is: for archives of what is locked."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from taor_chassis.clock import SystemClock
from taor_sandbox.backends.port import Sandbox
from taor_sandbox.blobs.directory import DirectoryBlobs
from taor_sandbox.blobs.port import Blobs
from taor_sandbox.manifest import Manifest
from taor_sandbox.spool import copy_out, stow, upload
from taor_sandbox.tree import report_unreadable, take_stock


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
            await upload(blobs, tenant_id, stowed, stowed.objects, spool)
        yield manifest.placed(stowed.places), blobs
