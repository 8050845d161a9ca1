"""Whatever attaches, appends, retries and reads in whatever order, C1 to C4 and C6 hold of every log."""

import dataclasses
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from taor_checkpoint.entries import Kind, LogEntry, NewEntry, SessionId
from taor_checkpoint.errors import HeadMoved, StaleEpoch
from taor_checkpoint.store.entries import Range
from tests.contract.checkpoint import laboratory as lab
from tests.support.loop_thread import LoopThread
from tests.support.postgres import MigratedDatabase

BODIES = st.text(alphabet="ab{}é", min_size=1, max_size=6)
CONTENTS = st.one_of(BODIES.map(lab.user), BODIES.map(lab.assistant), BODIES.map(lab.head))


@dataclasses.dataclass(frozen=True, slots=True)
class Done:
    """An append that was acknowledged."""

    epoch: int
    head: int
    entries: tuple[NewEntry, ...]


class Log(RuleBasedStateMachine):
    """One log, and a list that says what must stand in it."""

    appends: Bundle[Done] = Bundle("appends")
    reads: Bundle[list[LogEntry]] = Bundle("reads")
    loop: LoopThread
    laboratory: lab.Laboratory

    @initialize()
    def begin(self) -> None:
        """A fresh build, held at epoch 1."""
        self.build: SessionId = self.loop.run(self.laboratory.attached(epoch=1))
        self.epoch = 1
        self.expected: list[tuple[int, NewEntry]] = []

    @rule(step=st.integers(1, 3))
    def attach(self, step: int) -> None:
        """A newer claim takes the build over, and is told the head."""
        self.epoch += step
        assert self.loop.run(self.laboratory.history.attach(lab.claim(self.build, self.epoch))) == len(self.expected)

    @rule()
    def attach_again(self) -> None:
        """The acknowledgement of an attach was lost."""
        assert self.loop.run(self.laboratory.history.attach(lab.claim(self.build, self.epoch))) == len(self.expected)

    @rule(epoch=st.integers(1, 9))
    def attach_with_an_older_claim(self, epoch: int) -> None:
        """A claim that was overtaken."""
        if epoch < self.epoch:
            with pytest.raises(StaleEpoch):
                self.loop.run(self.laboratory.history.attach(lab.claim(self.build, epoch)))

    @rule(target=appends, contents=st.lists(CONTENTS, min_size=1, max_size=4))
    def append(self, contents: list[NewEntry]) -> Done:
        """The holder of the build appends at the head."""
        entries = tuple(contents) if self.expected else (lab.head(), *contents)
        done = Done(self.epoch, len(self.expected), entries)
        assert self._append(done) == done.head + len(entries)
        self.expected += [(self.epoch, entry) for entry in entries]
        return done

    @rule(done=appends)
    def retry(self, done: Done) -> None:
        """The acknowledgement of an append was lost: the first answer, unless another has taken over since."""
        if done.epoch == self.epoch:
            assert self._append(done) == done.head + len(done.entries)
        else:
            with pytest.raises(StaleEpoch):
                self._append(done)

    @rule(done=appends)
    def append_other_bytes(self, done: Done) -> None:
        """The head of an append is used again for something else."""
        other = dataclasses.replace(done, epoch=self.epoch, entries=(*done.entries[:-1], lab.user("other bytes")))
        with pytest.raises(HeadMoved) as refusal:
            self._append(other)
        assert refusal.value.metadata == {"head": str(len(self.expected))}

    @rule(target=reads)
    def read(self) -> list[LogEntry]:
        """Somebody reads."""
        return self.loop.run(self.laboratory.log(self.build))

    @rule(earlier=consumes(reads))
    def read_again(self, earlier: list[LogEntry]) -> None:
        """An earlier read is a prefix of a later one (C6)."""
        assert self.loop.run(self.laboratory.log(self.build))[: len(earlier)] == earlier

    @rule(data=st.data())
    def read_a_part(self, data: st.DataObject) -> None:
        """Any range is the same part of the whole."""
        after = data.draw(st.integers(0, len(self.expected)))
        up_to = data.draw(st.integers(after, len(self.expected)))
        part = self.loop.run(self._read(Range(after, up_to)))
        assert [entry.content for entry in part] == [content for _, content in self.expected[after:up_to]]

    @invariant()
    def holds_what_was_acknowledged(self) -> None:
        """C1: 1..n; C2: epochs never fall; C3: every acknowledged entry, byte for byte; segments open with a HEAD."""
        if not hasattr(self, "build"):
            return
        log = self.loop.run(self.laboratory.log(self.build))
        assert [entry.place.sequence for entry in log] == list(range(1, len(log) + 1))
        assert [(entry.place.epoch, entry.content) for entry in log] == self.expected
        epochs = [entry.place.epoch for entry in log]
        assert epochs == sorted(epochs)
        opened = [sum(each.content.kind is Kind.HEAD for each in log[:n]) for n in range(1, len(log) + 1)]
        assert [entry.place.segment for entry in log] == opened

    def _append(self, done: Done) -> int:
        return self.loop.run(self.laboratory.history.append(self.build, done.epoch, done.head, done.entries))

    async def _read(self, wanted: Range) -> list[LogEntry]:
        return [entry async for chunk in self.laboratory.history.read(self.build, wanted) for entry in chunk]


@pytest.fixture
def log_machine(migrated_database: MigratedDatabase) -> Iterator[type[Log]]:
    """The machine on a laboratory that lives in a loop of its own, because hypothesis is not asynchronous."""
    loop = LoopThread()
    stack = AsyncExitStack()
    running = lab.running_laboratory(migrated_database("taor_checkpoint"))
    laboratory = loop.run(stack.enter_async_context(running))
    yield type("RunningLog", (Log,), {"loop": loop, "laboratory": laboratory})
    loop.run(stack.aclose())
    loop.close()


def test_every_order_leaves_a_good_log(log_machine: type[Log]) -> None:
    run_state_machine_as_test(
        log_machine,
        settings=settings(
            max_examples=60,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
        ),
    )
