"""A new release of the service meets sandboxes whose agent was started by an older one, with other words."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from taor_sandbox.app import running_backend
from taor_sandbox.backends.e2b.backend import E2BBackend
from taor_sandbox.backends.e2b.installation import Toolbox, inside_files
from taor_sandbox.backends.e2b.settings import settings_of
from taor_sandbox.backends.local import toolbox
from taor_sandbox.backends.local.backend import prepare
from taor_sandbox.backends.port import Backend
from taor_sandbox.config import BackendName, SandboxConfig
from tests.service.sandbox.harness import Harness

MESSAGES = "messages.py"
LONG = "echo on; echo x >> count; until [ -e go ]; do sleep 0.02; done; cat count"


def with_other_words(messages: bytes) -> bytes:
    """A release in which a claim says one thing more."""
    changed = messages.replace(b"    background: bool\n", b"    background: bool\n    niceness: int\n")
    assert changed != messages
    return changed


def with_the_same_words(messages: bytes) -> bytes:
    """A release that differs all the same."""
    return messages + b"# an older release\n"


@dataclass(frozen=True, slots=True)
class Installation:
    """Where the sandboxes are."""

    config: SandboxConfig
    folder: Path

    def of_older(self, changed: Callable[[bytes], bytes]) -> Backend:
        """The backend of a release whose agent was changed."""
        if self.config.backend is BackendName.E2B:
            files = inside_files()
            name = f"taor_sandbox/agent/{MESSAGES}"
            return E2BBackend(settings_of(self.config), Toolbox.of({**files, name: changed(files[name])}))
        agent = self.folder / "older"
        agent.mkdir()
        for source in toolbox.AGENT.glob("*.py"):
            content = source.read_bytes()
            (agent / source.name).write_bytes(changed(content) if source.name == MESSAGES else content)
        return prepare(self.config.data, self.config.uid, agent=agent)


@pytest.fixture
def installation(any_config: SandboxConfig, tmp_path: Path) -> Installation:
    """At home and at E2B."""
    return Installation(any_config, tmp_path)


async def test_an_idle_agent_of_another_release_makes_room_and_the_build_goes_on(installation: Installation) -> None:
    """In the same sandbox: files, claims and epoch stay."""
    harness = Harness(installation.config, older := installation.of_older(with_other_words))
    await harness.start()
    await harness.attach()
    await harness.write(1, "f", "x\n")
    await harness.stop()
    await older.close()
    async with running_backend(installation.config) as harness.backend:
        await harness.start()
        await harness.attach(tail_sequence=1)
        assert (await harness.write(1, "f", "x\n")).text, "as it was stored"
        assert (await harness.bash(2, "cat f; echo y >> f")).text == "x\n"
        assert (await harness.bash(3, "cat f")).text == "x\ny\n"
        assert [(each.generation, each.claims) for each in await harness.operations()] == [(1, 1)] * 3
        await harness.stop()
        await harness.destroy_sandboxes()


async def test_one_that_is_at_work_gives_way_to_the_next_generation(installation: Installation) -> None:
    """Nobody of the new release can follow what runs, so it is done again on the files that came before it."""
    harness = Harness(installation.config, older := installation.of_older(with_the_same_words))
    await harness.start()
    await harness.attach()
    await harness.write(1, "f", "x\n")
    following = await harness.begin(2, LONG)
    following.detach()
    await harness.stop()
    await older.close()
    async with running_backend(installation.config) as harness.backend:
        await harness.start()
        await harness.attach(tail_sequence=2)
        assert harness.generation == 2
        following = await harness.begin(2, LONG)
        (only,) = await harness.backend.list()
        sandbox = await harness.backend.attach(only.provider_id)
        await sandbox.run(["touch", "go"])
        await sandbox.close()
        assert (await following.result()).text == "on\nx\n"
        assert (await harness.bash(3, "cat f count")).text == "x\nx\n"
        await harness.stop()
        await harness.destroy_sandboxes()
