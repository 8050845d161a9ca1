"""Takes secrets out of text before it leaves a service, by the shapes that keys are known to have. Pure."""

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
_ANY = re.compile(
    "|".join(f"(?P<{name.replace('-', '_')}>{shape})" for name, shape in _SHAPES.items()), re.DOTALL | re.ASCII
)


def redact(text: str) -> str:
    """The text with every secret-shaped string replaced by its kind."""
    return _ANY.sub(_kind, text)


def _kind(match: re.Match[str]) -> str:
    assert match.lastgroup is not None
    return f"[redacted {match.lastgroup.replace('_', '-')}]"
