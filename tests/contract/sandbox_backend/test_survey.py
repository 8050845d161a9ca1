"""What stands in the workspace: all of it, or only what is different from an earlier look."""

import stat

import pytest

from taor_sandbox.backends.errors import FileProblem, FileRefused
from taor_sandbox.backends.port import Backend, Sandbox, Standing, Survey
from tests.support.sandboxes import run, write_file

TREE = r"""
mkdir -p "a folder/deep" empty; printf one > f; printf 12 > "a folder/deep/g"; chmod 4750 f; ln -s f link
printf x > $'line\nbreak'; printf x > $'caf\xe9'; mkfifo pipe; python3 -c 'import socket; socket.socket(1).bind("s")'
"""


def paths(survey: Survey) -> set[str]:
    return {each.path for each in survey.there}


async def test_everything_is_told_with_its_kind_mode_size_and_target(sandbox: Sandbox) -> None:
    await run(sandbox, TREE)
    survey = await sandbox.survey()
    assert survey.is_whole
    assert survey.gone == []
    found = {each.path: each for each in survey.there}
    assert found.keys() == {
        "a folder", "a folder/deep", "a folder/deep/g", "empty", "f", "line\nbreak", "caf\udce9", "link"
    }  # fmt: skip
    assert (found["f"].mode, found["f"].size_bytes) == (stat.S_IFREG | 0o4750, 3)
    assert stat.S_ISDIR(found["empty"].mode)
    assert (stat.S_ISLNK(found["link"].mode), found["link"].target) == (True, "f")
    told = (await run(sandbox, "stat --format='%i %s %.9Y %.9Z' f")).stdout.replace(".", "").split()
    f = found["f"]
    assert [f.inode, f.size_bytes, f.modified_ns, f.changed_ns] == [int(each) for each in told]
    order = [each.path for each in survey.there]
    assert order.index("a folder") < order.index("a folder/deep") < order.index("a folder/deep/g")


@pytest.mark.parametrize(
    ("change", "there", "gone"),
    [
        ("true", set(), set()),
        ("printf two > f", {"f"}, set()),
        ("printf onE > f; touch -d @1 f", {"f"}, set()),
        ("chmod 600 f", {"f"}, set()),
        ("ln -sf g link", {"link"}, set()),
        ("mkdir empty/new", {"empty", "empty/new"}, set()),
        ("rm -r empty", set(), {"empty"}),
        ("mv 'a folder' b", {"b", "b/deep", "b/deep/g"}, {"a folder", "a folder/deep", "a folder/deep/g"}),
        ("rm f; mkdir f", {"f"}, set()),
    ],
)
async def test_only_what_is_different_is_told_where_the_earlier_look_is_known(
    sandbox: Sandbox, change: str, there: set[str], gone: set[str]
) -> None:
    await run(sandbox, TREE)
    before = await sandbox.survey()
    await run(sandbox, change)
    after = await sandbox.survey(before.stamp)
    assert not after.is_whole
    assert (paths(after) - {"b/deep"}, set(after.gone)) == (there - {"b/deep"}, gone)
    whole = {each.path: each for each in (await sandbox.survey()).there}
    pieced = {each.path: each for each in before.there if each.path not in after.gone}
    assert {**pieced, **{each.path: each for each in after.there}} == whole


async def test_of_an_unknown_look_everything_is_told(sandbox: Sandbox) -> None:
    await run(sandbox, TREE)
    first, second = await sandbox.survey(), await sandbox.survey("never heard of")
    assert second.is_whole
    assert second.there == first.there
    assert (await sandbox.survey(first.stamp)).is_whole, "only the last one is remembered"


async def test_it_is_remembered_whoever_asks(backend: Backend, sandbox: Sandbox) -> None:
    await run(sandbox, TREE)
    before = await sandbox.survey()
    await write_file(sandbox, "new", b"")
    other = await backend.attach(sandbox.provider_id)
    after = await other.survey(before.stamp)
    await other.close()
    assert (after.is_whole, paths(after)) == (False, {"new"})


async def test_large_answers_come_whole(sandbox: Sandbox) -> None:
    await run(sandbox, "for d in {1..20}; do mkdir $d; (cd $d; touch a-name-of-some-length-{1..100}); done")
    survey = await sandbox.survey()
    assert len(survey.there) == 20 * 101
    assert all(isinstance(each, Standing) for each in survey.there)


async def test_what_is_locked_is_not_passed_over(sandbox: Sandbox) -> None:
    await run(sandbox, "mkdir dark; touch dark/f; chmod 000 dark")
    with pytest.raises(FileRefused) as refused:
        await sandbox.survey()
    assert refused.value.problem is FileProblem.DENIED
