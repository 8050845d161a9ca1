"""Preview tokens: one build, one port, signed."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taor_sandbox.tokens import Preview, Tokens, read

TOKENS = Tokens("secret")


@given(st.uuids(), st.integers(1, 65535), st.integers(0, 2**32 - 1))
def test_a_token_is_a_host_name_and_says_what_it_grants(build: uuid.UUID, port: int, expires_at: int) -> None:
    preview = Preview(str(build), port, expires_at)
    token = TOKENS.make("local", preview)
    assert len(token) <= 63
    assert token.isalnum()
    assert token == token.lower()
    assert read(token) == preview
    assert TOKENS.verify(token, "local")


def test_it_holds_for_one_tenant_and_one_secret() -> None:
    token = TOKENS.make("local", Preview(str(uuid.UUID(int=7)), 80, 9))
    assert not TOKENS.verify(token, "other")
    assert not Tokens("other").verify(token, "local")


@pytest.mark.parametrize("position", range(61))
def test_no_character_can_be_changed(position: int) -> None:
    token = TOKENS.make("local", Preview(str(uuid.UUID(int=7)), 80, 9))
    other = "b" if token[position] == "a" else "a"
    assert not TOKENS.verify(token[:position] + other + token[position + 1 :], "local")


@pytest.mark.parametrize("text", ["", "x", "a" * 60, "a" * 62, "1" * 61, "é" * 61, "A" * 61])
def test_anything_else_is_no_token(text: str) -> None:
    assert not TOKENS.verify(text, "local")
    assert read(text) is None or text.islower()
