"""The demo, as `taor demo` runs it: it builds a program that works, and what was written about it can be audited."""

import http.client
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from taor_cli.results import get_status
from taor_local.options import Options
from taor_local.processes import descendants
from tests.support.command import taor
from tests.support.installation import database_dsn, process_of, temporary_installation

SECONDS = 120.0


@dataclass(frozen=True)
class Demo:
    """A demo that has run: its installation, its files, and what the command said."""

    options: Options
    folder: Path
    events: list[dict[str, object]]
    result: dict[str, object]

    @property
    def build(self) -> dict[str, object]:
        build = self.result["build"]
        assert isinstance(build, dict)
        return build

    @property
    def build_id(self) -> str:
        return str(self.build["build_id"])


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with temporary_installation() as options:
        folder = tmp_path_factory.mktemp("demo") / "streaks"
        base_port = str(options.base_port)
        said = taor(options, "demo", "--json", "--base-port", base_port, "-o", str(folder))
        assert said.status == 0, said.out[-2_000:] + said.err
        *events, result = [json.loads(line) for line in said.out.splitlines()]
        yield Demo(options, folder, events, result)


def test_the_demo_starts_taor_and_tells_a_whole_story(demo: Demo) -> None:
    kinds = [event["kind"] for event in demo.events]
    assert kinds.count("turn_taken") >= 20
    assert {"tool_called", "tool_answered", "narrated", "documented"} <= set(kinds)
    assert kinds[-1] == "ended"
    assert [event["sequence"] for event in demo.events] == list(range(1, len(kinds) + 1))
    assert demo.result["scripted"] is True


def test_the_files_are_there_and_their_tests_pass_outside_too(demo: Demo) -> None:
    command = (sys.executable, "-m", "unittest", "-q")
    done = subprocess.run(command, cwd=demo.folder, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    assert "Ran 19 tests" in done.stderr


def test_the_preview_answers_and_only_with_its_token(demo: Demo) -> None:
    preview = demo.result["preview"]
    assert isinstance(preview, dict)
    assert get_status(preview["url"]) == 200
    address = preview["url"].split("/")[2]
    connection = http.client.HTTPConnection("127.0.0.1", int(address.rpartition(":")[2]), timeout=10)
    connection.request("GET", "/", headers={"Host": "guessed.localhost"})
    assert connection.getresponse().status in (403, 404)
    connection.close()


def test_a_watch_that_comes_late_sees_the_same_story(demo: Demo) -> None:
    again = taor(demo.options, "watch", demo.build_id, "--json")
    assert again.status == 0, again.err
    assert [json.loads(line) for line in again.out.splitlines()] == demo.events


def test_the_demo_and_its_money_are_shown(demo: Demo) -> None:
    shown = taor(demo.options, "show", demo.build_id[:23])
    assert shown.status == 0, shown.err
    assert "SUCCEEDED" in shown.out
    assert isinstance(demo.build["spent_microdollars"], int)
    assert demo.build["spent_microdollars"] > 100_000
    assert "$0.2" in shown.out
    listed = taor(demo.options, "list", "--json").document["builds"]
    assert isinstance(listed, list)
    assert [build["build_id"] for build in listed] == [demo.build_id]


@dataclass(frozen=True)
class Tampering:
    """A change behind the services' backs, how to take it back, and what the audit must say."""

    database: str
    change: str
    undo: str
    check: int
    row: str


def _flipped(column: str, index: int) -> str:
    """SQL: the bytes of a column with one bit of one of them flipped."""
    return f"set_byte({column}, {index}, get_byte({column}, {index}) # 1)"


TAMPERINGS = {
    "1 µ$ is added to a settlement": Tampering(
        "taor_budget",
        "UPDATE reservations SET booked = booked + 1 WHERE state = 'SETTLED' AND epoch = 1 AND k = 3",
        "UPDATE reservations SET booked = booked - 1 WHERE state = 'SETTLED' AND epoch = 1 AND k = 3",
        4,
        "/1/3",
    ),
    "an event is dropped": Tampering(
        "taor_orchestrator",
        "CREATE TABLE kept AS SELECT * FROM events WHERE sequence = 17; DELETE FROM events WHERE sequence = 17",
        "INSERT INTO events SELECT * FROM kept; DROP TABLE kept",
        13,
        "event 17",
    ),
    "the last event is dropped": Tampering(
        "taor_orchestrator",
        "CREATE TABLE kept AS SELECT * FROM events ORDER BY sequence DESC LIMIT 1;"
        "DELETE FROM events WHERE sequence = (SELECT sequence FROM kept)",
        "INSERT INTO events SELECT * FROM kept; DROP TABLE kept",
        13,
        "event ",
    ),
    "a byte of a message is flipped": Tampering(
        "taor_checkpoint",
        f"UPDATE entries SET sealed_body = {_flipped('sealed_body', 100)} WHERE sequence = 6",
        f"UPDATE entries SET sealed_body = {_flipped('sealed_body', 100)} WHERE sequence = 6",
        1,
        "entry 6",
    ),
    "1 µ$ is added to an account": Tampering(
        "taor_budget",
        "UPDATE periods SET spent = spent + 1 WHERE period LIKE 'day/%'",
        "UPDATE periods SET spent = spent - 1 WHERE period LIKE 'day/%'",
        8,
        "period day/",
    ),
    "a result in the tool journal is another": Tampering(
        "taor_sandbox",
        f"UPDATE operations SET text_sha256 = {_flipped('text_sha256', 0)} WHERE tool = 'bash'",
        f"UPDATE operations SET text_sha256 = {_flipped('text_sha256', 0)} WHERE tool = 'bash'",
        10,
        "operation ",
    ),
}


@pytest.mark.parametrize("name", TAMPERINGS)
async def test_what_is_changed_behind_the_services_backs_is_found_and_named(demo: Demo, name: str) -> None:
    tampering = TAMPERINGS[name]
    await _execute(demo.options, tampering.database, tampering.change)
    try:
        audited = taor(demo.options, "audit", demo.build_id, "--json")
    finally:
        await _execute(demo.options, tampering.database, tampering.undo)
    assert audited.status == 1, audited.out + audited.err
    checks = audited.document["checks"]
    assert isinstance(checks, list)
    findings = next(check["findings"] for check in checks if check["number"] == tampering.check)
    assert any(tampering.row in f"{it['row']} {it['message']}" for it in findings), findings
    assert taor(demo.options, "audit", demo.build_id).status == 0


async def _execute(options: Options, database: str, statements: str) -> None:
    connection = await asyncpg.connect(database_dsn(options, database))
    try:
        # The journal and its kin are append-only by trigger; a superuser can go behind that.
        await connection.execute(f"SET session_replication_role = replica; {statements}")
    finally:
        await connection.close()


def test_a_preview_stops_answering_when_its_sandbox_is_killed(demo: Demo) -> None:
    """The last of this file: what comes after it would have no sandbox."""
    sandbox = process_of(demo.options, "sandbox")
    for process in descendants(sandbox.pid):
        process.send(signal.SIGKILL)
    said = taor(demo.options, "preview", demo.build_id)
    assert said.status != 0, said.out
    audited = taor(demo.options, "audit", demo.build_id)
    assert audited.status == 0, audited.out + audited.err
