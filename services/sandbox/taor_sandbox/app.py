"""The parts list of the sandbox service."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import assert_never

from taor.sandbox.v1.sandbox_pb2_grpc import add_SandboxServiceServicer_to_server

from taor_chassis.clock import SystemClock, SystemIds
from taor_chassis.database import running_pool
from taor_chassis.server import Registration
from taor_sandbox.adoption import adopt
from taor_sandbox.backends.port import Backend, Limits
from taor_sandbox.blobs.directory import DirectoryBlobs
from taor_sandbox.blobs.port import Blobs
from taor_sandbox.claims import Claims
from taor_sandbox.comparison import Comparison
from taor_sandbox.config import BackendName, SandboxConfig
from taor_sandbox.deletion import Deletion
from taor_sandbox.destroyer import Destroyer
from taor_sandbox.download import Download
from taor_sandbox.egress.allowlist import AllowList
from taor_sandbox.egress.gateway import Gateway
from taor_sandbox.forks import Forks
from taor_sandbox.generations import Generations, Stores
from taor_sandbox.journal import Journal
from taor_sandbox.operations import Dispatcher
from taor_sandbox.preview import PreviewServer
from taor_sandbox.reaper import Reaper
from taor_sandbox.redo import Redo
from taor_sandbox.release import Release
from taor_sandbox.restore import Restore
from taor_sandbox.rotation import Rotation
from taor_sandbox.service import Rooms, SandboxService
from taor_sandbox.sessions import Sessions
from taor_sandbox.snapshots import SnapshotTaker
from taor_sandbox.store.builds import Builds
from taor_sandbox.store.deletion import ProjectRows
from taor_sandbox.store.forks import ForkRows
from taor_sandbox.store.operations import Operations
from taor_sandbox.store.sandboxes import Sandboxes
from taor_sandbox.store.seen import SeenFiles
from taor_sandbox.store.snapshots import Snapshots
from taor_sandbox.tokens import Tokens

_log = logging.getLogger(__name__)

SERVICE_NAME = "taor.sandbox.v1.SandboxService"
_CANCEL_AGAIN_SECONDS = 0.5


@asynccontextmanager
async def application(config: SandboxConfig, stopping: asyncio.Event) -> AsyncIterator[Sequence[Registration]]:
    """The service on the backend that the configuration names."""
    async with running_backend(config) as backend, assembled(config, backend, stopping) as services:
        yield services


@asynccontextmanager
async def assembled(
    config: SandboxConfig, backend: Backend, stopping: asyncio.Event
) -> AsyncIterator[Sequence[Registration]]:
    """Open the parts, yield the service, and close the parts after the server has stopped; sandboxes go on."""
    async with running_pool(config.dsn, max_size=config.pool_size) as pool, running_blobs(config) as blobs:
        builds, sandboxes, operations, snapshots = Builds(pool), Sandboxes(pool), Operations(pool), Snapshots(pool)
        sessions = Sessions(backend)
        claims, journal, destroyer = Claims(builds, sessions), Journal(builds), Destroyer(sandboxes, backend)
        generations = Generations(
            Stores(builds, sandboxes, operations), sessions, backend, Restore(snapshots, blobs), journal,
            Redo(operations), destroyer, creations=config.creations, limits=Limits(files=config.most_files),
        )  # fmt: skip
        dispatcher = Dispatcher(claims, operations, SeenFiles(pool), sessions, journal, browser=config.browser)
        taker = SnapshotTaker(claims, sessions, dispatcher, journal, snapshots, blobs, SystemIds(), SystemClock())
        keep = timedelta(minutes=config.keep_minutes)
        release = Release(claims, builds, sessions, taker, snapshots, destroyer, backend, keep=keep)
        download = Download(claims, sessions, snapshots, blobs, SystemIds())
        preview = PreviewServer(builds, sessions, Tokens(config.token), SystemClock())
        rotation = Rotation(builds, operations, backend, margin_seconds=config.rotation_margin_seconds)
        reaper = Reaper(builds, sandboxes, snapshots, sessions, destroyer, backend, blobs, rotation)
        forks = ForkRows(pool, snapshots)
        rooms = Rooms(
            claims, generations, dispatcher, operations, taker, snapshots, release, download, preview, Forks(forks),
            Comparison(forks, blobs), Deletion(ProjectRows(pool), sessions, destroyer),
            backend_name=config.backend.value,
        )  # fmt: skip
        service = SandboxService(rooms, SystemClock(), stopping)
        async with (
            preview.running(config.preview_listen),
            background(adopt(builds, sessions), reaper.run(config.round_seconds)),
        ):
            yield [Registration(SERVICE_NAME, partial(add_SandboxServiceServicer_to_server, service))]
        await sessions.close()


@asynccontextmanager
async def running_blobs(config: SandboxConfig) -> AsyncIterator[Blobs]:
    """The store of contents that the configuration names: the bucket if there is one, else the folder."""
    if config.s3_bucket is None:
        yield DirectoryBlobs(config.blobs, SystemClock())
        return
    from taor_sandbox.blobs.s3 import Bucket, running_s3

    async with running_s3(Bucket(config.s3_bucket, config.s3_endpoint, config.s3_prefix)) as blobs:
        yield blobs


@asynccontextmanager
async def running_backend(config: SandboxConfig) -> AsyncIterator[Backend]:
    """The backend that the configuration names."""
    backend = await open_backend(config)
    try:
        yield backend
    finally:
        await backend.close()


async def open_backend(config: SandboxConfig) -> Backend:
    """A working backend; each is imported only where it is used, because e2b alone takes a second of CPU."""
    match config.backend:
        case BackendName.LOCAL:
            from taor_sandbox.backends.local.backend import open_backend as open_local

            gateway = Gateway(AllowList.parse(config.egress_allow))
            return await open_local(config.data, first_uid=config.uid, gateway=gateway)
        case BackendName.E2B:
            from taor_sandbox.backends.e2b.backend import open_backend as open_e2b
            from taor_sandbox.backends.e2b.settings import settings_of

            return await open_e2b(settings_of(config))
        case unknown:
            assert_never(unknown)


@asynccontextmanager
async def background(*work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Let work run inside the block."""
    tasks = [asyncio.create_task(each) for each in work]
    for task in tasks:
        task.add_done_callback(_report)
    try:
        yield
    finally:
        # More than once: e2b's transport turns a cancellation into an error of its own, after which a loop goes on.
        while going := [task for task in tasks if not task.done()]:
            for task in going:
                task.cancel()
            await asyncio.wait(going, timeout=_CANCEL_AGAIN_SECONDS)


def _report(task: "asyncio.Task[None]") -> None:
    """Work in the background has nobody who would hear of its failure."""
    if not task.cancelled() and (error := task.exception()):
        _log.error("work in the background failed", exc_info=error)
