"""A build is rewound: forked at an earlier turn, with other words or another model, and compared with its origin."""

import json
from pathlib import Path

import pytest

from taor_local.options import Options
from tests.support.command import taor
from tests.support.waiting import wait_until

LINES = "first\nsecond\nthird\n"


@pytest.fixture(scope="module")
def origin(installation: Options, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The build of the script, ended; of its third turn no snapshot was taken."""
    brief = tmp_path_factory.mktemp("brief") / "brief.md"
    brief.write_text("Write a log.\n\ntaor-script: rewind\n")
    started = taor(installation, "build", "--brief", str(brief), "--no-follow", "--json")
    assert started.status == 0, started.err
    build_id = str(started.document["build_id"])
    _answer(installation, build_id)
    watched = taor(installation, "watch", build_id)
    assert watched.status == 0, watched.out + watched.err
    return build_id


def test_a_fork_goes_on_from_a_turn_with_its_files_and_leaves_the_origin_alone(
    installation: Options, origin: str, tmp_path: Path
) -> None:
    forked = taor(installation, "fork", origin, "--at", "2", "--instruction", "Mind the order.", "--json")
    assert forked.status == 0, forked.out + forked.err
    events = [json.loads(line) for line in forked.out.splitlines()]
    assert [each["kind"] for each in events[:2]] == ["forked", "state_changed"]
    assert [each["turn_taken"]["turn"] for each in events if each["kind"] == "turn_taken"] == [3, 4, 5]
    shown = taor(installation, "show", "latest", "--json").document
    fork = str(shown["build_id"])
    assert (shown["origin_build_id"], shown["origin_turn"], shown["turns"]) == (origin, 2, 3)
    cost = taor(installation, "show", origin, "--json").document["spent_microdollars"]
    assert 0 < int(str(shown["spent_microdollars"])) < int(str(cost))
    assert _log(installation, fork, tmp_path) == _log(installation, origin, tmp_path) == LINES
    _hold_to_account(installation, origin)
    _hold_to_account(installation, fork)
    _hold_to_account(installation, fork, "replay")

    assert taor(installation, "diff", origin, "4", "5", "--with", fork).out.strip() == "no file differs"
    differs = taor(installation, "diff", fork, "1", "4", "--json").document["changes"]
    assert isinstance(differs, list)
    assert [(each["path"], each["kind"]) for each in differs] == [
        *(("colour", "CHANGED"), ("made", "ADDED"), ("notes/log", "CHANGED"))
    ]
    assert "+second" in differs[2]["text_diff"]


def test_another_model_goes_on_in_a_segment_of_its_own(installation: Options, origin: str, tmp_path: Path) -> None:
    forked = taor(installation, "fork", origin, "--at", "1", "--model", "claude-haiku-5-5", "--no-follow", "--json")
    assert forked.status == 0, forked.err
    fork = str(forked.document["build_id"])
    _answer(installation, fork)  # the script begins anew, for no message of it was inherited
    assert taor(installation, "watch", fork).status == 0
    shown = taor(installation, "show", fork, "--json").document
    assert (shown["model"], shown["state"]) == ("claude-haiku-5-5", "SUCCEEDED")
    assert _log(installation, fork, tmp_path) == "first\n"
    nested = tmp_path / fork / "notes" / "notes" / "log"
    assert nested.read_text() == LINES, "its first command starts where the last one of the origin ended"
    _hold_to_account(installation, fork)


def test_a_turn_that_is_not_kept_is_refused_or_made_again(installation: Options, origin: str, tmp_path: Path) -> None:
    listed = taor(installation, "turns", origin, "--json").document["turns"]
    assert isinstance(listed, list)
    assert [each["kept"] for each in listed] == [True, True, False, True, True]
    refused = taor(installation, "fork", origin, "--at", "3")
    assert (refused.status, "TURN_NOT_KEPT" in refused.err) == (4, True), refused.err
    assert "1–2, 4–5" in refused.err
    again = taor(installation, "fork", origin, "--at", "3", "--redo")
    assert again.status == 0, again.out + again.err
    fork = str(taor(installation, "show", "latest", "--json").document["build_id"])
    assert _log(installation, fork, tmp_path) == LINES
    _hold_to_account(installation, fork)


def _answer(options: Options, build_id: str) -> None:
    wait_until(lambda: _state(options, build_id) == "WAITING_ANSWER", "the question", timeout_seconds=60)
    assert taor(options, "answer", build_id, "Yes.").status == 0


def _state(options: Options, build_id: str) -> str:
    return str(taor(options, "show", build_id, "--json").document["state"])


def _log(options: Options, build_id: str, folder: Path) -> str:
    files = folder / build_id
    assert taor(options, "files", build_id, "-o", str(files)).status == 0
    return (files / "notes" / "log").read_text()


def _hold_to_account(options: Options, build_id: str, look: str = "audit") -> None:
    said = taor(options, look, build_id)
    assert said.status == 0, said.out + said.err
