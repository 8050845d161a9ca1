"""A build is rewound: forked at an earlier turn, with other words or another model, and compared with its origin."""

import json
from pathlib import Path

import pytest

from taor_local.options import Options
from tests.support.command import Said, taor
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def origin(installation: Options, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The build of the script, ended."""
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
    listed = taor(installation, "turns", origin, "--json").document["turns"]
    assert isinstance(listed, list)
    assert [(each["turn"], each["kept"]) for each in listed] == [(1, True), (2, True), (3, True), (4, True), (5, True)]

    forked = taor(installation, "fork", origin, "--at", "2", "--instruction", "Mind the order.", "--json")
    assert forked.status == 0, forked.out + forked.err
    events = [json.loads(line) for line in forked.out.splitlines()]
    assert [each["kind"] for each in events[:2]] == ["forked", "state_changed"]
    turns = [each["turn_taken"]["turn"] for each in events if each["kind"] == "turn_taken"]
    assert turns == [3, 4, 5]
    fork = str(taor(installation, "show", "latest", "--json").document["build_id"])
    shown = taor(installation, "show", fork, "--json").document
    assert (shown["origin_build_id"], shown["origin_turn"], shown["turns"]) == (origin, 2, 3)
    assert 0 < int(str(shown["spent_microdollars"])) < _spent(installation, origin)
    assert _log(installation, fork, tmp_path) == _log(installation, origin, tmp_path) == "first\nsecond\n"
    for each in (origin, fork):
        _hold_to_account(installation, each)

    same = taor(installation, "diff", origin, "4", "5", "--with", fork)
    assert same.out.strip() == "no file differs"
    differs = taor(installation, "diff", fork, "1", "3", "--json").document["changes"]
    assert isinstance(differs, list)
    assert [(each["path"], each["kind"]) for each in differs] == [
        *(("colour", "CHANGED"), ("made", "ADDED"), ("notes/log", "CHANGED"))
    ]
    assert "+second" in differs[2]["text_diff"]


def test_another_model_goes_on_in_a_segment_of_its_own(installation: Options, origin: str, tmp_path: Path) -> None:
    forked = taor(installation, "fork", origin, "--at", "2", "--model", "claude-haiku-5-5", "--no-follow", "--json")
    assert forked.status == 0, forked.err
    fork = str(forked.document["build_id"])
    _answer(installation, fork)  # the script begins anew, for no message of it was inherited
    assert taor(installation, "watch", fork).status == 0
    shown = taor(installation, "show", fork, "--json").document
    assert (shown["model"], shown["state"]) == ("claude-haiku-5-5", "SUCCEEDED")
    assert _log(installation, fork, tmp_path) == "first\n"
    nested = tmp_path / fork / "notes" / "notes" / "log"
    assert nested.read_text() == "first\nsecond\n", "its first command starts where the last one of the origin ended"
    _hold_to_account(installation, fork)


def test_what_cannot_be_had_is_refused_and_leaves_no_build(installation: Options, origin: str) -> None:
    before = taor(installation, "show", "latest", "--json").document["build_id"]
    refused = taor(installation, "fork", origin, "--at", "9", "--no-follow")
    assert (refused.status, "TURN_NOT_KEPT" in refused.err) == (4, True), refused.err
    assert "1–5" in refused.err
    unknown = taor(installation, "fork", origin, "--at", "2", "--model", "no-such-model", "--no-follow")
    assert "MODEL_UNKNOWN" in unknown.err
    assert taor(installation, "show", "latest", "--json").document["build_id"] == before
    order = ("fork", origin, "--at", "2", "--no-follow", "--json", "--request-id", f"fork-of-{origin}")
    first, again = taor(installation, *order), taor(installation, *order)
    assert first.document["build_id"] == again.document["build_id"]
    assert "REQUEST_ID_CONFLICT" in taor(installation, *order, "--instruction", "Otherwise.").err


def _answer(options: Options, build_id: str) -> None:
    wait_until(lambda: _state(options, build_id) == "WAITING_ANSWER", "the question", timeout_seconds=60)
    assert taor(options, "answer", build_id, "Yes.").status == 0


def _state(options: Options, build_id: str) -> str:
    return str(taor(options, "show", build_id, "--json").document["state"])


def _spent(options: Options, build_id: str) -> int:
    return int(str(taor(options, "show", build_id, "--json").document["spent_microdollars"]))


def _log(options: Options, build_id: str, folder: Path) -> str:
    files = folder / build_id
    assert taor(options, "files", build_id, "-o", str(files)).status == 0
    return (files / "notes" / "log").read_text()


def _hold_to_account(options: Options, build_id: str) -> None:
    for look in ("audit", "replay"):
        said: Said = taor(options, look, build_id)
        assert said.status == 0, said.out + said.err
