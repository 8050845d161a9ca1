"""Takes secrets out of text before it leaves a service, by the shapes that keys are known to have. Pure.

A secret without a shape of its own is not known: a password, or any secret in another coding, such as base64.
"""

import re
from collections.abc import Sequence

_LABEL = "label"
_KEY_LINE = r"[A-Z ]*PRIVATE KEY(?: BLOCK)?-----"
_AWS_SECRET = r"(?i:aws_?secret_?(?:access_?)?key)[\"']?\s{0,4}[:=]\s{0,4}[\"']?"

_SHAPES: Sequence[tuple[str, tuple[str, ...], str]] = (
    # Whole, or from its beginning on, or the lines before its end.
    (
        "private-key",
        ("PRIVATE KEY",),
        rf"-----BEGIN {_KEY_LINE}.*?(?:-----END {_KEY_LINE}|\Z)"
        rf"|(?:(?<![^\n])[A-Za-z0-9+/=]{{4,80}}+\r?\n){{1,100}}+-----END {_KEY_LINE}",
    ),
    ("anthropic-key", ("sk-ant-",), r"sk-ant-[A-Za-z0-9_-]{16,}"),
    ("openai-key", ("sk-",), r"\bsk-(?:proj-|svcacct-)?[A-Za-z0-9_-]{32,}"),
    ("aws-access-key", ("AKIA", "ASIA"), r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    ("aws-secret-key", ("ecret", "ECRET"), rf"(?P<{_LABEL}>{_AWS_SECRET})[A-Za-z0-9/+]{{40}}(?![\w/+])"),
    ("github-token", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), r"\bgh[pousr]_[A-Za-z0-9]{36,}"),
    ("github-token", ("github_pat_",), r"\bgithub_pat_[A-Za-z0-9_]{60,}"),
    ("gitlab-token", ("glpat-", "glptt-", "gldt-", "glrt-"), r"\bgl(?:pat|ptt|dt|rt)-[A-Za-z0-9_-]{20,}"),
    ("slack-token", ("xox", "xapp-"), r"\b(?:xox[abeprs]-[A-Za-z0-9-]{16,}|xapp-[0-9]-[A-Za-z0-9-]{20,})"),
    ("google-key", ("AIza",), r"\bAIza[A-Za-z0-9_-]{35}"),
    ("google-token", ("GOCSPX-", "ya29."), r"\b(?:GOCSPX-|ya29\.)[A-Za-z0-9_-]{20,}"),
    ("stripe-key", ("k_live_", "whsec_"), r"\b(?:[rs]k_live_[A-Za-z0-9]{20,}|whsec_[A-Za-z0-9+/=]{32,})"),
    ("npm-token", ("npm_",), r"\bnpm_[A-Za-z0-9]{36}\b"),
    ("pypi-token", ("pypi-",), r"\bpypi-[A-Za-z0-9_-]{50,}"),
    ("hugging-face-token", ("hf_",), r"\bhf_[A-Za-z0-9]{34,}"),
    ("groq-key", ("gsk_",), r"\bgsk_[A-Za-z0-9]{40,}"),
    ("xai-key", ("xai-",), r"\bxai-[A-Za-z0-9]{60,}"),
    ("sendgrid-key", ("SG.",), r"\bSG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{32,64}"),
    ("digitalocean-token", ("_v1_",), r"\bdo[opr]_v1_[a-f0-9]{64}\b"),
    ("docker-token", ("dckr_pat_",), r"\bdckr_pat_[A-Za-z0-9_-]{20,}"),
    ("vault-token", ("hvs.", "hvb."), r"\bhv[sb]\.[A-Za-z0-9_-]{24,}"),
    ("telegram-token", (":AA",), r"\b[0-9]{8,10}:AA[A-Za-z0-9_-]{33}\b"),
    ("age-key", ("AGE-SECRET-KEY-",), r"\bAGE-SECRET-KEY-1[A-Z0-9]{58}\b"),
    ("e2b-key", ("e2b_",), r"\be2b_[a-f0-9]{40}\b"),
    ("jwt", ("eyJ",), r"\beyJ[A-Za-z0-9_-]{16,}\.eyJ[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
)
"""What each kind of secret looks like, after words of which one stands in all of them: most texts have none."""
_COMPILED = [
    (
        words,
        re.compile(shape, re.DOTALL | re.ASCII),
        (rf"\g<{_LABEL}>" if _LABEL in shape else "") + f"[redacted {kind}]",
    )
    for kind, words, shape in _SHAPES
]


def redact(text: str) -> str:
    """The text with every secret-shaped string replaced by its kind."""
    for words, shape, instead in _COMPILED:
        if any(word in text for word in words):
            text = shape.sub(instead, text)
    return text
