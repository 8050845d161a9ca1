"""What a sweep has found: for people, for programs, and one line of progress."""

import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.crash.models import Explored
from tests.crash.runs import Done, Run
from tests.crash.sweep import Failure, Result, compare


@dataclass
class Report:
    """What the sweep has found so far."""

    enumerated: int
    planned: int
    started_seconds: float = field(default_factory=time.monotonic)
    killed: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    kill_runs: int = 0
    loss_runs: int = 0
    both_runs: int = 0
    extra_calls: int = 0
    retries: int = 0
    missed: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    explored: Sequence[Explored] = ()

    @property
    def is_clean(self) -> bool:
        """Whether every run came out as it should, every point was reached, and every model is sound."""
        return not self.failures and not self.missed and all(each.is_sound for each in self.explored)

    def take(self, done: Done, undisturbed: Mapping[str, Result]) -> None:
        """Book one run."""
        self.runs += 1
        self.extra_calls += done.result.lost_holds_microdollars > 0
        self.retries += done.result.retries
        self.killed.update(point.service for point in done.killed)
        self.lost.update(done.losses)
        self.kill_runs += bool(done.run.points)
        self.loss_runs += done.run.plan is not None
        self.both_runs += bool(done.run.points) and done.run.plan is not None
        if done.is_missed:
            self.missed.append(str(done.run))
        self.failures += compare(str(done.run), done.result, undisturbed[done.run.script])

    def fail(self, run: Run, why: AssertionError) -> None:
        """Book a run whose build has not come to its end."""
        self.runs += 1
        self.failures.append(Failure(str(run), str(why)))

    def lines(self) -> Iterator[str]:
        """The report for people."""
        seconds = time.monotonic() - self.started_seconds
        yield f"{self.enumerated} boundaries enumerated; {self.runs} of {self.planned} runs made in {seconds:.0f} s"
        yield f"{self.killed.total()} kills in {self.kill_runs} runs: {_told(self.killed)}"
        yield f"{self.lost.total()} sandboxes lost in {self.loss_runs} runs: {_told(self.lost)}"
        yield f"{self.both_runs} of these runs met both"
        yield f"{self.retries} turns given again after their command was killed"
        yield f"{self.extra_calls} runs paid for one more call; none for more than one a take-over"
        yield f"{len(self.missed)} points not reached, {len(self.failures)} failures"
        yield from (f"not reached: {each}" for each in self.missed)
        for model in self.explored:
            yield from (f"model {line}" for line in model.lines)
        yield from (f"FAILED the model {model.name}" for model in self.explored if not model.is_sound)
        yield from (f"FAILED {failure.what}: {failure.done}" for failure in self.failures)

    def document(self) -> dict[str, object]:
        """The report for programs."""
        return {"lines": list(self.lines()), "killed": self.killed, "lost": self.lost}

    def show_progress(self) -> None:
        """One line that is written over."""
        elapsed = time.monotonic() - self.started_seconds
        left = elapsed / max(self.runs, 1) * (self.planned - self.runs)
        bar = "█" * (30 * self.runs // self.planned)
        text = f"\r{bar:<30} {self.runs}/{self.planned}, {len(self.failures)} failures, {left:4.0f} s left "
        sys.stderr.write(text if sys.stderr.isatty() else "")


def _told(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in sorted(counts.items())) or "none"
