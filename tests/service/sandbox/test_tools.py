"""What the tools say when files are not as a model expects them: the same on each backend."""

import re
from collections.abc import AsyncIterator

import pytest
from taor.sandbox.v1 import sandbox_pb2 as pb

from taor_sandbox.app import running_backend
from taor_sandbox.config import SandboxConfig
from tests.service.sandbox.harness import Harness

ODD_FILES = r"""
printf 'a\r\nb\r\nc\r\n' > crlf; : > empty; printf 'x' > unended; printf 'caf\xe9\n' > latin; printf 'a\0b' > binary
printf '\xef\xbb\xbfbom\n' > marked; head -c 3000 /dev/zero | tr '\0' '!' > long; seq 3000 > many; ln -s loop loop
"""


@pytest.fixture
async def harness(any_config: SandboxConfig) -> AsyncIterator[Harness]:
    """A running service with one build whose project has odd files."""
    async with running_backend(any_config) as backend:
        harness = Harness(any_config, backend)
        await harness.start()
        await harness.attach()
        await harness.bash(1, ODD_FILES)
        yield harness
        await harness.stop()
        await harness.destroy_sandboxes()


async def read(harness: Harness, path: str, start: int = 0, end: int = 0) -> str:
    """What read_file says."""
    wanted = pb.ReadFile(path=path, start_line=start, end_line=end)
    return (await harness.run(harness.request(2, read_file=wanted))).text


async def edit(harness: Harness, sequence: int, path: str, *edits: tuple[str, str]) -> str:
    """What edit_file says."""
    replacements = [pb.EditFile.Replacement(old_text=old, new_text=new) for old, new in edits]
    request = harness.request(sequence, edit_file=pb.EditFile(path=path, edits=replacements))
    return (await harness.run(request)).text


async def test_odd_files_are_read_edited_and_written(harness: Harness) -> None:
    with_crlf = "[Every line of this file ends with CR LF; edit_file keeps that.]\n"
    assert await read(harness, "crlf", 2, 900) == f"     2\tb\n     3\tc\n{with_crlf}"
    assert await read(harness, "empty", 5) == "empty is empty."
    assert await read(harness, "crlf", 4) == "crlf has 3 lines; line 4 is behind its end."
    assert await read(harness, "unended") == "     1\tx\n"
    assert await read(harness, "marked") == "     1\t\ufeffbom\n"
    assert await read(harness, "long") == f"     1\t{'!' * 2000} [… 1000 more characters in this line]\n"
    assert (await read(harness, "many")).endswith(
        "[… lines 2001 to 3000 of 3000 left out; read on with start_line 2001 …]\n"
    )
    for path in ("latin", "binary"):
        assert (await read(harness, path)).endswith("; use bash to look at it.")
    assert await edit(harness, 3, "crlf", ("a\nb", "A\nB\nB"), ("c", "C")) == "Edited crlf: 2 replacements."
    assert "is empty; use write_file" in await edit(harness, 4, "empty", ("", "x"))
    assert "~/x leads outside of the project" in (await harness.write(5, "~/x", "x")).text
    for sequence, path in enumerate(("unended/x", "loop", "loop/x"), 6):
        assert f"{path} cannot be written: something on the way" in (await harness.write(sequence, path, "x")).text
    missed = await edit(harness, 9, "many", ("17\n18\n", "x\n"), ("4242\n", "y\n"))
    assert missed.startswith("Edit 2 of 2 of many: not found, nothing was changed.")
    assert (await harness.bash(10, "tr '\\r' R < crlf; wc -l < many")).text == "AR\nBR\nBR\nCR\n3000\n"


async def test_what_a_background_command_leaves_running_is_told_with_its_ports(harness: Harness) -> None:
    """As `npm run dev &` does: its shell is over at once, and the server is not."""
    serve = "while kill -0 $$; do sleep 0.01; done 2>&-; exec python3 -m http.server 8003 --bind 127.0.0.1 2>&-"
    told = (await harness.bash(3, f"echo begun; cd /tmp; ({serve}) & (exec sleep 77) & true", background=True)).text
    found = re.match(
        r"The background command has ended and left processes (\d+), (\d+) running, listening on port 8003.", told
    )
    assert found, told
    assert told.endswith("Stop it with kill.\nbegun\n")
    stopped = await harness.bash(4, f"pwd; kill {' '.join(found.groups())}; echo on")
    assert stopped.text.startswith("/workspace\non\n")
    ended = await harness.bash(5, "true & wait; exit 3", background=True)
    assert ended.text == "The background command has ended already.\n[The command ended with status 3.]\n"


async def test_searches_find_what_a_model_means(harness: Harness) -> None:
    """Patterns with a slash begin at the path; git's own folder and what .gitignore names are left out."""
    tree = "mkdir -p a/b '[id]/b' .git out; for f in a/b/x.py a/y.txt '[id]/b/x.py' .git/x.py out/x.py .env; do"
    await harness.bash(
        3, f"{tree} printf 'first\\nsecond line\\n' > \"$f\"; done; echo out > .gitignore; rm -f many loop"
    )
    assert await glob(harness, "b/*.py", "a") == await glob(harness, "a/b/*.py") == "a/b/x.py\n"
    assert await glob(harness, "./a/b/*.py") == await glob(harness, "/workspace/a/b/*.py") == "a/b/x.py\n"
    assert await glob(harness, "b/*.py", "[id]") == "[id]/b/x.py\n"
    assert await glob(harness, "*.py", "a") == "a/b/x.py\n"
    everything = await glob(harness, "**/*")
    assert ".env\n" in everything
    assert "out/" not in everything
    assert ".git/" not in everything
    assert await glob(harness, "a/") == "No file matches. a is a folder; what is below it is found with a/**"
    assert await glob(harness, "a/**") == "a/b/x.py\na/y.txt\n"
    assert await glob(harness, "*.rs") == "No file matches."
    assert await grep(harness, "second", glob="*.py") == "[id]/b/x.py:2:second line\na/b/x.py:2:second line\n"
    assert await grep(harness, "second", glob="b/*.py", path="a") == "a/b/x.py:2:second line\n"
    assert "/x.py" in await grep(harness, "second", glob="*")
    assert ".git/" not in await grep(harness, "second", glob="*")
    assert await grep(harness, r"first\nsecond", path="a/y.txt") == "a/y.txt:1:first\na/y.txt:2:second line\n"
    assert await grep(harness, "(?<=second )line", path="a/y.txt") == "a/y.txt:2:second line\n"
    await harness.bash(4, "chmod 000 a/y.txt")
    assert await grep(harness, "third", path="a") == "No line matches.\n[Some files cannot be read.]"
    assert (await grep(harness, "second", path="a")).endswith("second line\n[Some files cannot be read.]\n")


async def glob(harness: Harness, pattern: str, path: str = "") -> str:
    """What glob says."""
    return (await harness.run(harness.request(3, glob=pb.Glob(pattern=pattern, path=path)))).text


async def grep(harness: Harness, pattern: str, *, path: str = "", glob: str = "") -> str:
    """What grep says."""
    return (await harness.run(harness.request(3, grep=pb.Grep(pattern=pattern, path=path, glob=glob)))).text
