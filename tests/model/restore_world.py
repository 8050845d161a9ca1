"""What the model of lost files is made of: its rules and promises, and the state of all that takes part."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, TypeVar

MARKS = ("aA", "bB")
OPS = range(2)
T = TypeVar("T")
KEEP = 2
"""How many snapshots retention keeps."""
NOBODY = -1
Results = tuple[str, ...]
NONE: Results = ("", "")


class Rule(StrEnum):
    """What the protocol asks for; each can be taken out."""

    ROW_BEFORE_START = "the STARTING row is committed before the command is started"
    CLAIMED_ONCE = "a claim is made once; who comes later follows"
    NONCE_TELLS = "no claim, and the journal's nonce is gone: interrupted, not run"
    NONCE_IS_RENEWED = "a wiped journal gets the next nonce first, then STARTING rows are interrupted"
    START_CHECKS_EPOCH = "Attach leaves its epoch in the sandbox, and a start of a lower one is refused there"
    DISPATCH_FENCED = "the transaction that writes STARTING checks epoch, generation and READY"
    RECORD_CHECKS_GENERATION = "a result is recorded only while its generation is current"
    ROW_CLOSED_ONCE = "only a row that is STARTING in this generation takes a result"
    REDO = "what was DONE in an older generation and is not in the base runs again"
    LOST_IS_A_ROW = "missing effects are LOST rows, told by every Attach until a note names them"
    READY_AFTER_REDO = "a sandbox is READY, for operations and snapshots, after its redo pass"
    ATTACH_IS_NUMBERED = "the fence is (epoch, number of the Attach call)"
    READY_COMPARES = "READY only if the generation is still the newest"
    CREATE_COMPARES = "a new sandbox is filled only if its generation is still wanted, else destroyed"
    DESTROYED_BEFORE_READY = "older sandboxes are gone for certain before the next is READY"
    BASE_IS_UNPACKED = "the base is that of the snapshot that was really unpacked"
    WALK_IS_LOCKED = "nothing starts or runs during the walk, and covered is read within it"
    WALK_WAITS = "no walk while an operation is in its midst, though it could be stopped there"
    WALK_CLOSES_ROWS = "under that lock ended commands get their rows closed, and a wiped journal refuses the walk"
    COVERED_COUNTS_CLOSED = "covered goes over INTERRUPTED and LOST rows too"
    COVERED_IS_AN_OPERATION = "covered is an operation, not a log sequence"
    COVERED_AT_WALK = "covered is read at the walk, not at the publication"
    PUBLISH_CHECKS_GENERATION = "a snapshot is published only while its generation is current"
    NEWEST_COVERS_MOST = "the newest snapshot is the one that covers most, whatever its time"
    WAKE_COMPARES = "a pause notes what the files are, and a sandbox that wakes with others is replaced"
    RETENTION_SPARES = "retention spares what a restore or a fork reads"


class Promise(StrEnum):
    """What must hold in every state."""

    EFFECT_ONCE = "in the files that survive, an operation's effect is present once"
    IN_ORDER = "effects stand in the order of the log"
    NOT_SILENTLY = "an effect that is told as done is in the files, or its absence is told"
    STAYS_MISSING = "an effect that was told as missing does not come back"
    CLAIMED_ONCE = "an operation is claimed once a generation"
    RESULT_STANDS = "the result in the log is the result of the row"
    CAUSED = "no operation is interrupted that nothing has interrupted"
    NEWER_ATTACH = "no command of an older epoch starts once a newer worker is at work"
    COVERED = "a snapshot holds every effect that it covers"
    NEWEST = "a restore reads the snapshot that covers most"
    KEPT = "no snapshot goes while somebody reads it"
    ONE_SANDBOX = "no older sandbox runs beside a ready one"
    LIVES = "a worker that nobody replaced comes to its end"


class Fault(StrEnum):
    """What the world does."""

    TAKE_OVER = "take-over"
    LOST = "the sandbox is lost"
    SEEMS_LOST = "the sandbox seems lost"
    ABANDONED = "a call is given up and goes on"
    KILLED = "a command is killed"
    WIPED = "a command deletes the journal"
    WAKES_OLDER = "a pause brings back older files, with the journal that fits them"
    ROTS = "a snapshot rots"
    FORKS = "a fork pins the newest snapshot"


class At(StrEnum):
    """Where a worker or a task stands."""

    NEW = "new"
    NEXT = "next"
    ATTACH = "attach"
    WAIT_OP = "waits for its operation"
    WAIT_ATTACH = "waits for its sandbox"
    DONE = "done"
    DEAD = "dead"
    BEGIN = "begin"
    START = "start"
    FOLLOW = "follow"
    WIPED = "wiped"
    RENEWED = "renewed"
    RECORD = "record"
    FENCE = "fence"
    PLAN = "plan"
    UNPACK = "unpack"
    REDO = "redo"
    READY = "ready"
    WALK = "walk"
    WALKING = "walking"
    PUBLISH = "publish"


class Claim(StrEnum):
    """A claim in a sandbox, as far as its command has come."""

    NONE = ""
    RUNNING = "running"
    MIDST = "in its midst"
    EXITED = "exited"
    DEAD = "dead"


LIVE = (Claim.RUNNING, Claim.MIDST)
ENDS = {Claim.EXITED: ("DONE", "done"), Claim.DEAD: ("INTERRUPTED", "interrupted")}


class Row(NamedTuple):
    """An operation: STARTING, DONE, INTERRUPTED or LOST, its generation, and what the worker is told."""

    state: str
    generation: int
    result: str = ""


class Box(NamedTuple):
    """A sandbox: files, claims, the journal's nonce (0: wiped), and the epoch that the last Attach left."""

    files: str = ""
    claims: tuple[Claim, ...] = (Claim.NONE, Claim.NONE)
    nonce: int = 1
    epoch: int = 1


class Snapshot(NamedTuple):
    """A snapshot; whether it is rotten shows only when it is read."""

    covered: int
    files: str
    state: str = "PUBLISHED"
    is_rotten: bool = False


class Task(NamedTuple):
    """A call inside a replica: where it stands, who waits for it, and what it has read."""

    at: At
    epoch: int
    generation: int
    worker: int = NOBODY
    number: int = 0
    op: int = 0
    nonce: int = 0
    snapshot: int = NOBODY
    covered: int = 0
    files: str = ""
    claim: Claim = Claim.NONE
    missing: tuple[int, ...] = ()
    attaches: bool = False


class Worker(NamedTuple):
    """An orchestrator's worker: results in hand that are not logged yet, and what Attach has told as missing."""

    at: At = At.NEW
    epoch: int = 0
    generation: int = 0
    attaches: int = 0
    results: Results = NONE
    missing: tuple[int, ...] = ()


class World(NamedTuple):
    """The log; the service's database; sandboxes by generation; workers, tasks; and what the promises remember."""

    logged: Results = NONE
    noted: frozenset[int] = frozenset()
    log_epoch: int = 1
    epoch: int = 1
    number: int = 0
    generation: int = 1
    is_ready: bool = True
    base: int = 0
    nonce: int = 1
    rows: tuple[Row | None, ...] = (None, None)
    snapshots: tuple[Snapshot, ...] = ()
    pinned: int = NOBODY
    fork: int = NOBODY
    boxes: tuple[Box | None, ...] = (Box(),)
    paused: str | None = None
    workers: tuple[Worker, ...] = (Worker(At.NEXT, 1, 1), Worker())
    tasks: tuple[Task, ...] = ()
    walks: int = 0
    faults: tuple[Fault, ...] = ()
    claimed: frozenset[tuple[int, int]] = frozenset()
    absent: frozenset[int] = frozenset()
    broken: Promise | None = None


Steps = Iterator[tuple[str, World]]


@dataclass(frozen=True, slots=True)
class Size:
    """How many snapshots are taken and how many faults strike, of these kinds; the log sequence of each operation."""

    snapshots: int
    faults: int
    kinds: frozenset[Fault] = frozenset(Fault)
    each: int = 9
    """How often a kind of fault strikes at most."""
    turns: tuple[int, int] = (1, 1)

    def __str__(self) -> str:
        answers = "one answer" if self.turns[0] == self.turns[1] else "two answers"
        return f"({answers}; {self.snapshots} snapshots, {self.faults} faults)"


def commands(world: World) -> Iterator[tuple[int, int, Box]]:
    """What runs: generation, operation, sandbox."""
    for generation, box in enumerate(world.boxes, 1):
        if box is not None:
            yield from ((generation, op, box) for op in OPS if box.claims[op] in LIVE)


def ended(row: Row | None, claim: Claim) -> Row:
    assert row is not None
    state, result = ENDS[claim]
    return row._replace(state=state, result=result)


def put(items: tuple[T, ...], i: int, item: T) -> tuple[T, ...]:
    return (*items[:i], item, *items[i + 1 :])


def boxed(world: World, generation: int, box: Box | None) -> World:
    return world._replace(boxes=put(world.boxes, generation - 1, box))


def go(world: World, t: int, at: At, **memory: object) -> World:
    """A task goes on."""
    task = world.tasks[t]._replace(at=at, **memory)  # type: ignore[arg-type]  # fields by name
    return world._replace(tasks=tuple(sorted(put(world.tasks, t, task))))


def finished(world: World, t: int, at: At = At.NEXT, result: str = "", **memory: object) -> World:
    """A task ends; the worker that waits for it goes on, with the result and whatever else it was told."""
    task, rest = world.tasks[t], world._replace(tasks=world.tasks[:t] + world.tasks[t + 1 :])
    if task.worker == NOBODY:
        return rest
    me = rest.workers[task.worker]
    results = put(me.results, task.op, result) if result else me.results
    return became(rest, task.worker, at, **{"results": results, **memory})


def called(world: World, i: int, at: At, task: Task, **memory: object) -> World:
    """A worker makes a call and goes on, to wait for it or not."""
    return became(world._replace(tasks=tuple(sorted((*world.tasks, task)))), i, at, **memory)


def became(world: World, i: int, at: At, **memory: object) -> World:
    """A worker goes on; one that is dead remembers nothing."""
    worker = world.workers[i]
    moved = worker._replace(at=at, **memory)  # type: ignore[arg-type]  # fields by name
    return world._replace(workers=put(world.workers, i, Worker(at, worker.epoch) if at is At.DEAD else moved))
