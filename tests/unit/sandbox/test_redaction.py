"""Secret-shaped strings do not leave the service."""

import time

import pytest

from taor_sandbox.redaction import StreamRedactor, redact, without_private_keys

KEY = "-----BEGIN RSA PRIVATE KEY-----\nabcd\ndefg==\n-----END RSA PRIVATE KEY-----"
SECRETS = {
    "anthropic-key": "sk-ant-api03-" + "a1B2_-" * 5,
    "openai-key": "sk-proj-" + "a1B2" * 10,
    "aws-access-key": "AKIA" + "ABCD1234" * 2,
    "github-token": "ghp_" + "a1B2" * 9,
    "gitlab-token": "glpat-" + "a1B2_" * 4,
    "google-key": "AIza" + "a1B2c" * 7,
    "google-token": "ya29." + "a1B2_" * 10,
    "slack-token": "xoxb-" + "1234-abcd-" * 3,
    "stripe-key": "sk_live_" + "a1B2" * 6,
    "npm-token": "npm_" + "a1B2" * 9,
    "pypi-token": "pypi-" + "a1B2_" * 12,
    "hugging-face-token": "hf_" + "a1" * 17,
    "groq-key": "gsk_" + "a1B2" * 13,
    "xai-key": "xai-" + "a1B2" * 20,
    "sendgrid-key": "SG." + "a1B2_-" * 4 + "." + "a1B2_" * 8,
    "digitalocean-token": "dop_v1_" + "0a1b" * 16,
    "docker-token": "dckr_pat_" + "a1B2_" * 5,
    "vault-token": "hvs." + "a1B2_" * 6,
    "telegram-token": "123456789:AA" + "a1B2_-" * 5 + "xyz",
    "age-key": "AGE-SECRET-KEY-1" + "QP" * 29,
    "e2b-key": "e2b_" + "0a1b" * 10,
    "jwt": "eyJ" + "a" * 20 + ".eyJ" + "b" * 20 + "." + "c" * 20,
    "private-key": KEY,
}
ORDINARY = [
    "risk-free", "sk-short", "AKIA", "a task-" + "x" * 8, "-----BEGIN CERTIFICATE-----",
    "disk-usage-of-the-whole-machine-and-more-2024-11", "aws_secret_access_key = os.environ['KEY']",
]  # fmt: skip


@pytest.mark.parametrize(("kind", "secret"), SECRETS.items())
def test_a_secret_is_replaced_by_its_kind(kind: str, secret: str) -> None:
    assert redact(f"before {secret} after") == f"before [redacted {kind}] after"
    assert redact(redact(f"x={secret}")) == redact(f"x={secret}")


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_words_stay(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize("before", ["AWS_SECRET_ACCESS_KEY=", "aws_secret_access_key = '", '"awsSecretKey": "'])
def test_a_secret_without_a_shape_is_known_by_its_name(before: str) -> None:
    assert redact(before + "a1B2/+cdEF" * 4) == f"{before}[redacted aws-secret-key]"


def test_the_end_of_a_private_key_is_one_too() -> None:
    tail = KEY.partition("\n")[2]
    assert redact(f"above: x\n{tail}\nbelow") == "above: x\n[redacted private-key]\nbelow"
    assert redact("PGP: " + KEY.replace("RSA PRIVATE KEY", "PGP PRIVATE KEY BLOCK")) == "PGP: [redacted private-key]"


def test_each_line_of_a_private_key_goes_and_the_others_keep_their_numbers() -> None:
    lines = ["a", *KEY.split("\n"), "b", "the -----BEGIN RSA PRIVATE KEY----- of a parser", "c"]
    assert without_private_keys(lines) == ["a", *["[redacted private-key]"] * 4, *lines[-3:]]


def test_long_text_costs_little() -> None:
    """Thirty shapes, each looked for only where a word of it stands; a shape that looks back and forth would show."""
    text = "abcdEFGH1234+/==\n" * 20_000 + "PRIVATE KEY secret sk- eyJ ghp_"
    began = time.process_time()
    redact(text)
    assert time.process_time() - began < 2


@pytest.mark.parametrize("secret", SECRETS.values())
def test_a_secret_that_comes_in_pieces_is_not_shown(secret: str) -> None:
    redactor = StreamRedactor()
    text = f"one\n{secret}\n".encode()
    shown = b"".join(redactor.feed(text[at : at + 3]) for at in range(0, len(text), 3))
    assert shown.startswith(b"one\n[redacted ")
    assert secret.splitlines()[-1].encode() not in shown


@pytest.mark.parametrize("at", [5_000, 5_003, 5_020])
def test_a_secret_in_a_line_that_does_not_end_is_not_shown_in_halves(at: int) -> None:
    secret = SECRETS["github-token"]
    text = ("word " * 1_000 + f"{secret} and so on " + "word " * 2_000).encode()
    redactor = StreamRedactor()
    shown = redactor.feed(text[:at]) + redactor.feed(text[at:])
    assert b"word [redacted github-token] and so on word" in shown


def test_output_without_line_ends_is_held_back_only_so_far() -> None:
    redactor = StreamRedactor()
    assert redactor.feed(b"50 %") == b""
    assert redactor.feed(b" done " + b"x" * 5_000) == b"50 % done "
    assert redactor.feed(b"x" * 100_000) == b"", "a word without end is not shown, and not kept"
    assert redactor.feed(b"x on\n") == b" on\n"
