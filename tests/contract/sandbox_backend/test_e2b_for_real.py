"""A short life at the real E2B, for whoever has a key: it costs a few cents at most."""

import os
import uuid

import pytest

from taor_sandbox.backends.e2b.backend import open_backend
from taor_sandbox.backends.e2b.settings import E2BSettings
from taor_sandbox.backends.errors import SandboxGone
from taor_sandbox.backends.port import Dead, Exited, Limits
from tests.support.sandboxes import EPOCH, finish, make_ready, run, start, write_file


@pytest.mark.optin("E2B_API_KEY")
async def test_a_sandbox_is_made_used_frozen_paused_woken_and_destroyed() -> None:
    settings = E2BSettings(
        api_key=os.environ["E2B_API_KEY"],
        domain=os.environ.get("E2B_DOMAIN", ""),
        api_url=os.environ.get("E2B_API_URL", ""),
        sandbox_url=os.environ.get("E2B_SANDBOX_URL", ""),
        template=os.environ.get("TAOR_SANDBOX_E2B_TEMPLATE", "base"),
        lifetime_seconds=300,
        allowed_hosts=("github.com",),
    )
    backend = await open_backend(settings)
    key = f"{uuid.uuid4()}/1"
    sandbox = await make_ready(await backend.create(key, Limits()))
    try:
        assert (await run(sandbox, "id -un; pwd; exit 3")).stdout == "user\n/workspace\n"
        await write_file(sandbox, "file", os.urandom(100_000))
        assert (await sandbox.run(["rg", "--version"])).stdout.startswith(b"ripgrep")
        ticking = await start(sandbox, "while :; do echo x >> ticks; done", background=True)
        async with sandbox.frozen():
            size = (await sandbox.stat("ticks")).size_bytes
            assert (await sandbox.run(["sleep", "0.5"])).status == 0
            assert (await sandbox.stat("ticks")).size_bytes == size
            archive = b"".join([piece async for piece in sandbox.archive(["file"])])
        assert len(archive) > 100_000
        op_id = await start(sandbox, "for n in $(seq 100); do echo $n; sleep 0.01; done")
        assert (await finish(sandbox, op_id)).stdout.splitlines()[-1] == "100"
        await backend.pause(sandbox.provider_id, EPOCH)
        woken = await backend.attach(sandbox.provider_id)
        assert await woken.look(ticking) == Dead()
        assert isinstance(await woken.look(op_id), Exited)
        await woken.close()
    finally:
        await sandbox.close()
        await backend.destroy(sandbox.provider_id)
    with pytest.raises(SandboxGone):
        await backend.attach(sandbox.provider_id)
