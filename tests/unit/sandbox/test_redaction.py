"""Secret-shaped strings do not leave the service."""

import pytest

from taor_sandbox.redaction import StreamRedactor, redact

SECRETS = {
    "anthropic-key": "sk-ant-api03-" + "a1B2_-" * 5,
    "openai-key": "sk-proj-" + "a1B2" * 10,
    "aws-access-key": "AKIA" + "ABCD1234" * 2,
    "github-token": "ghp_" + "a1B2" * 9,
    "google-key": "AIza" + "a1B2c" * 7,
    "slack-token": "xoxb-" + "1234-abcd-" * 3,
    "e2b-key": "e2b_" + "0a1b" * 10,
    "jwt": "eyJ" + "a" * 20 + ".eyJ" + "b" * 20 + "." + "c" * 20,
    "private-key": "-----BEGIN RSA PRIVATE KEY-----\nabc\ndef\n-----END RSA PRIVATE KEY-----",
}


@pytest.mark.parametrize(("kind", "secret"), SECRETS.items())
def test_a_secret_is_replaced_by_its_kind(kind: str, secret: str) -> None:
    assert redact(f"before {secret} after") == f"before [redacted {kind}] after"
    assert redact(redact(f"x={secret}")) == redact(f"x={secret}")


@pytest.mark.parametrize("text", ["risk-free", "sk-short", "AKIA", "a task-" + "x" * 8, "-----BEGIN CERTIFICATE-----"])
def test_ordinary_words_stay(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize("secret", SECRETS.values())
def test_a_secret_that_comes_in_pieces_is_not_shown(secret: str) -> None:
    redactor = StreamRedactor()
    text = f"one\n{secret}\n".encode()
    shown = b"".join(redactor.feed(text[at : at + 3]) for at in range(0, len(text), 3)) + redactor.rest()
    assert shown.startswith(b"one\n[redacted ")
    assert secret.splitlines()[-1].encode() not in shown


def test_output_without_line_ends_is_held_back_only_so_far() -> None:
    redactor = StreamRedactor()
    assert redactor.feed(b"50 %") == b""
    assert redactor.feed(b"x" * 5000).startswith(b"50 %")
    assert redactor.feed(b"end") == b""
    assert redactor.rest() == b"end"
