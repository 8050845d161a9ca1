"""The environment becomes a frozen dataclass, or one list of everything that is wrong with it."""

import dataclasses
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import pytest

from taor_chassis.config import ConfigError, Variable, describe, field, load


class Mode(Enum):
    LOCAL = "local"
    REMOTE = "remote"


def positive(value: int) -> str | None:
    return None if value > 0 else f"{value} is not above zero"


@dataclass(frozen=True, slots=True)
class Config:
    listen: str = field(env="T_LISTEN", help="where to serve")
    token: str = field(env="T_TOKEN", help="the bearer token", secret=True)
    pool_size: int = field(env="T_POOL", help="connections", default=8, check=positive)
    share: float = field(env="T_SHARE", help="a part", default=0.5)
    verbose: bool = field(env="T_VERBOSE", help="say more", default=False)
    folder: Path | None = field(env="T_FOLDER", help="where files go", default=None)
    mode: Mode = field(env="T_MODE", help="which backend", default=Mode.LOCAL)


NEEDED = {"T_LISTEN": "127.0.0.1:1", "T_TOKEN": "s3cret"}


def test_defaults_stand_where_nothing_is_set() -> None:
    assert load(Config, NEEDED) == Config("127.0.0.1:1", "s3cret", 8, 0.5, False, None, Mode.LOCAL)


def test_every_type_is_read_from_its_text() -> None:
    set_all = {"T_POOL": "3", "T_SHARE": "0.25", "T_VERBOSE": "Yes", "T_FOLDER": "/data", "T_MODE": "remote"}
    loaded = load(Config, NEEDED | set_all)
    assert loaded == Config("127.0.0.1:1", "s3cret", 3, 0.25, True, Path("/data"), Mode.REMOTE)


def test_all_mistakes_are_reported_at_once_by_the_names_of_their_variables() -> None:
    wrong = {"T_TOKEN": "", "T_POOL": "many", "T_SHARE": "half", "T_VERBOSE": "maybe", "T_MODE": "cloud"}
    with pytest.raises(ConfigError) as caught:
        load(Config, wrong)
    assert caught.value.mistakes == (
        "T_LISTEN: is required: where to serve",
        "T_TOKEN: is required: the bearer token",
        "T_POOL: 'many' is not a valid int",
        "T_SHARE: 'half' is not a valid float",
        "T_VERBOSE: 'maybe' is neither true nor false",
        "T_MODE: 'cloud' is not one of local, remote",
    )


def test_a_check_refuses_a_value_of_the_right_type() -> None:
    with pytest.raises(ConfigError, match="T_POOL: 0 is not above zero"):
        load(Config, NEEDED | {"T_POOL": "0"})


def test_fields_that_do_not_fit_together_are_a_mistake_too() -> None:
    @dataclass(frozen=True, slots=True)
    class Range:
        least: int = field(env="T_LEAST", help="from")
        most: int = field(env="T_MOST", help="to")

        def __post_init__(self) -> None:
            if self.least > self.most:
                raise ValueError("T_LEAST is above T_MOST")

    with pytest.raises(ConfigError, match="T_LEAST is above T_MOST"):
        load(Range, {"T_LEAST": "2", "T_MOST": "1"})


def test_a_secret_is_not_shown_and_nothing_can_be_changed() -> None:
    loaded = load(Config, NEEDED)
    assert "s3cret" not in repr(loaded)
    with pytest.raises(dataclasses.FrozenInstanceError):
        loaded.token = "another"  # type: ignore[misc] # what the test is about


def test_the_documentation_lists_every_variable() -> None:
    described = describe(Config)
    assert described[0] == Variable("T_LISTEN", "str", "where to serve", None, True)
    assert described[5] == Variable("T_FOLDER", "Path", "where files go", None, False)
    assert described[6] == Variable("T_MODE", "Mode", "which backend", "local", False)
    assert len(described) == 7
