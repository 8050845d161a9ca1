"""A build with a small allowance sleeps through its nights and ends with the files of one that had money enough."""

import asyncio
import hashlib
import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from taor_local.endpoints import Endpoints, read_endpoints
from taor_local.installation import ensure_up
from taor_local.options import Options
from tests.support.command import taor
from tests.support.installation import database_dsn, temporary_installation
from tests.support.waiting import wait_until

CHAPTERS = 30
PLANS = """
[frugal]
cycle_microdollars = {frugal}
max_concurrent_builds = 1
priority = 1
models = ["claude-sonnet-5-5"]

[ample]
cycle_microdollars = 900_000_000
max_concurrent_builds = 1
priority = 1
models = ["claude-sonnet-5-5"]
"""
DAY_MICRODOLLARS = 400_000
DATABASES = ("taor_orchestrator", "taor_budget", "taor_checkpoint", "taor_sandbox")
TOP_UP_DOLLARS = 50
WAIT_SECONDS = 180.0
BRIEF = "Write a novel.\n\ntaor-script: novel\n"
GRPCURL = Path(sys.executable).parent / "grpcurl"


def script() -> str:
    """A script that writes chapter after chapter, each long enough to cost something."""
    steps = ['title = "A novel"', "latency_ms = 5"]
    for number in range(CHAPTERS):
        text = " ".join(hashlib.sha256(f"{number} {line}".encode()).hexdigest() for line in range(120))
        tool = f'name = "write_file"\ninput = {{ path = "chapter-{number:02}.txt", content = "{text}" }}'
        steps.append(f"[[step]]\n[[step.tool]]\n{tool}")
    steps.append('[[step]]\n[[step.tool]]\nname = "bash"\ninput = { command = "ls" }\nexpect = "chapter-00.txt"')
    summary = '{ summary = "The novel is written.", verification = { command = "ls", outcome = "all chapters" } }'
    steps.append(f'[[step]]\n[[step.tool]]\nname = "finish"\ninput = {summary}')
    return "\n\n".join(steps)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Options]:
    """An installation with a plan that grants little a day, and a script that costs more."""
    folder = tmp_path_factory.mktemp("sleep")
    (folder / "scripts/novel").mkdir(parents=True)
    (folder / "scripts/novel/script.toml").write_text(script())
    plans = folder / "plans.toml"
    plans.write_text(PLANS.format(frugal=30 * DAY_MICRODOLLARS))
    with pytest.MonkeyPatch.context() as patch, temporary_installation() as options:
        patch.setenv("TAOR_MODEL_SCRIPTS", str(folder / "scripts"))
        patch.setenv("TAOR_BUDGET_PLANS", str(plans))
        patch.setenv("TAOR_BUDGET_TIME_ZONE", "UTC")
        ensure_up(options, lambda _: None)
        asyncio.run(set_clocks(options, next_noon()))
        yield options


@dataclass(frozen=True)
class Novel:
    """A build, seen from outside."""

    options: Options
    build_id: str

    @property
    def shown(self) -> dict[str, object]:
        """The build as it is shown."""
        return taor(self.options, "show", self.build_id, "--json").document

    def wait_for(self, *states: str) -> str:
        """Wait until the build is in one of these states, and tell which."""
        wait_until(lambda: self.shown["state"] in states, f"{states}: {self.shown}", timeout_seconds=WAIT_SECONDS)
        return str(self.shown["state"])

    def changes(self) -> list[dict[str, str]]:
        """Every change of its state."""
        return [event["state_changed"] for event in self.events("state_changed")]

    def events(self, kind: str) -> list[dict[str, dict[str, str]]]:
        """Its events of a kind, once it has ended."""
        watched = taor(self.options, "watch", self.build_id, "--json")
        return [event for line in watched.out.splitlines() if (event := json.loads(line))["kind"] == kind]

    def wait_for_next_rest(self, fell_asleep: int) -> None:
        """Wait until it has fallen asleep once more, or has ended: a day may be over in a moment."""
        wait_until(
            lambda: self.falls_asleep() > fell_asleep or self.shown["end_time"] is not None,
            f"a rest after {fell_asleep}",
            timeout_seconds=WAIT_SECONDS,
        )

    def falls_asleep(self) -> int:
        """How often it has gone to sleep so far."""
        return len(asyncio.run(query(self.options, "taor_orchestrator", FALLS_ASLEEP, uuid.UUID(self.build_id))))

    def files(self, folder: Path) -> dict[str, str]:
        """What came of it, by path, as hashes."""
        downloaded = taor(self.options, "files", self.build_id, "-o", str(folder))
        assert downloaded.status == 0, downloaded.err
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}

    def is_sound(self) -> None:
        """Money, history and effects agree."""
        audited = taor(self.options, "audit", self.build_id)
        assert audited.status == 0, audited.out + audited.err


def begin(options: Options, folder: Path, tier: str, user_id: str) -> Novel:
    """Start a novel."""
    (folder / "brief.md").write_text(BRIEF)
    arguments = ("--brief", str(folder / "brief.md"), "--tier", tier, "--user", user_id, "--no-follow", "--json")
    started = taor(options, "build", *arguments)
    assert started.status == 0, started.err
    return Novel(options, str(started.document["build_id"]))


@pytest.fixture(scope="module")
def ample(installation: Options, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The files of a build that never has to sleep."""
    folder = tmp_path_factory.mktemp("ample")
    novel = begin(installation, folder, "ample", "rich")
    assert novel.wait_for("SUCCEEDED", "FAILED", "SLEEPING") == "SUCCEEDED", json.dumps(novel.shown)
    files = novel.files(folder / "files")
    assert sum(name.startswith("chapter") for name in files) == CHAPTERS
    return files


def test_it_sleeps_through_its_nights_and_ends_with_the_same_files(
    installation: Options, ample: dict[str, str], tmp_path: Path
) -> None:
    novel = begin(installation, tmp_path, "frugal", "ada")
    assert novel.wait_for("SLEEPING", "SUCCEEDED", "FAILED") == "SLEEPING"
    wake_in_vain(installation, novel)
    nights = 0
    while novel.wait_for("SLEEPING", "SUCCEEDED", "FAILED") == "SLEEPING":
        nights += 1
        assert nights < 15
        sleep_until_morning(installation, novel)
    assert novel.shown["state"] == "SUCCEEDED", json.dumps(novel.shown)
    assert nights >= 3
    assert novel.falls_asleep() >= nights + 1
    assert len(asyncio.run(query(installation, "taor_budget", DAYS, "ada"))) == nights + 1
    assert novel.files(tmp_path / "files") == ample
    novel.is_sound()
    told = [event["allowance_low"] for event in novel.events("allowance_low")]
    assert len({each["refresh_time"] for each in told}) == len(told) >= nights
    assert all(each["p50"] and each["p90"] for each in told), told


FALLS_ASLEEP = "SELECT FROM events WHERE build_id = $1 AND payload::json ->> 'to' = 'SLEEPING'"
DAYS = "SELECT period FROM periods WHERE user_id = $1 AND period LIKE 'day/%' AND spent > 0"


def wake_in_vain(options: Options, novel: Novel) -> None:
    """Wake a build for which there is no money: it looks, pays for nothing, and sleeps again."""
    asked, fell_asleep = requests(options), novel.falls_asleep()
    assert taor(options, "wake", novel.build_id).status == 0
    novel.wait_for_next_rest(fell_asleep)
    assert requests(options) == asked


def sleep_until_morning(options: Options, novel: Novel) -> None:
    """Let the night pass at once: no model is asked in it."""
    asked, fell_asleep = requests(options), novel.falls_asleep()
    wake_time = datetime.fromisoformat(str(novel.shown["wake_time"]))
    assert requests(options) == asked
    asyncio.run(set_clocks(options, wake_time))
    novel.wait_for_next_rest(fell_asleep)


def test_it_goes_on_at_once_when_money_is_added_by_grpcurl(
    installation: Options, ample: dict[str, str], tmp_path: Path
) -> None:
    novel = begin(installation, tmp_path, "frugal", "bob")
    assert novel.wait_for("SLEEPING", "SUCCEEDED") == "SLEEPING"
    top_up(installation, "bob")
    assert novel.wait_for("SUCCEEDED", "FAILED") == "SUCCEEDED"
    reasons = [change["reason"] for change in novel.changes() if change["before"] == "SLEEPING"]
    assert reasons[-1] == "there is money again"
    assert novel.files(tmp_path / "files") == ample
    novel.is_sound()


def top_up(options: Options, user_id: str) -> None:
    """Add money as anybody can who has the token."""
    endpoints = endpoints_of(options)
    token = endpoints.token_file.read_text().strip()
    body = {"user_id": user_id, "microdollars": TOP_UP_DOLLARS * 1_000_000, "request_id": f"gift for {user_id}"}
    command = [
        str(GRPCURL),
        "-plaintext",
        "-max-time",
        "10",
        "-H",
        f"authorization: Bearer {token}",
        "-d",
        json.dumps(body),
    ]
    done = subprocess.run(
        [*command, endpoints.budget, "taor.budget.v1.BudgetService/TopUp"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def requests(options: Options) -> int:
    """How many requests have reached the model."""
    record = endpoints_of(options).model_record
    assert record is not None
    return len(record.read_text().splitlines())


def endpoints_of(options: Options) -> Endpoints:
    """Where the installation listens."""
    endpoints = read_endpoints(options.data)
    assert endpoints is not None
    return endpoints


def next_noon() -> datetime:
    """A time from which no midnight is near, later than what the clocks have shown so far."""
    return (datetime.now(UTC) + timedelta(days=1)).replace(hour=12, minute=0)


async def set_clocks(options: Options, instant: datetime) -> None:
    """Let the clocks of all four databases go on from an instant."""
    for database in DATABASES:
        await query(options, database, "UPDATE taor_clock_offset SET offset_by = $1 - clock_timestamp()", instant)


async def query(options: Options, database: str, statement: str, *arguments: object) -> list[asyncpg.Record]:
    """Look into, or change, a database behind the services' backs."""
    connection = await asyncpg.connect(database_dsn(options, database))
    try:
        return list(await connection.fetch(statement, *arguments))
    finally:
        await connection.close()
