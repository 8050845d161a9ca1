"""What must not be written down anywhere."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.tidy.source import ROOT, Finding, Source

# Each pattern is spelled so that it does not find itself.
BANNED = {
    re.compile(r"\b(TOD[O]|FIXM[E]|XX[X]|HAC[K])\b"): "leave nothing undone, or file an issue",
    re.compile(r"https?://[^\s\"'/]+(/[^\s\"'/]+)*/simpl[e]\b"): "a package index; users choose theirs",
    re.compile(r"\bAs an A[I]\b|\blanguage mode[l] assistant\b"): "not written by anybody in particular",
}
_BANNER = re.compile(r"^\s*(#|--|//)\s*[-=#*~]{4,}")


def banned_words(source: Source) -> Iterator[Finding]:
    """No path of one machine, no package index, nothing left undone."""
    for number, line in enumerate(source.lines, start=1):
        for pattern, why in BANNED.items():
            if match := pattern.search(line):
                yield Finding(source.path, number, f"{match.group()!r}: {why}")


def this_machine(source: Source, root: Path = ROOT) -> Iterator[Finding]:
    """The place of this checkout is nobody's business."""
    if len(root.parts) < 3:  # a checkout at /app would ban a word
        return
    for number, line in enumerate(source.lines, start=1):
        if str(root) in line:
            yield Finding(source.path, number, "a path of the machine that this was written on")


def banners(source: Source) -> Iterator[Finding]:
    """A module that needs headings is two modules."""
    for number, line in enumerate(source.lines, start=1):
        if _BANNER.match(line):
            yield Finding(source.path, number, "a banner; a module that needs headings is two modules")
