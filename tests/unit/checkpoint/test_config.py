"""The master key and the days of retention in the environment: what is accepted, and what is said about the rest."""

import base64
from datetime import timedelta

import pytest

from taor_chassis.config import ConfigError, load
from taor_checkpoint.config import CheckpointConfig

SECRET = bytes(range(224, 256))
OTHERS = {"TAOR_CHECKPOINT_LISTEN": "127.0.0.1:0", "TAOR_CHECKPOINT_DSN": "postgresql://", "TAOR_TOKEN": "token"}


@pytest.mark.parametrize(
    "text",
    [
        base64.b64encode(SECRET).decode(),
        base64.urlsafe_b64encode(SECRET).decode(),
        base64.urlsafe_b64encode(SECRET).decode().rstrip("="),
    ],
    ids=["standard", "url-safe", "without padding"],
)
def test_a_master_key_of_either_alphabet(text: str) -> None:
    assert load(CheckpointConfig, OTHERS | {"TAOR_CHECKPOINT_MASTER_KEY": text}).master_secret == SECRET


@pytest.mark.parametrize(
    ("text", "mistake"),
    [("", "is required"), ("no base64!", "is not base64"), ("a", "is not base64"), ("c2hvcnQ=", "has 5 bytes")],
)
def test_anything_else_is_a_mistake(text: str, mistake: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(CheckpointConfig, OTHERS | {"TAOR_CHECKPOINT_MASTER_KEY": text})
    assert f"TAOR_CHECKPOINT_MASTER_KEY: {mistake}" in str(error.value)


@pytest.mark.parametrize(("text", "kept"), [("", None), ("0", None), ("30", timedelta(days=30))])
def test_logs_are_kept_for_good_unless_days_are_given(text: str, kept: timedelta | None) -> None:
    key = base64.b64encode(SECRET).decode()
    environment = OTHERS | {"TAOR_CHECKPOINT_MASTER_KEY": key, "TAOR_CHECKPOINT_RETENTION_DAYS": text}
    assert load(CheckpointConfig, environment).retention == kept


@pytest.mark.parametrize("text", ["-1", "36501", "a week"])
def test_days_that_cannot_be_meant_are_a_mistake(text: str) -> None:
    with pytest.raises(ConfigError, match="TAOR_CHECKPOINT_RETENTION_DAYS"):
        load(CheckpointConfig, OTHERS | {"TAOR_CHECKPOINT_RETENTION_DAYS": text})
