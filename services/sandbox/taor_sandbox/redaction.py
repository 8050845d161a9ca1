"""Takes secrets out of text before it leaves the service, by the shapes that keys are known to have."""

import re

_SHAPES = {
    "anthropic-key": r"sk-ant-[A-Za-z0-9_-]{16,}",
    "openai-key": r"sk-(?:proj-|svcacct-)?[A-Za-z0-9_-]{32,}",
    "aws-access-key": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "github-token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{60,})",
    "gitlab-token": r"\bglpat-[A-Za-z0-9_-]{20,}",
    "slack-token": r"\bxox[abeprs]-[A-Za-z0-9-]{16,}",
    "google-key": r"\bAIza[A-Za-z0-9_-]{35}",
    "stripe-key": r"\b[rs]k_live_[A-Za-z0-9]{20,}",
    "npm-token": r"\bnpm_[A-Za-z0-9]{36}\b",
    "pypi-token": r"\bpypi-[A-Za-z0-9_-]{50,}",
    "e2b-key": r"\be2b_[a-f0-9]{40}\b",
    "jwt": r"\beyJ[A-Za-z0-9_-]{16,}\.eyJ[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",
    "private-key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
}
_ANY = re.compile("|".join(f"(?P<{name.replace('-', '_')}>{shape})" for name, shape in _SHAPES.items()), re.DOTALL)

_HELD_BACK_BYTES = 4096


def redact(text: str) -> str:
    """The text with every secret-shaped string replaced by its kind."""
    return _ANY.sub(_kind, text)


def safe(text: str) -> str:
    """The text as it may leave the service: without secrets, and without what PostgreSQL and protobuf take for no text.

    That is the zero character, and the lone surrogates that stand for bytes of names which are no UTF-8."""
    return redact(text).encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def _kind(match: re.Match[str]) -> str:
    assert match.lastgroup is not None
    return f"[redacted {match.lastgroup.replace('_', '-')}]"


class StreamRedactor:
    """Redacts output as it comes, by whole lines, so that no secret slips through between two chunks.

    A private key spans lines: from its first line on nothing more is shown; the final result shows the rest.
    """

    def __init__(self) -> None:
        self._held = b""
        self._silent = False

    def feed(self, data: bytes) -> bytes:
        """The part of what has come that can be shown now."""
        self._held += data
        end = self._held.rfind(b"\n") + 1
        if end == 0 and len(self._held) > _HELD_BACK_BYTES:
            end = len(self._held)
        ready, self._held = self._held[:end], self._held[end:]
        return self._shown(ready)

    def rest(self) -> bytes:
        """What was held back, at the end of the stream."""
        ready, self._held = self._held, b""
        return self._shown(ready)

    def _shown(self, ready: bytes) -> bytes:
        if not ready or self._silent:
            return b""
        text = ready.decode(errors="replace")
        self._silent = "PRIVATE KEY-----" in text
        return redact(text).encode()
