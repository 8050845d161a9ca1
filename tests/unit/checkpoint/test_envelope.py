"""Envelope encryption: what opens, and what must not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taor_checkpoint.envelope import Key, ProjectKey, Unopened, new_wrapped_key

MASTER = Key(bytes(32))


def project_key(project_id: str = "project", tenant_id: str = "tenant") -> ProjectKey:
    """A new key of a project."""
    return ProjectKey.unwrap(tenant_id, project_id, new_wrapped_key(tenant_id, project_id, MASTER), MASTER)


@given(body=st.binary(max_size=300), sequence=st.integers(1, 2**60))
def test_a_body_comes_back(body: bytes, sequence: int) -> None:
    key = project_key()
    assert key.open_body(key.seal_body(body, sequence), sequence) == body


def test_two_seals_of_one_body_differ() -> None:
    key = project_key()
    assert key.seal_body(b"same", 1) != key.seal_body(b"same", 1)


@given(position=st.integers(0, 31), bit=st.integers(0, 7))
def test_a_flipped_bit_does_not_open(position: int, bit: int) -> None:
    key = project_key()
    sealed = bytearray(key.seal_body(b"body", 1))
    sealed[position] ^= 1 << bit
    with pytest.raises(Unopened):
        key.open_body(bytes(sealed), 1)


@pytest.mark.parametrize("sealed", [b"", b"short", bytes(12), bytes(27)])
def test_what_is_too_short_does_not_open(sealed: bytes) -> None:
    with pytest.raises(Unopened):
        project_key().open_body(sealed, 1)


def test_a_body_opens_at_its_own_sequence_only() -> None:
    key = project_key()
    with pytest.raises(Unopened):
        key.open_body(key.seal_body(b"body", 1), 2)


def test_a_key_opens_nothing_of_another_project() -> None:
    with pytest.raises(Unopened):
        project_key().open_body(project_key().seal_body(b"body", 1), 1)


@pytest.mark.parametrize(("tenant_id", "project_id"), [("tenant", "else"), ("else", "project"), ("tenan", "tproject")])
def test_a_wrapped_key_belongs_to_its_project(tenant_id: str, project_id: str) -> None:
    wrapped = new_wrapped_key("tenant", "project", MASTER)
    with pytest.raises(Unopened):
        ProjectKey.unwrap(tenant_id, project_id, wrapped, MASTER)


def test_a_wrapped_key_needs_its_master() -> None:
    with pytest.raises(Unopened):
        ProjectKey.unwrap("tenant", "project", new_wrapped_key("tenant", "project", MASTER), Key(bytes(range(32))))
