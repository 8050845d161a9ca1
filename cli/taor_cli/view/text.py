"""Words and numbers as people read them; text of the agent made safe to print."""

from datetime import datetime

MICRODOLLARS = 1_000_000


def dollars(microdollars: int) -> str:
    """Money: four digits under ten dollars, two above. Rounded up: what is shown is never less than what was paid."""
    digits = 4 if abs(microdollars) < 10 * MICRODOLLARS else 2
    unit = MICRODOLLARS // 10**digits
    return f"${-(-microdollars // unit) / 10**digits:,.{digits}f}"


def tokens(count: int) -> str:
    """A number of tokens: 950, 12.3k, 1.2M."""
    if count < 1_000:
        return str(count)
    return f"{count / 1_000:.1f}k" if count < 1_000_000 else f"{count / 1_000_000:.1f}M"


def duration(seconds: float) -> str:
    """A time span: 4.2 s, 3 min 05 s, 2 h 10 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def clock(moment: datetime | None) -> str:
    """A point in time, in the time zone of this machine."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S") if moment else ""


def printable(text: str) -> str:
    """The text without what could drive a terminal: an agent's words must not move the cursor or set a title."""
    return "".join(char if char.isprintable() or char == "\n" else " " for char in text)


def one_line(text: str, limit: int = 160) -> str:
    """The text on one line, cut at its end."""
    line = " ".join(printable(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def last_lines(text: str, count: int, limit: int = 160) -> tuple[str, ...]:
    """The last lines that are not empty, where a failing command says why."""
    lines = [one_line(line, limit) for line in text.splitlines() if line.strip()]
    return tuple(lines[-count:])
