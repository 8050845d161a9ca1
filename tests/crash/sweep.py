"""Records an unkilled build, kills one boundary after the other, and compares what came of it."""

import asyncio
import hashlib
import json
import random
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import grpc
import pytest
from taor.sandbox.v1 import sandbox_pb2

from taor_cli.audit.evidence import Evidence, HoldState
from taor_cli.audit.gather import gather
from taor_cli.audit.replay import replay
from taor_cli.audit.report import Verdict
from taor_cli.audit.report import audit as run_audit
from taor_cli.builds import Build
from taor_cli.clients import Clients, connect
from taor_cli.endpoints import Endpoints, Wanted, resolve
from taor_cli.orchestrator import Orchestrator, Order
from taor_local.installation import ensure_up
from taor_local.options import Options
from tests.crash.boundaries import ARMED, FIRED, RECORD
from tests.crash.losses import LOSSES, STRUCK, Plan
from tests.crash.supervisor import PROGRAM, boundaries_folder
from tests.support.installation import temporary_installation

SCRIPTS = Path(__file__).parent / "scripts"
MIXED, CAREFUL, LONG = "mixed", "careful", "long"
"""Scripts: each call counts once; it may be given again; fifty turns. Only the second survives a killed command."""
CUT_SHORT = b"The call was cut short"
"""What the agent is told of a command that was killed; the careful one then gives its whole turn again."""
BUILD_SECONDS = 90.0
POLL_SECONDS = 0.05
AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """One boundary of one service, the n-th time that a build comes by."""

    service: str
    label: str
    occurrence: int

    def __str__(self) -> str:
        return f"{self.service}: {self.label} #{self.occurrence}"


@dataclass(frozen=True, slots=True)
class Result:
    """What a build came to, with its own id taken out."""

    state: str
    tree_sha256: str
    log: tuple[str, ...]
    booked_microdollars: int
    lost_holds_microdollars: int
    epochs: int
    retries: int
    """Turns that the agent gave again; the log is told without them."""
    findings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """A build that was not as it should be, and what was done to it."""

    done: str
    what: str


@dataclass(slots=True)
class Killed:
    """At how many of its points a build was killed."""

    count: int = 0


class Rig:
    """An installation whose services can be killed at a boundary."""

    def __init__(self, endpoints: Endpoints, clients: Clients, orders: Path) -> None:
        self._endpoints = endpoints
        self._clients = clients
        self._orders = orders

    async def warm(self, *scripts: str) -> None:
        """Fill the prompt cache, so that every later build costs the same."""
        for script in scripts:
            await self.build(script)

    async def record(self) -> Counter[Point]:
        """The boundaries that one unkilled build passes."""
        (self._orders / RECORD).touch()
        await self.build()
        (self._orders / RECORD).unlink()
        passed: Counter[Point] = Counter()  # an occurrence of 0: only how often each was passed matters here
        for trace in self._orders.glob("trace.*"):
            service, labels = trace.name.split(".")[1], trace.read_text().splitlines()
            passed += Counter(Point(service, label, 0) for label in labels)
            trace.unlink()
        return passed

    async def build(self, script: str = MIXED) -> Result:
        """Run the build to its end and look at everything that it left."""
        return await self.look(await self.run(BUILD_SECONDS, script))

    async def run(self, within_seconds: float, script: str = MIXED) -> Build:
        """Run the build to its end."""
        order = _order(script)
        started = await self._patiently(lambda: Orchestrator(self._clients.orchestrator).start(order))
        deadline = time.monotonic() + within_seconds
        while not (build := await self._get(started.build_id)).state.is_ended:
            assert time.monotonic() < deadline, f"the build has not ended: {build.state}"
            await asyncio.sleep(POLL_SECONDS)
        return build

    async def look(self, build: Build) -> Result:
        """Look at everything that a build has left."""
        return await self._patiently(lambda: self._look(build))

    @asynccontextmanager
    async def killing(self, points: Sequence[Point]) -> AsyncIterator[Killed]:
        """Meanwhile the process is killed at each point in turn; told at the end is at how many the build came by."""
        killed = Killed()
        killing = asyncio.ensure_future(self._kill(points))
        try:
            yield killed
        finally:
            killing.cancel()
            await asyncio.wait({killing})
            (self._orders / ARMED).unlink(missing_ok=True)
        for fired in list(self._orders.glob(f"{FIRED}*")):
            fired.unlink()
            killed.count += 1

    @asynccontextmanager
    async def losing(self, plan: Plan | None) -> AsyncIterator[list[str]]:
        """Meanwhile sandboxes are lost beside tool calls; told at the end is what was lost."""
        losses: list[str] = []
        if plan is None:
            yield losses
            return
        struck = self._orders / STRUCK
        struck.touch()
        plan.write(self._orders)
        try:
            yield losses
        finally:
            (self._orders / LOSSES).unlink()
        losses += struck.read_text().splitlines()
        struck.unlink()

    async def _kill(self, points: Sequence[Point]) -> None:
        for number, point in enumerate(points):
            order = {"service": point.service, "label": point.label, "occurrence": point.occurrence}
            waiting = self._orders / "order"
            waiting.write_text(json.dumps(order | {"nonce": str(uuid.uuid4())}))
            waiting.rename(self._orders / ARMED)
            while not (self._orders / FIRED).exists():  # noqa: ASYNC110 - another process makes the file
                await asyncio.sleep(POLL_SECONDS)
            (self._orders / FIRED).rename(self._orders / f"{FIRED}.{number}")

    async def _get(self, build_id: str) -> Build:
        return await self._patiently(lambda: Orchestrator(self._clients.orchestrator).get(build_id))

    async def _look(self, build: Build) -> Result:
        evidence = await gather(self._clients, build, self._endpoints.model_record)
        snapshots = await self._clients.sandbox.ListSnapshots(sandbox_pb2.ListSnapshotsRequest(build_id=build.build_id))
        report = run_audit(evidence)
        broken = [f"{line.number}: {line.findings}" for line in report if line.verdict is Verdict.BROKEN]
        broken += [f"replay: {each.row}: {each.message}" for turn in replay(evidence) for each in turn.findings]
        log, retries = _normalised(evidence)
        return Result(
            state=build.state.name,
            tree_sha256=snapshots.snapshots[0].tree_sha256.hex() if snapshots.snapshots else "",
            log=log,
            booked_microdollars=sum(hold.booked_microdollars for hold in evidence.holds),
            lost_holds_microdollars=_lost(evidence),
            epochs=evidence.inspection.epoch,
            retries=retries,
            findings=tuple(broken),
        )

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        deadline = time.monotonic() + BUILD_SECONDS
        while True:
            try:
                return await ask()
            except grpc.aio.AioRpcError as error:
                if error.code() not in AWAY or time.monotonic() > deadline:
                    raise
            await asyncio.sleep(POLL_SECONDS)


@asynccontextmanager
async def running_rig() -> AsyncIterator[Rig]:
    """A fresh installation under the watch of the boundaries."""
    with pytest.MonkeyPatch.context() as patch, temporary_installation() as options:
        patch.setenv("TAOR_MODEL_SCRIPTS", str(SCRIPTS))
        await asyncio.to_thread(_up, options)
        endpoints = resolve(Wanted(data=options.data))
        async with connect(endpoints) as clients:
            yield Rig(endpoints, clients, boundaries_folder(options.data))


def enumerate_points(recordings: Sequence[Counter[Point]]) -> list[Point]:
    """Every boundary that each recorded build came by, as often as the one that came by least."""
    sure = recordings[0]
    for each in recordings[1:]:
        sure &= each
    return sorted(
        Point(point.service, point.label, occurrence)
        for point, count in sure.items()
        for occurrence in range(1, count + 1)
    )


def sample(points: Sequence[Point], most: int, seed: int) -> list[Point]:
    """At most `most` points, spread evenly over the kinds of boundary, and within a kind by chance."""
    chance = random.Random(seed)
    kinds: dict[tuple[str, str], list[Point]] = {}
    for point in chance.sample(points, len(points)):
        kinds.setdefault((point.service, point.label), []).append(point)
    rounds = (group[turn] for turn in range(len(points)) for group in kinds.values() if turn < len(group))
    return [point for point, _ in zip(rounds, range(most), strict=False)]


def compare(done: str, disturbed: Result, undisturbed: Result) -> Iterable[Failure]:
    """What differs and must not. A take-over may cost one held call, or one call whose answer was lost."""
    more_microdollars = disturbed.booked_microdollars - undisturbed.booked_microdollars
    # What a turn given again costs depends on what the agent was told; that it is booked right the audit knows.
    is_explained = disturbed.retries > 0 or more_microdollars <= disturbed.lost_holds_microdollars
    checks = {
        "the state": disturbed.state == undisturbed.state,
        "the files": disturbed.tree_sha256 == undisturbed.tree_sha256 != "",
        "the log": disturbed.log == undisturbed.log,
        "the money": more_microdollars >= 0 and is_explained,
        f"the audit and the replay: {disturbed.findings}": not disturbed.findings,
    }
    return [Failure(done, what) for what, is_right in checks.items() if not is_right]


def _up(options: Options) -> None:
    ensure_up(options, lambda _: None, program=PROGRAM)


def _order(script: str) -> Order:
    return Order(
        request_id=str(uuid.uuid4()),
        user_id="crash",
        project_id="crash",
        tier="cto_scale",
        brief=f"Count.\n\ntaor-script: {script}\n",
        clarifications=(),
        plan="",
    )


def _normalised(evidence: Evidence) -> tuple[tuple[str, ...], int]:
    """The log without what is different in every build (its id, the ids of messages and tool calls) and without the
    turns that were given again; and how many these are."""
    ours = evidence.build.build_id.encode()
    rows = list(evidence.log)
    cut_short = {number for number, row in enumerate(rows) if CUT_SHORT in row.body}
    left_out = cut_short | {number - 1 for number in cut_short}
    bodies = ((row.kind, _plain(row.body.replace(ours, b"BUILD"))) for n, row in enumerate(rows) if n not in left_out)
    return tuple(f"{kind} {hashlib.sha256(body).hexdigest()}" for kind, body in bodies), len(cut_short)


def _plain(body: bytes) -> bytes:
    """Without the provider's ids and signatures, which depend on the build's own id."""
    parsed = json.loads(body)
    for block in parsed.get("content", ()):
        for name in ("id", "tool_use_id", "signature"):
            block.pop(name, None)
    return json.dumps(parsed, sort_keys=True).encode()


def _lost(evidence: Evidence) -> int:
    """What take-overs have cost: holds that were charged, and settled calls whose answer is in no log."""
    logged = {row.call.rid for row in evidence.log if row.call}
    settled_lost = (HoldState.SETTLED, HoldState.CHARGED, HoldState.EXPIRED)
    return sum(h.held_microdollars for h in evidence.holds if h.state in settled_lost and h.rid not in logged)
