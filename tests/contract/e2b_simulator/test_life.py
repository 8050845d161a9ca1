"""A sandbox's life as the SDK leads it: made, found, paused, resumed, timed out, killed."""

import asyncio

import pytest
from e2b import AsyncSandbox, SandboxLifecycle, SandboxQuery, SandboxState
from e2b.connection_config import ApiParams
from e2b.exceptions import (
    AuthenticationException,
    RateLimitException,
    SandboxException,
    SandboxNotFoundException,
    SandboxNotRunningException,
    ServiceBusyException,
)

from taor_e2b_simulator.faults import Fault, FaultKind
from taor_e2b_simulator.sandbox import State
from taor_e2b_simulator.simulator import Simulator


async def test_a_sandbox_is_found_by_its_metadata(options: ApiParams) -> None:
    made = await AsyncSandbox.create(metadata={"key": "build/1 & more"}, timeout=300, **options)
    await AsyncSandbox.create(metadata={"key": "build/2"}, timeout=300, **options)
    found = await AsyncSandbox.list(SandboxQuery(metadata={"key": "build/1 & more"}), **options).next_items()
    assert [info.sandbox_id for info in found] == [made.sandbox_id]


async def test_a_list_has_pages(options: ApiParams) -> None:
    made = {(await AsyncSandbox.create(timeout=300, **options)).sandbox_id for _ in range(3)}
    pages = AsyncSandbox.list(limit=2, **options)
    first, second = await pages.next_items(), await pages.next_items()
    assert (len(first), len(second), pages.has_next) == (2, 1, False)
    assert {info.sandbox_id for info in first + second} == made


async def test_an_idempotency_key_makes_one_sandbox(options: ApiParams) -> None:
    first, second = await asyncio.gather(
        *(AsyncSandbox.create(timeout=300, idempotency_key="a-key", **options) for _ in range(2))
    )
    assert first.sandbox_id == second.sandbox_id
    with pytest.raises(SandboxException, match="belongs to another request"):
        await AsyncSandbox.create(timeout=301, idempotency_key="a-key", **options)


async def test_what_runs_goes_on_after_a_pause(sandbox: AsyncSandbox, options: ApiParams) -> None:
    await sandbox.commands.run("sh -c 'sleep 0.5; touch after' >/dev/null 2>&1 &", cwd="/tmp")
    await AsyncSandbox.pause(sandbox.sandbox_id, **options)
    assert (await AsyncSandbox.get_info(sandbox.sandbox_id, **options)).state is SandboxState.PAUSED
    await asyncio.sleep(0.7)  # nothing is to happen in it
    with pytest.raises(SandboxNotRunningException):
        await sandbox.commands.run("true")
    await sandbox.connect(timeout=300)
    waited = await sandbox.commands.run("until [ -e /tmp/after ]; do sleep 0.01; done; echo there")
    assert waited.stdout == "there\n"


async def test_a_resume_from_disk_keeps_files_and_no_process(sandbox: AsyncSandbox, options: ApiParams) -> None:
    await sandbox.files.write("/home/user/file", "kept")
    await sandbox.commands.run("sleep 77 >/dev/null 2>&1 &")
    await AsyncSandbox.pause(sandbox.sandbox_id, mode="filesystem", **options)
    await sandbox.connect(timeout=300)
    assert await sandbox.files.read("/home/user/file") == "kept"
    assert (await sandbox.commands.run("grep -lx sleep /proc/[0-9]*/comm || true")).stdout == ""


async def test_lost_changes_bring_back_the_files_of_the_pause_before(
    sandbox: AsyncSandbox, options: ApiParams, simulator: Simulator
) -> None:
    simulator.faults.arm(Fault(FaultKind.LOST_CHANGES, skip=1))
    for content in ("first", "second"):
        await sandbox.files.write("/home/user/file", content)
        await AsyncSandbox.pause(sandbox.sandbox_id, **options)
        await sandbox.connect(timeout=300)
    assert await sandbox.files.read("/home/user/file") == "first"


@pytest.mark.parametrize("pauses", [True, False])
async def test_a_time_out_does_what_was_ordered(options: ApiParams, simulator: Simulator, pauses: bool) -> None:
    lifecycle = SandboxLifecycle(on_timeout="pause" if pauses else "kill")
    made = await AsyncSandbox.create(timeout=1, lifecycle=lifecycle, **options)
    states = {made.sandbox_id: State.PAUSED} if pauses else {}
    async with asyncio.timeout(60):
        while {each.sandbox_id: each.state for each in simulator.shelf} != states:  # noqa: ASYNC110 - happens elsewhere
            await asyncio.sleep(0.02)


async def test_a_killed_sandbox_is_gone_with_its_files(
    sandbox: AsyncSandbox, options: ApiParams, simulator: Simulator
) -> None:
    folder = simulator.shelf.find(sandbox.sandbox_id).folder
    assert await AsyncSandbox.kill(sandbox.sandbox_id, **options)
    assert not await AsyncSandbox.kill(sandbox.sandbox_id, **options)
    assert not folder.exists()
    with pytest.raises(SandboxNotFoundException):
        await AsyncSandbox.get_info(sandbox.sandbox_id, **options)


async def test_a_wrong_key_is_not_let_in(options: ApiParams) -> None:
    with pytest.raises(AuthenticationException):
        await AsyncSandbox.create(**(options | ApiParams(api_key="e2b_wrong")))


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (FaultKind.BUSY, ServiceBusyException),
        (FaultKind.RATE_LIMITED, RateLimitException),
        (FaultKind.BAD_GATEWAY, SandboxException),
    ],
)
async def test_a_refusal_reaches_the_caller_as_the_sdk_names_it(
    options: ApiParams, simulator: Simulator, kind: FaultKind, error: type[Exception]
) -> None:
    simulator.faults.arm(Fault(kind, "/v2/sandboxes"))
    with pytest.raises(error):
        await AsyncSandbox.create(**(options | ApiParams(retries=0)))
    assert list(simulator.shelf) == []
