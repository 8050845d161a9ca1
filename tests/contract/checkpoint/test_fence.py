"""Only the newest claim of a build can write its log (C2)."""

import pytest

from taor_checkpoint.errors import NotAttached, ProjectMismatch, StaleEpoch
from tests.contract.checkpoint.laboratory import Laboratory, claim, head, user


async def test_an_append_of_an_older_epoch_is_stale(laboratory: Laboratory) -> None:
    build = await laboratory.attached(epoch=1)
    await laboratory.history.append(build, 1, 0, [head()])
    await laboratory.history.attach(claim(build, 2))
    with pytest.raises(StaleEpoch) as refusal:
        await laboratory.history.append(build, 1, 1, [user("from a stalled worker")])
    assert refusal.value.metadata == {"epoch": "2"}
    assert len(await laboratory.log(build)) == 1


async def test_a_replaced_worker_learns_it_from_its_own_retry(laboratory: Laboratory) -> None:
    build = await laboratory.attached(epoch=1)
    await laboratory.history.append(build, 1, 0, [head()])
    await laboratory.history.attach(claim(build, 2))
    with pytest.raises(StaleEpoch):
        await laboratory.history.append(build, 1, 0, [head()])


async def test_the_same_entries_of_another_epoch_are_no_retry(laboratory: Laboratory) -> None:
    build = await laboratory.attached(epoch=1)
    await laboratory.history.append(build, 1, 0, [head()])
    await laboratory.history.attach(claim(build, 2))
    outcome = await laboratory.entries.append(build, 2, 0, [head()], 0)
    assert (outcome.outcome, outcome.head) == ("HEAD_MOVED", 1)


async def test_an_older_claim_cannot_attach(laboratory: Laboratory) -> None:
    build = await laboratory.attached(epoch=3)
    with pytest.raises(StaleEpoch):
        await laboratory.history.attach(claim(build, 2))
    assert (await laboratory.history.session(build)).epoch == 3


async def test_an_equal_epoch_is_accepted_from_its_own_owner_only(laboratory: Laboratory) -> None:
    build = await laboratory.attached(epoch=1)
    await laboratory.history.append(build, 1, 0, [head()])
    assert await laboratory.history.attach(claim(build, 1)) == 1
    with pytest.raises(StaleEpoch):
        await laboratory.history.attach(claim(build, 1, owner="somebody else"))


async def test_an_epoch_must_attach_before_it_appends(laboratory: Laboratory) -> None:
    build = await laboratory.attached(epoch=1)
    with pytest.raises(NotAttached):
        await laboratory.history.append(build, 2, 0, [head()])


async def test_a_build_stays_in_its_project(laboratory: Laboratory) -> None:
    build = await laboratory.attached(epoch=1)
    with pytest.raises(ProjectMismatch):
        await laboratory.history.attach(claim(build, 2, project_id="another"))
    assert (await laboratory.history.session(build)).epoch == 1
