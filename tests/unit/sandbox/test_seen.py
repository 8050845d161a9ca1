"""What an agent has seen of its files."""

import pytest

from taor_sandbox.outcome import ToolFailed
from taor_sandbox.tools.seen import MAX_FILES, Seen


def test_the_oldest_are_forgotten_first() -> None:
    seen = Seen()
    for number in range(MAX_FILES):
        seen.note(f"f{number}", b"old")
    seen.note("f0", b"old")
    seen.note("one more", b"old")
    seen.check("f1", b"new", "f1")
    for remembered in ("f0", "f2", "one more"):
        with pytest.raises(ToolFailed):
            seen.check(remembered, b"new", remembered)
