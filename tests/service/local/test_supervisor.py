"""The supervisor with a real PostgreSQL and two stand-in parts: it starts, restarts, and leaves nothing behind."""

import re
import signal
import socket
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from taor_local.endpoints import Endpoints, read_endpoints
from taor_local.errors import StartFailedError
from taor_local.folders import Folders
from taor_local.installation import down, ensure_up, status
from taor_local.options import Options
from taor_local.processes import ProcessId
from taor_local.state import PartState, Phase
from tests.support.installation import family_of, part_of, process_of
from tests.support.waiting import wait_until

STAND_INS = ("-P", str(Path(__file__).parents[2] / "support" / "stand_in_installation.py"))


def up(options: Options, progress: Callable[[str], None] = lambda _: None) -> Endpoints:
    """Bring the stand-ins up."""
    return ensure_up(options, progress, program=STAND_INS)


def supervisor_of(options: Options) -> ProcessId:
    """Say which process the supervisor is."""
    supervisor = status(options).supervisor
    assert supervisor is not None
    return supervisor


def test_up_and_down(installation_options: Options) -> None:
    told: list[str] = []
    endpoints = up(installation_options, told.append)
    assert read_endpoints(installation_options.data) == endpoints
    assert "starting PostgreSQL" in told
    assert [each.name for each in status(installation_options).parts if each.ready] == ["postgres", "first", "second"]
    family = family_of(installation_options)
    assert down(installation_options)
    assert [process for process in family if process.is_alive()] == []
    assert status(installation_options).phase is Phase.DOWN
    assert read_endpoints(installation_options.data) is None
    assert not down(installation_options), "there is nothing left to stop"


def test_secrets_are_closed_to_others(installation_options: Options) -> None:
    endpoints = up(installation_options)
    folders = Folders(installation_options.data)
    assert len(endpoints.read_token()) >= 40
    for path in (folders.token, folders.passwords, folders.endpoints, folders.log("first")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for folder in (folders.run, folders.logs, folders.blobs):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["postgres", "first", "second"])
def test_a_killed_part_comes_back(installation_options: Options, name: str) -> None:
    up(installation_options)
    killed = process_of(installation_options, name)
    killed.send(signal.SIGKILL)
    wait_until(lambda: not killed.is_alive(), "the part dies")
    wait_until(lambda: is_back(part_of(installation_options, name)), f"{name} comes back")
    assert status(installation_options).phase is Phase.UP


def is_back(part: PartState) -> bool:
    """Whether a part serves again after a restart."""
    return part.ready and part.restarts >= 1


def test_a_killed_supervisor_takes_its_parts_with_it(installation_options: Options) -> None:
    up(installation_options)
    family = family_of(installation_options)
    supervisor_of(installation_options).send(signal.SIGKILL)
    wait_until(lambda: not any(process.is_alive() for process in family), "everything ends")
    assert status(installation_options).phase is Phase.DOWN
    up(installation_options)
    assert status(installation_options).phase is Phase.UP


def test_down_after_a_kill_of_the_supervisor_waits_for_the_end_of_all(installation_options: Options) -> None:
    up(installation_options)
    family = family_of(installation_options)
    supervisor_of(installation_options).send(signal.SIGKILL)
    down(installation_options)
    assert [process for process in family if process.is_alive()] == []


def test_a_later_up_is_told_how_it_differs(installation_options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoints = up(installation_options)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "mine")
    told: list[str] = []
    assert up(replace(installation_options, base_port=7401), told.append) == endpoints
    assert [message for message in told if endpoints.orchestrator in message]
    assert [message for message in told if "the scripted model" in message]


def test_several_ups_at_once_are_one_system(installation_options: Options) -> None:
    with ThreadPoolExecutor() as pool:
        answers = [pool.submit(up, installation_options) for _ in range(3)]
    assert len({answer.result() for answer in answers}) == 1
    assert part_of(installation_options, "first").restarts == 0


def test_down_ends_a_start_that_is_on_its_way(installation_options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAOR_STAND_IN", "deaf")
    with ThreadPoolExecutor() as pool:
        starting = pool.submit(up, installation_options)
        wait_until(lambda: len(family_of(installation_options)) >= 3, "PostgreSQL and the parts start")
        family = family_of(installation_options)
        assert down(installation_options)
        with pytest.raises(StartFailedError, match="told to stop"):
            starting.result()
    assert [process for process in family if process.is_alive()] == []


def test_a_port_in_use_is_named_with_its_remedy(installation_options: Options) -> None:
    taken = installation_options.base_port + 2
    expected = rf"Port {taken} is in use.*--base-port"
    with socket.create_server(("127.0.0.1", taken)), pytest.raises(StartFailedError, match=expected):
        up(installation_options)
    up(installation_options)


def test_a_part_that_fails_is_named_with_its_log(
    installation_options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAOR_STAND_IN", "fail")
    log = Folders(installation_options.data).log("second")
    with pytest.raises(StartFailedError, match=rf"(?s)second.*{re.escape(str(log))}.*was told to fail"):
        up(installation_options)
    assert family_of(installation_options) == ()


def test_a_part_that_ignores_sigterm_is_killed(installation_options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAOR_STAND_IN", "stubborn")
    up(installation_options)
    stubborn = process_of(installation_options, "second")
    assert down(installation_options)
    assert not stubborn.is_alive()


def test_down_ends_what_a_part_left_behind(installation_options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAOR_STAND_IN", "orphan")
    up(installation_options)
    orphans = [each for each in family_of(installation_options) if b"sleep" in command_of(each)]
    assert len(orphans) == 1
    assert down(installation_options)
    assert not orphans[0].is_alive()


def command_of(process: ProcessId) -> bytes:
    """Read a process's command line."""
    return Path(f"/proc/{process.pid}/cmdline").read_bytes()


def test_the_callers_secrets_stay_with_the_caller(
    installation_options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY_SECRET", "canary-value")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "canary-value")
    monkeypatch.setenv("TAOR_SECOND_SETTING", "for the second only")
    assert not up(installation_options).scripted
    for process in family_of(installation_options):
        variables = Path(f"/proc/{process.pid}/environ").read_bytes()
        assert b"CANARY_SECRET" not in variables
        is_supervisor = process == supervisor_of(installation_options)
        assert (b"canary-value" in variables) == is_supervisor
        is_second = process == process_of(installation_options, "second")
        assert (b"for the second only" in variables) == (is_second or is_supervisor)


def test_a_deep_data_folder_gets_a_short_socket(installation_options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = installation_options.data.parent / "runtime"
    runtime.mkdir()
    runtime.chmod(0o711)
    for variable in ("XDG_RUNTIME_DIR", "TMPDIR"):
        monkeypatch.setenv(variable, str(runtime))
    deep = replace(installation_options, data=installation_options.data / ("d" * 60) / ("e" * 60))
    for folder in (deep.data.parent, deep.data):
        folder.parent.mkdir(exist_ok=True)
        folder.parent.chmod(0o711)
    up(deep)
    (socket_folder,) = runtime.iterdir()
    assert stat.S_IMODE(socket_folder.stat().st_mode) == 0o700
    assert down(deep)
    assert list(runtime.iterdir()) == []
