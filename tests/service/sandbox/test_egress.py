"""What the agent reads when a command asks for a host that the allow-list refuses, at home and at E2B."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from taor_sandbox.app import running_backend
from taor_sandbox.config import SandboxConfig
from tests.service.sandbox.harness import Harness

ASK = "python3 -c 'import urllib.request as u; u.urlopen(\"http://evil.test/\")' 2>/dev/null"


@pytest.fixture
async def with_a_way_out(any_config: SandboxConfig) -> AsyncIterator[Harness]:
    """A service whose sandboxes may reach one host, which nobody asks for."""
    config = replace(any_config, egress_allow="allowed.test")
    async with running_backend(config) as backend:
        harness = Harness(config, backend)
        await harness.start()
        yield harness
        await harness.stop()
        await harness.destroy_sandboxes()


async def test_a_refused_host_is_named_in_the_result(with_a_way_out: Harness) -> None:
    harness = with_a_way_out
    await harness.attach()
    refused = await harness.bash(1, ASK)
    assert refused.exit_status == 1
    assert "[network: evil.test is not allowed]\n" in refused.text
    assert "network" not in (await harness.bash(2, "echo on")).text
    await harness.restart()
    await harness.attach()
    assert "[network: evil.test is not allowed]\n" in (await harness.bash(3, ASK)).text
