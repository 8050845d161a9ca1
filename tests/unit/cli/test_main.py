"""The command itself: quick to ask, and honest about what it can do."""

import subprocess
import sys

from click.testing import CliRunner

from taor_cli.main import ENTRIES, cli

HEAVY = ("grpc", "rich", "orjson", "google.protobuf", "asyncpg", "taor_local")


def test_the_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; from taor_cli.main import cli; cli(['--help'], standalone_mode=False);"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_help_names_every_command_and_the_exit_codes() -> None:
    text = CliRunner().invoke(cli, ["--help"]).output
    assert all(f"  {name} " in text for name in ENTRIES)
    assert "130 detached" in text


def test_every_command_teaches_with_its_help() -> None:
    for name in ENTRIES:
        result = CliRunner().invoke(cli, [name, "--help"])
        assert result.exit_code == 0, name
        assert "--json" in result.output, name


def test_an_unknown_command_is_a_usage_error() -> None:
    assert CliRunner().invoke(cli, ["biuld"]).exit_code == 2


def test_a_command_that_is_not_there_is_told_with_those_that_are_like_it() -> None:
    said = CliRunner().invoke(cli, ["shwo"])
    assert said.exit_code == 2
    assert "No such command 'shwo'. Did you mean 'show'?" in said.output
