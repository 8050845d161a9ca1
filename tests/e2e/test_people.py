"""People and a build: a word while a command runs, a question that is answered, a pause; all from the command line."""

import json
from pathlib import Path
from typing import Any

from taor_local.options import Options
from tests.support.command import taor
from tests.support.gate import Gate
from tests.support.waiting import wait_until

QUESTION = "Which colour shall it have?"


def test_a_build_hears_its_user_asks_a_question_and_goes_on_with_the_answer(
    installation: Options, tmp_path: Path
) -> None:
    build_id = _start(installation, tmp_path)
    gate = Gate(installation, build_id, "word")
    gate.wait_until_reached()
    assert taor(installation, "steer", build_id, "Mind the blind.").status == 0
    gate.open()
    _wait_for(installation, build_id, "WAITING_ANSWER")
    page = taor(installation, "show", build_id)
    assert QUESTION in page.out
    assert "2. blue" in page.out
    assert "taor answer" in page.out

    paused = taor(installation, "pause", build_id, "--json")
    assert paused.document["state"] == "PAUSED"
    assert taor(installation, "answer", build_id, "Green.").status == 0
    again = taor(installation, "answer", build_id, "No, blue.")
    assert (again.status, "NO_OPEN_QUESTION" in again.err) == (4, True), again.err
    assert _shown(installation, build_id)["state"] == "PAUSED"
    assert taor(installation, "resume", build_id).status == 0

    watched = taor(installation, "watch", build_id, "--json")
    assert watched.status == 0, watched.out + watched.err
    _hold_the_story_to_its_order([json.loads(line) for line in watched.out.splitlines()])
    late = taor(installation, "steer", build_id, "Too late.")
    assert (late.status, "BUILD_ENDED" in late.err) == (4, True), late.err
    audited = taor(installation, "audit", build_id)
    assert audited.status == 0, audited.out + audited.err


def _hold_the_story_to_its_order(events: list[dict[str, Any]]) -> None:
    """What was added stands before the second turn, the answer between the question and the third."""
    kinds = [event["kind"] for event in events]
    read = [event["message_read"]["text"] for event in events if event["kind"] == "message_read"]
    assert read == ["Your user adds: Mind the blind.", "Answer from your user: Green."]
    told = [kind for kind in kinds if kind in ("turn_taken", "message_read", "escalated", "ended")]
    assert told == [
        *("turn_taken", "message_read", "turn_taken", "escalated", "message_read"),
        *("turn_taken", "turn_taken", "ended"),
    ]
    states = [event["state_changed"]["after"] for event in events if event["kind"] == "state_changed"]
    assert states == ["RUNNING", "WAITING_ANSWER", "PAUSED", "QUEUED", "RUNNING", "SUCCEEDED"]


def _start(options: Options, folder: Path) -> str:
    brief = folder / "brief.md"
    brief.write_text("Give it a colour.\n\ntaor-script: ask\n")
    started = taor(options, "build", "--brief", str(brief), "--no-follow", "--json")
    assert started.status == 0, started.err
    return str(started.document["build_id"])


def _wait_for(options: Options, build_id: str, state: str) -> None:
    wait_until(lambda: _shown(options, build_id)["state"] == state, state)


def _shown(options: Options, build_id: str) -> dict[str, object]:
    return taor(options, "show", build_id, "--json").document
