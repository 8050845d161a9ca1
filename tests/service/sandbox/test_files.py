"""The file tools inside a real sandbox: what they say when things are not as expected."""

import pytest
from taor.sandbox.v1 import sandbox_pb2 as pb

from tests.service.sandbox.harness import Harness


async def test_lines_are_numbered_and_ranges_can_be_had(harness: Harness) -> None:
    await harness.attach()
    await harness.write(1, "f", "".join(f"line {n}\n" for n in range(1, 5001)))
    part = await harness.run(harness.request(2, read_file=pb.ReadFile(path="f", start_line=10, end_line=11)))
    assert part.text == "    10\tline 10\n    11\tline 11\n"
    start = await harness.run(harness.request(2, read_file=pb.ReadFile(path="/workspace/f")))
    assert "of 5000 left out; read on with start_line" in start.text
    await harness.bash(3, r"printf 'a\x0cb\u2028c\r\nd\n' > odd")
    odd = await harness.run(harness.request(4, read_file=pb.ReadFile(path="odd")))
    assert odd.text == "     1\ta\x0cb\u2028c\r\n     2\td\n", "only a line feed ends a line"
    behind = await harness.run(harness.request(2, read_file=pb.ReadFile(path="f", start_line=6000)))
    assert behind.failure.code == pb.Failure.BAD_INPUT


@pytest.mark.parametrize("path", ["../etc/passwd", "/etc/passwd", "link/passwd", "a/../../etc/passwd"])
async def test_no_path_leads_out_of_the_project(harness: Harness, path: str) -> None:
    await harness.attach()
    await harness.bash(1, "ln -s /etc link")
    read = await harness.run(harness.request(2, read_file=pb.ReadFile(path=path)))
    written = await harness.write(2, path, "x")
    edit = pb.EditFile(path=path, edits=[pb.EditFile.Replacement(old_text="root", new_text="toor")])
    edited = await harness.run(harness.request(3, edit_file=edit))
    searched = await harness.run(harness.request(4, grep=pb.Grep(pattern="root", path=path)))
    codes = {each.failure.code for each in (read, written, edited, searched)}
    assert codes == {pb.Failure.PATH_OUTSIDE_PROJECT}


async def test_failures_say_what_is_wrong(harness: Harness) -> None:
    await harness.attach()
    await harness.bash(1, "mkdir folder; head -c 100 /dev/zero > zeros; mkfifo pipe")
    cases = {
        "missing": pb.Failure.NOT_FOUND,
        "folder": pb.Failure.NOT_A_FILE,
        "pipe": pb.Failure.NOT_A_FILE,
        "zeros": pb.Failure.NOT_TEXT,
    }
    for path, code in cases.items():
        result = await harness.run(harness.request(2, read_file=pb.ReadFile(path=path)))
        assert result.failure.code == code, path
    assert (await harness.write(2, "folder", "x")).failure.code == pb.Failure.NOT_A_FILE
    assert (await harness.write(3, "zeros/x", "x")).failure.code != pb.Failure.CODE_UNSPECIFIED


async def test_an_edit_with_a_miss_changes_nothing_and_shows_the_nearest_lines(harness: Harness) -> None:
    await harness.attach()
    await harness.write(1, "f.py", "def add(a, b):\n    return a + b\n")
    edits = [
        pb.EditFile.Replacement(old_text="def add", new_text="def sum"),
        pb.EditFile.Replacement(old_text="\treturn a + b", new_text="    return b + a"),
    ]
    missed = await harness.run(harness.request(2, edit_file=pb.EditFile(path="f.py", edits=edits)))
    assert missed.failure.code == pb.Failure.NO_MATCH
    assert "Edit 2 of 2" in missed.text
    assert "     2\t    return a + b" in missed.text
    shown = await harness.run(harness.request(3, read_file=pb.ReadFile(path="f.py", end_line=1)))
    assert shown.text == "     1\tdef add(a, b):\n"


async def test_writing_keeps_the_permissions_of_a_file(harness: Harness) -> None:
    await harness.attach()
    await harness.bash(1, "echo old > run.sh; chmod 755 run.sh")
    assert (await harness.write(2, "run.sh", "echo new\n")).text == "Wrote run.sh: 1 line."
    assert (await harness.bash(3, "stat -c %a run.sh; ./run.sh")).text == "755\nnew\n"


async def test_contents_and_names_can_be_searched(harness: Harness) -> None:
    await harness.attach()
    await harness.bash(1, "mkdir -p a/b .git; echo needle > a/b/x.py; echo needle > a/y.txt; echo needle > .git/z")
    found = await harness.run(harness.request(2, grep=pb.Grep(pattern="need.e")))
    assert found.text == "a/b/x.py:1:needle\na/y.txt:1:needle\n"
    assert (await harness.run(harness.request(2, grep=pb.Grep(pattern="n", glob="*.py")))).text == "a/b/x.py:1:needle\n"
    one = await harness.run(harness.request(2, grep=pb.Grep(pattern="needle", max_results=1)))
    assert "1 more left out" in one.text
    assert (await harness.run(harness.request(2, grep=pb.Grep(pattern="nothing")))).text == "No line matches."
    bad = await harness.run(harness.request(2, grep=pb.Grep(pattern="(")))
    assert bad.failure.code == pb.Failure.BAD_INPUT
    assert (await harness.run(harness.request(2, glob=pb.Glob(pattern="**/*.py")))).text == "a/b/x.py\n"
    assert (await harness.run(harness.request(2, glob=pb.Glob(pattern="*", path="a")))).text == "a/b/x.py\na/y.txt\n"
