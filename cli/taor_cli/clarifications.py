"""Questions and answers as Markdown: paragraphs that begin with `Q:` and `A:`, in turn.

# Headings above the first question are skipped
Q: Who uses it?
A: One person, on one machine.

More paragraphs belong to the answer.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from taor_cli.exits import UsageError

MAX_CLARIFICATIONS = 200


@dataclass(frozen=True, slots=True)
class Clarification:
    """One question that clarified the idea, with its answer."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class _Part:
    """The text under one `Q:` or `A:`, with the line it begins on."""

    line: int
    mark: str
    text: str


def parse(markdown: str, name: str) -> tuple[Clarification, ...]:
    """Read the questions and answers of a file called `name`. UsageError names the line that is wrong."""
    parts = tuple(_parts(markdown, name))
    for part, expected in zip(parts, "QA" * len(parts), strict=False):
        if part.mark != expected:
            raise _wrong(name, part.line, f"expected '{expected}:' and found '{part.mark}:'")
        if not part.text:
            raise _wrong(name, part.line, f"'{part.mark}:' has no text")
    if len(parts) % 2:
        raise _wrong(name, parts[-1].line, "the last question has no answer")
    if len(parts) > 2 * MAX_CLARIFICATIONS:
        raise _wrong(name, parts[2 * MAX_CLARIFICATIONS].line, f"more than {MAX_CLARIFICATIONS} questions")
    return tuple(Clarification(q.text, a.text) for q, a in zip(parts[::2], parts[1::2], strict=True))


def _parts(markdown: str, name: str) -> Iterator[_Part]:
    current: _Part | None = None
    for number, line in enumerate(markdown.splitlines(), start=1):
        if line[:2] in ("Q:", "A:"):
            if current:
                yield _trimmed(current)
            current = _Part(number, line[0], line[2:])
        elif current:
            current = _Part(current.line, current.mark, f"{current.text}\n{line}")
        elif line.strip() and not line.startswith("#"):
            raise _wrong(name, number, "text before the first 'Q:'")
    if current:
        yield _trimmed(current)


def _trimmed(part: _Part) -> _Part:
    return _Part(part.line, part.mark, part.text.strip())


def _wrong(name: str, line: int, message: str) -> UsageError:
    return UsageError(f"{name}:{line}: {message}", advice="write 'Q: …' and 'A: …' paragraphs in turn")
