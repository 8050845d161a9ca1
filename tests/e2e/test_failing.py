"""What does not work says so: a broken program, a cancelled build, an order that cannot be accepted."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import taor_local
from taor_local.installation import ensure_up
from taor_local.options import Options
from tests.support.command import taor
from tests.support.installation import temporary_installation
from tests.support.waiting import wait_until

SLEEPER = """
title = "A long command"
[[step]]
[[step.tool]]
name = "bash"
input = { command = "echo begun > begun; sleep 500", timeout_seconds = 600 }
[[step]]
say = "Never reached."
"""
CANCEL_SECONDS = 120.0  # far less than the command would last
TOO_LARGE_BYTES = 1024 * 1024 + 1


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Options]:
    """An installation whose demo has one broken line, and that has a command that lasts."""
    scripts = tmp_path_factory.mktemp("scripts")
    shutil.copytree(Path(next(iter(taor_local.__path__))) / "demo", scripts / "demo")
    store = scripts / "demo/app/streaks/store.py"
    store.write_text(_replaced(store.read_text(), "MAX_HABITS = 50", "MAX_HABITS = 0"))
    (scripts / "sleeper").mkdir()
    (scripts / "sleeper/script.toml").write_text(SLEEPER)
    with pytest.MonkeyPatch.context() as patch, temporary_installation() as options:
        patch.setenv("TAOR_MODEL_SCRIPTS", str(scripts))
        ensure_up(options, lambda _: None)
        yield options


@pytest.fixture
def brief(tmp_path: Path) -> Path:
    return tmp_path / "brief.md"


def test_a_demo_with_one_broken_line_fails_and_says_why(installation: Options, tmp_path: Path) -> None:
    port = str(installation.base_port)
    said = taor(installation, "demo", "--base-port", port, "-o", str(tmp_path / "out"))
    assert said.status == 1, said.out + said.err
    assert "the build has failed" in said.err
    assert "[FAILED]" in said.err
    assert not (tmp_path / "out").exists()
    audited = taor(installation, "audit")
    assert audited.status == 0, audited.out + audited.err


def test_a_build_is_cancelled_in_the_midst_of_a_command(installation: Options, brief: Path) -> None:
    brief.write_text("Wait.\n\ntaor-script: sleeper\n")
    started = taor(installation, "build", "--brief", str(brief), "--no-follow", "--json")
    build_id = str(started.document["build_id"])
    wait_until(lambda: _tool_calls(installation, build_id) == 1, "the command has begun", timeout_seconds=60)
    assert taor(installation, "cancel", build_id).status == 0
    began = time.monotonic()
    watched = taor(installation, "watch", build_id)
    assert watched.status == 1
    assert "been cancelled" in watched.err
    assert time.monotonic() - began < CANCEL_SECONDS
    audited = taor(installation, "audit", build_id)
    assert audited.status == 0, audited.out + audited.err


def test_a_brief_without_a_script_says_that_the_model_is_scripted(installation: Options, brief: Path) -> None:
    brief.write_text("A shop for bread.")
    said = taor(installation, "build", "--brief", str(brief))
    assert said.status == 1
    assert "ANTHROPIC_API_KEY" in said.err


@pytest.mark.parametrize(
    ("more", "text", "status", "words"),
    [
        (("--tier", "emperor"), "A shop.", 4, "TIER_UNKNOWN"),
        (("--model", "oracle-1"), "A shop.", 4, "MODEL_UNKNOWN"),
        ((), "x" * TOO_LARGE_BYTES, 4, "BRIEF_TOO_LARGE"),
        ((), "", 4, "FIELD_MISSING"),
        (("--token", "wrong"), "A shop.", 4, "TOKEN_INVALID"),
        (("--qna", "{brief}"), "no questions", 2, "brief.md:1: text before the first 'Q:'"),
    ],
)
def test_an_order_that_cannot_be_accepted_is_refused_with_its_reason(
    installation: Options, brief: Path, more: tuple[str, ...], text: str, status: int, words: str
) -> None:
    brief.write_text(text)
    arguments = [argument.format(brief=brief) for argument in more]
    said = taor(installation, "build", "--brief", str(brief), *arguments)
    assert said.status == status, said.out + said.err
    assert words in said.err


def _replaced(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1
    return text.replace(old, new)


def _tool_calls(options: Options, build_id: str) -> int:
    return int(str(taor(options, "show", build_id, "--json").document["tool_calls"]))
