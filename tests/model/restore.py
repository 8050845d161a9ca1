"""The changing operations of one build over sandboxes that get lost, snapshots and redo, with two workers.

A call to the sandbox service is a *task*: each of its steps is one transaction in the service's database or one act in
a sandbox. A replica that crashed is a task that takes no step any more; a stalled one is a task that its worker has
given up and that goes on later. An operation writes two marks, `aA` or `bB`, so that one may be seen in its midst; the
files are the marks in the order in which they were written.
"""

from enum import StrEnum

from tests.model.restore_world import (
    ENDS,
    KEEP,
    LIVE,
    MARKS,
    NOBODY,
    NONE,
    OPS,
    At,
    Box,
    Claim,
    Fault,
    Promise,
    Row,
    Rule,
    Size,
    Snapshot,
    Steps,
    Task,
    Worker,
    World,
    became,
    boxed,
    called,
    commands,
    ended,
    finished,
    go,
    put,
)


class RestoreModel:
    """Operations, sandboxes and snapshots with a set of rules."""

    def __init__(self, rules: frozenset[StrEnum], size: Size) -> None:
        self._rules = rules
        self._size = size

    @property
    def start(self) -> World:
        """A worker is attached to a ready sandbox and has an answer with two changing tool calls in its log."""
        return World()

    def steps(self, world: World) -> Steps:
        """The next step of each worker, of each task, of what runs in a sandbox, and of retention."""
        for i, worker in enumerate(world.workers):
            for name, following in self._work(world, i, worker):
                yield f"w{i + 1} {name}", following
        for t, task in enumerate(world.tasks):
            box = world.boxes[task.generation - 1] if task.generation else None
            whose = f"w{task.worker + 1}'s" if task.worker != NOBODY else "an abandoned"
            for step in (self._dispatch, self._attach, self._snapshot):
                for name, following in step(world, t, task, box):
                    yield f"{whose} call: {name}", following
        yield from self._run(world)
        yield from self._retire(world)

    # The worker: attach, run the operations in order, log the results of a turn; a snapshot at any time.

    def _work(self, world: World, i: int, me: Worker) -> Steps:
        match me.at:
            case At.ATTACH:
                task = Task(At.FENCE, me.epoch, 0, i, me.attaches + 1, attaches=True)
                yield "Attach", called(world, i, At.WAIT_ATTACH, task, attaches=me.attaches + 1)
            case At.NEXT:
                yield from self._next(world, i, me)
                if world.walks < self._size.snapshots and me.epoch >= world.log_epoch:
                    task = Task(At.WALK, me.epoch, me.generation)
                    yield "snapshot", called(world._replace(walks=world.walks + 1), i, At.NEXT, task)

    def _next(self, world: World, i: int, me: Worker) -> Steps:
        turns = self._size.turns
        turn = next((turns[op] for op in OPS if not world.logged[op]), None)
        todo = [op for op in OPS if turns[op] == turn]
        op = next((op for op in todo if not me.results[op]), None)
        if turn is None:
            yield "ends", became(world, i, At.DONE, results=NONE, missing=())
        elif op is not None:
            yield (
                f"Dispatch {MARKS[op]}",
                called(world, i, At.WAIT_OP, Task(At.BEGIN, me.epoch, me.generation, i, op=op)),
            )
        elif me.epoch < world.log_epoch:
            yield "append STALE", became(world, i, At.DEAD)
        else:
            results = tuple(me.results[op] if op in todo else world.logged[op] for op in OPS)
            logged = world._replace(logged=results, noted=world.noted | set(me.missing))
            yield "logs the results, and what is missing", became(logged, i, At.NEXT, results=NONE, missing=())

    # Dispatch: row, claim, follow, record.

    def _dispatch(self, world: World, t: int, task: Task, box: Box | None) -> Steps:
        op, generation = task.op, task.generation
        match task.at:
            case At.BEGIN:
                yield self._begin(world, t, task)
            case At.START | At.FOLLOW | At.WIPED if box is None:
                yield "the sandbox is gone", finished(world, t, At.ATTACH)
            case At.START:
                assert box is not None
                yield self._start(world, t, task, box)
            case At.FOLLOW if box is not None and box.claims[op] is Claim.NONE:
                yield "the claim is gone", go(world, t, At.WIPED)
            case At.FOLLOW if box is not None and box.claims[op] in ENDS:
                yield f"{MARKS[op]} seen {box.claims[op]}", go(world, t, At.RECORD, claim=box.claims[op])
            case At.WIPED if Rule.NONCE_IS_RENEWED not in self._rules:
                yield f"{MARKS[op]} interrupted", go(world, t, At.RECORD, claim=Claim.DEAD)
            case At.WIPED:
                assert box is not None
                renewed = boxed(world, generation, box._replace(nonce=max(box.nonce, task.nonce + 1)))
                yield "writes the next nonce", go(renewed, t, At.RENEWED)
            case At.RENEWED:
                yield "STARTING rows INTERRUPTED", self._renewed(world, t, task)
            case At.RECORD:
                yield self._record(world, t, task)

    def _begin(self, world: World, t: int, task: Task) -> tuple[str, World]:
        op, row = task.op, world.rows[task.op]
        is_current = task.generation == world.generation and world.is_ready
        if Rule.DISPATCH_FENCED in self._rules and (task.epoch < world.epoch or not is_current):
            return "refused", finished(world, t, At.DEAD if task.epoch < world.epoch else At.ATTACH)
        if op in self._to_redo(world):
            return "must be redone first", finished(world, t, At.ATTACH)
        if row is not None and row.state != "STARTING":
            return f"{MARKS[op]} has its result", finished(world, t, result=row.result)
        if Rule.ROW_BEFORE_START in self._rules:
            world = world._replace(rows=put(world.rows, op, Row("STARTING", task.generation)))
        return f"{MARKS[op]} STARTING", go(world, t, At.START, nonce=world.nonce)

    def _start(self, world: World, t: int, task: Task, box: Box) -> tuple[str, World]:
        if task.epoch < box.epoch and Rule.START_CHECKS_EPOCH in self._rules:
            return "start refused: epoch", finished(world, t, At.DEAD)
        if box.claims[task.op] is not Claim.NONE and Rule.CLAIMED_ONCE in self._rules:
            return f"{MARKS[task.op]} is claimed, follows", go(world, t, At.FOLLOW)
        fresh = box.nonce == task.nonce if Rule.NONCE_IS_RENEWED in self._rules else box.nonce != 0
        if not fresh and Rule.NONCE_TELLS in self._rules:
            return "the journal is wiped", go(world, t, At.WIPED)
        return f"claims {MARKS[task.op]}", go(_claim(world, task.generation, task.op, task.epoch), t, At.FOLLOW)

    def _renewed(self, world: World, t: int, task: Task) -> World:
        starting = Row("STARTING", task.generation)
        if (world.generation, world.nonce) == (task.generation, task.nonce):
            rows = tuple(ended(row, Claim.DEAD) if row == starting else row for row in world.rows)
            world = world._replace(rows=rows, nonce=task.nonce + 1)
        return go(world, t, At.REDO, nonce=task.nonce + 1) if task.attaches else finished(world, t)

    def _record(self, world: World, t: int, task: Task) -> tuple[str, World]:
        op, row, starting = task.op, world.rows[task.op], Row("STARTING", task.generation)
        if task.generation != world.generation and Rule.RECORD_CHECKS_GENERATION in self._rules:
            return "not recorded: generation", finished(world, t, At.ATTACH)
        if row is not None and row != starting and Rule.ROW_CLOSED_ONCE in self._rules:
            return f"{MARKS[op]} is closed", finished(world, t, At.NEXT if row.result else At.ATTACH, row.result)
        closed = ended(starting, task.claim)
        recorded = world._replace(rows=put(world.rows, op, closed))
        return f"{MARKS[op]} {closed.state}", finished(recorded, t, result=closed.result)

    # Attach: fence, find or plan, unpack, redo, open.

    def _attach(self, world: World, t: int, task: Task, box: Box | None) -> Steps:
        mine, fence = (each if Rule.ATTACH_IS_NUMBERED in self._rules else each[:1] for each in _fences(world, task))
        is_mine = mine == fence
        match task.at:
            case At.FENCE | At.READY if mine < fence:
                yield "overtaken", finished(world, t, At.DEAD)
            case At.FENCE:
                yield self._fence(world, t, task)
            case At.PLAN if not is_mine or task.generation != world.generation:
                yield "overtaken", finished(world, t, At.ATTACH)
            case At.PLAN:
                yield self._plan(world, t, task)
            case At.UNPACK if task.snapshot != NOBODY and world.snapshots[task.snapshot].is_rotten:
                bad = world.snapshots[task.snapshot]._replace(state="BAD")
                snapshots = put(world.snapshots, task.snapshot, bad)
                yield "its snapshot is rotten", go(world._replace(snapshots=snapshots), t, At.PLAN)
            case At.UNPACK if task.generation < world.generation and Rule.CREATE_COMPARES in self._rules:
                yield "overtaken, destroys", finished(world, t, At.ATTACH)
            case At.UNPACK:
                unpacked = boxed(world, task.generation, Box(task.files, nonce=task.nonce, epoch=task.epoch))
                opens = Rule.READY_AFTER_REDO not in self._rules and is_mine and task.generation == world.generation
                yield f"unpacks {task.files!r}", go(unpacked._replace(is_ready=world.is_ready or opens), t, At.REDO)
            case At.REDO | At.READY if task.generation < world.generation and Rule.READY_COMPARES in self._rules:
                yield "overtaken, destroys", finished(boxed(world, task.generation, None), t, At.ATTACH)
            case At.REDO if box is None:
                yield "the sandbox is gone", go(world, t, At.PLAN)
            case At.REDO if box is not None:
                yield from self._redo(world, t, task, box, is_mine=is_mine)
            case At.READY:
                yield self._open(world, t, task)

    def _fence(self, world: World, t: int, task: Task) -> tuple[str, World]:
        """Raise the fence in the database and, where a sandbox answers, inside it; a wiped journal is renewed."""
        box = world.boxes[world.generation - 1]
        fenced = world._replace(epoch=task.epoch, number=task.number)
        if box is None:
            return "raises the fence, finds no sandbox", go(fenced, t, At.PLAN, generation=world.generation)
        if Rule.WAKE_COMPARES in self._rules and world.paused not in (None, box.files):
            return "raises the fence, finds other files", go(fenced, t, At.PLAN, generation=world.generation)
        fenced = boxed(fenced, world.generation, box._replace(epoch=max(box.epoch, task.epoch)))
        wiped = box.nonce != world.nonce and Rule.NONCE_IS_RENEWED in self._rules
        at = At.WIPED if wiped else At.REDO
        return "raises the fence, finds a sandbox", go(fenced, t, at, generation=world.generation, nonce=world.nonce)

    def _plan(self, world: World, t: int, task: Task) -> tuple[str, World]:
        n = self._newest(world)
        marks = [s.covered if s.state == "PUBLISHED" else 0 for s in world.snapshots]
        base, files = (marks[n], world.snapshots[n].files) if n != NOBODY else (0, "")
        if task.snapshot != NOBODY and Rule.BASE_IS_UNPACKED not in self._rules:
            base = world.base
        planned = world._replace(
            generation=world.generation + 1, is_ready=False, base=base, pinned=n, nonce=1, paused=None,
            boxes=(*world.boxes, None),
        )  # fmt: skip
        if n != NOBODY and marks[n] < max(marks):
            planned = planned._replace(broken=Promise.NEWEST)
        memory = go(planned, t, At.UNPACK, generation=planned.generation, snapshot=n, nonce=1, files=files)
        return f"plans generation {planned.generation}", memory

    def _redo(self, world: World, t: int, task: Task, box: Box, *, is_mine: bool) -> Steps:
        left = self._to_redo(world)
        if not left:
            yield "nothing is left to redo", go(world, t, At.READY)
            return
        op = left[0]
        claim, name = box.claims[op], MARKS[op]
        is_current = is_mine and task.generation == world.generation
        if claim in LIVE:
            return
        if claim is Claim.NONE and box.nonce == task.nonce:
            if task.epoch < box.epoch:
                yield "start refused: epoch", finished(world, t, At.DEAD)
            else:
                yield f"claims {name} again", _claim(world, task.generation, op, task.epoch)
        elif not is_current:
            yield "overtaken", finished(world, t, At.ATTACH)
        elif claim is Claim.EXITED:
            redone = put(world.rows, op, Row("DONE", task.generation, "done"))
            yield f"{name} is redone", world._replace(rows=redone)
        else:
            rows = tuple(r._replace(state="LOST") if r and i in left else r for i, r in enumerate(world.rows))
            absent = world.absent | {i for i in left if not set(MARKS[i]) & set(box.files)}
            lost = world._replace(rows=rows, absent=absent)
            yield f"{[MARKS[i] for i in left]} LOST", go(lost, t, At.REDO, missing=tuple(left))

    def _open(self, world: World, t: int, task: Task) -> tuple[str, World]:
        if task.generation == world.generation and self._to_redo(world):
            return "not opened: something is to be redone", finished(world, t, At.ATTACH)
        boxes = world.boxes
        if Rule.DESTROYED_BEFORE_READY in self._rules:
            boxes = (*[None] * (task.generation - 1), *boxes[task.generation - 1 :])
        lost = tuple(i for i, row in enumerate(world.rows) if row and row.state == "LOST" and i not in world.noted)
        told = lost if Rule.LOST_IS_A_ROW in self._rules else task.missing
        opened = world._replace(generation=task.generation, is_ready=True, pinned=NOBODY, paused=None, boxes=boxes)
        return "READY", finished(opened, t, generation=task.generation, missing=told)

    def _to_redo(self, world: World) -> list[int]:
        """Operations whose effect went with an older generation."""
        if Rule.REDO not in self._rules:
            return []
        done = [(i, r) for i, r in enumerate(world.rows) if r and r.state == "DONE" and r.generation < world.generation]
        return [i for i, _ in done if not self._is_covered(i, world.base)]

    # Snapshots: covered and walk under the lock, then publish.

    def _snapshot(self, world: World, t: int, task: Task, box: Box | None) -> Steps:
        is_current = task.generation == world.generation and world.is_ready
        match task.at:
            case At.WALK:
                yield from self._walk(world, t, task, box, is_current=is_current)
            case At.WALKING if box is None:
                yield "the sandbox is gone", finished(world, t)
            case At.WALKING if box is not None:
                yield f"walks {box.files!r}", go(world, t, At.PUBLISH, files=box.files)
            case At.PUBLISH if task.epoch < world.epoch:
                yield "not published: epoch", finished(world, t)
            case At.PUBLISH if not is_current and Rule.PUBLISH_CHECKS_GENERATION in self._rules:
                yield "not published: generation", finished(world, t)
            case At.PUBLISH:
                yield self._publish(world, t, task)

    def _walk(self, world: World, t: int, task: Task, box: Box | None, *, is_current: bool) -> Steps:
        closes = Rule.WALK_CLOSES_ROWS in self._rules
        if box is None or not is_current or (closes and box.nonce != world.nonce):
            yield "no snapshot", finished(world, t)
            return
        is_locked = Rule.WALK_IS_LOCKED in self._rules
        if is_locked and Rule.WALK_WAITS in self._rules and any(claim in LIVE for claim in box.claims):
            return
        if closes:
            starting = Row("STARTING", task.generation)
            pairs = zip(world.rows, box.claims, strict=True)
            rows = tuple(ended(row, claim) if row == starting and claim in ENDS else row for row, claim in pairs)
            world = world._replace(rows=rows)
        at = At.PUBLISH if is_locked else At.WALKING
        yield f"reads covered, walks {box.files!r}", go(world, t, at, covered=self._covered(world), files=box.files)

    def _publish(self, world: World, t: int, task: Task) -> tuple[str, World]:
        mark = task.covered if Rule.COVERED_AT_WALK in self._rules else self._covered(world)
        done = [i for i, row in enumerate(world.rows) if row and row.state == "DONE" and self._is_covered(i, mark)]
        published = world._replace(snapshots=(*world.snapshots, Snapshot(mark, task.files)))
        if any(MARKS[i] not in task.files for i in done):
            published = published._replace(broken=Promise.COVERED)
        return f"publishes {task.files!r}, covered {mark}", finished(published, t)

    def _covered(self, world: World) -> int:
        """The mark up to which every operation is closed: an operation, or a log sequence."""
        closing = ("DONE", "INTERRUPTED", "LOST") if Rule.COVERED_COUNTS_CLOSED in self._rules else ("DONE",)
        closed = [row is not None and row.state in closing for row in world.rows]
        if Rule.COVERED_IS_AN_OPERATION in self._rules:
            return next((i for i in OPS if not closed[i]), len(OPS))
        turns, begun = self._size.turns, [i for i in OPS if world.rows[i]]
        return max((turns[i] for i in begun if all(closed[j] for j in begun if turns[j] <= turns[i])), default=0)

    def _is_covered(self, op: int, mark: int) -> bool:
        return op < mark if Rule.COVERED_IS_AN_OPERATION in self._rules else self._size.turns[op] <= mark

    def _newest(self, world: World) -> int:
        """The snapshot to restore from."""
        good = [n for n, snapshot in enumerate(world.snapshots) if snapshot.state == "PUBLISHED"]
        by_covered = Rule.NEWEST_COVERS_MOST in self._rules
        return max(good, key=lambda n: (world.snapshots[n].covered if by_covered else 0, n), default=NOBODY)

    # What happens by itself.

    def _run(self, world: World) -> Steps:
        """Commands write their two marks and end."""
        for generation, op, box in commands(world):
            is_first = box.claims[op] is Claim.RUNNING
            claim, mark = (Claim.MIDST, MARKS[op][0]) if is_first else (Claim.EXITED, MARKS[op][1])
            written = box._replace(files=box.files + mark, claims=put(box.claims, op, claim))
            yield f"{mark} is written in {generation}", boxed(world, generation, written)

    def _retire(self, world: World) -> Steps:
        ranked = sorted((s.covered, n) for n, s in enumerate(world.snapshots) if s.state == "PUBLISHED")
        for _, n in ranked[:-KEEP]:
            is_free = n not in (world.fork, world.pinned)
            if is_free or Rule.RETENTION_SPARES not in self._rules:
                snapshots = put(world.snapshots, n, world.snapshots[n]._replace(state="DELETED"))
                gone = world._replace(snapshots=snapshots, broken=None if is_free else Promise.KEPT)
                yield f"retention deletes snapshot {n}", gone

    # What the world does.

    def faults(self, world: World) -> Steps:
        """At most `faults` of them."""
        if len(world.faults) >= self._size.faults:
            return
        for fault in Fault:
            if fault in self._size.kinds and world.faults.count(fault) < self._size.each:
                struck = world._replace(faults=tuple(sorted((*world.faults, fault))))
                yield from ((f"{fault}{detail}", following) for detail, following in self._strike(struck, fault))

    def _strike(self, world: World, fault: Fault) -> Steps:
        match fault:
            case Fault.TAKE_OVER if world.workers[1].at is At.NEW:
                workers = (world.workers[0], Worker(At.ATTACH, 2))
                yield "", world._replace(log_epoch=2, workers=workers)
            case Fault.LOST:
                for generation, box in enumerate(world.boxes, 1):
                    if box is not None:
                        yield f": {generation}", boxed(world, generation, None)
            case Fault.KILLED | Fault.WIPED:
                yield from self._strike_commands(world, fault)
            case Fault.WAKES_OLDER:
                yield from self._strike_pause(world)
            case Fault.ABANDONED | Fault.SEEMS_LOST:
                yield from self._strike_tasks(world, fault)
            case Fault.ROTS:
                for n, snapshot in enumerate(world.snapshots):
                    rotten = put(world.snapshots, n, snapshot._replace(is_rotten=True))
                    yield f": {n}", world._replace(snapshots=rotten)
            case Fault.FORKS if world.fork == NOBODY and world.snapshots:
                yield "", world._replace(fork=self._newest(world))

    def _strike_commands(self, world: World, fault: Fault) -> Steps:
        for generation, op, box in commands(world):
            written = box.files + MARKS[op][box.claims[op] is Claim.MIDST :]
            if fault is Fault.WIPED:
                wiped = Box(written, nonce=0, epoch=box.epoch)
                yield f": {MARKS[op]}", boxed(world, generation, wiped)
            else:
                for files in (box.files, written):
                    killed = box._replace(files=files, claims=put(box.claims, op, Claim.DEAD))
                    yield f": {MARKS[op]}, files {files!r}", boxed(world, generation, killed)

    def _strike_pause(self, world: World) -> Steps:
        """The owner pauses: what ran is dead; of what had ended, the last is as if it had never been."""
        box = world.boxes[world.generation - 1]
        is_owned = any(
            (me.at, me.epoch, me.generation) == (At.NEXT, world.epoch, world.generation) for me in world.workers
        )
        if box is None or not (world.is_ready and is_owned):
            return
        claims = tuple(Claim.DEAD if claim in LIVE else claim for claim in box.claims)
        for op in OPS:
            if claims[op] is Claim.EXITED and box.files.endswith(MARKS[op]):
                older = Box(box.files.removesuffix(MARKS[op]), put(claims, op, Claim.NONE), box.nonce, box.epoch)
                claimed = world.claimed - {(op, world.generation)}
                paused = world._replace(is_ready=False, paused=box.files, claimed=claimed)
                yield f": without {MARKS[op]}", boxed(paused, world.generation, older)

    def _strike_tasks(self, world: World, fault: Fault) -> Steps:
        for t, task in enumerate(world.tasks):
            if fault is Fault.SEEMS_LOST and task.at is At.REDO:
                yield "", go(world, t, At.PLAN)
            elif fault is Fault.ABANDONED and task.worker != NOBODY:
                worker = world.workers[task.worker]
                back = worker._replace(at=At.ATTACH if worker.at is At.WAIT_ATTACH else At.NEXT)
                freed = world._replace(workers=put(world.workers, task.worker, back))
                yield f" in {task.at}", go(freed, t, task.at, worker=NOBODY)

    # What must never be.

    def broken(self, world: World, *, at_rest: bool) -> Promise | None:
        """The promise that a state breaks."""
        owner = max(world.workers, key=lambda worker: worker.epoch)
        if world.broken is not None:
            return world.broken
        if any(
            told and row and row.result and row.result != told
            for told, row in zip(world.logged, world.rows, strict=True)
        ):
            return Promise.RESULT_STANDS
        if world.logged.count("interrupted") > sum(
            f in (Fault.KILLED, Fault.WIPED, Fault.WAKES_OLDER) for f in world.faults
        ):
            return Promise.CAUSED
        if world.is_ready and any(world.boxes[: world.generation - 1]):
            return Promise.ONE_SANDBOX
        if at_rest and owner.at is not At.DONE:
            return Promise.LIVES
        return self._broken_at_end(world) if owner.at is At.DONE else None

    def _broken_at_end(self, world: World) -> Promise | None:
        box = world.boxes[world.generation - 1]
        if not world.is_ready or box is None:
            return None
        files = list(box.files)
        if len(set(files)) < len(files):
            return Promise.EFFECT_ONCE
        if files != [mark for mark in "".join(MARKS) if mark in files]:
            return Promise.IN_ORDER
        done = [i for i, result in enumerate(world.logged) if result == "done" and i not in world.noted]
        if any(MARKS[i] not in box.files for i in done):
            return Promise.NOT_SILENTLY
        return Promise.STAYS_MISSING if any(set(MARKS[i]) & set(files) for i in world.absent) else None


def _claim(world: World, generation: int, op: int, epoch: int) -> World:
    """The command makes its claim and runs."""
    box = world.boxes[generation - 1]
    assert box is not None
    at_work = (At.NEXT, At.WAIT_OP, At.DONE)
    is_late = generation == world.generation and any(w.epoch > epoch and w.at in at_work for w in world.workers)
    broken = Promise.NEWER_ATTACH if is_late else world.broken
    if (op, generation) in world.claimed:
        broken = Promise.CLAIMED_ONCE
    claimed = world._replace(claimed=world.claimed | {(op, generation)}, broken=broken)
    return boxed(claimed, generation, box._replace(claims=put(box.claims, op, Claim.RUNNING)))


def _fences(world: World, task: Task) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return (task.epoch, task.number), (world.epoch, world.number)
