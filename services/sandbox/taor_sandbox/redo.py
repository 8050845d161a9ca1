"""Does again what was done in a lost sandbox and is not in the snapshot under the new one, in the order of the log.

Compared is how each command ended, what each file tool said, and the hash of the tree wherever a walk has noted one
after that operation: that of a snapshot which could not be stored, or turned out bad. A hash after every turn would
need a walk after every turn, and snapshots are taken that often anyway.
"""

import logging

from taor_sandbox.backends.errors import JournalWiped
from taor_sandbox.backends.port import Sandbox
from taor_sandbox.errors import AttachSuperseded, SnapshotFailed
from taor_sandbox.outcome import FailureCode, Outcome, ToolFailed
from taor_sandbox.records import Build, DoneOperation, OperationState
from taor_sandbox.redaction import safe
from taor_sandbox.store.operations import Operations
from taor_sandbox.tools import effects
from taor_sandbox.tools.effects import Effect, Ended
from taor_sandbox.tools.inputs import Bash
from taor_sandbox.tree import take_stock

_BATCH = 16
_NOT_REPEATABLE = (FailureCode.TIMEOUT, FailureCode.CANCELLED, FailureCode.LIMIT)

_log = logging.getLogger(__name__)


class Redo:
    """A pass over what is missing. From the first operation that comes out differently on, all are LOST."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def run(self, build: Build, sandbox: Sandbox) -> None:
        """Redo everything that is missing, or note it as lost; raises AttachSuperseded when overtaken."""
        while batch := await self._operations.to_redo(build, _BATCH):
            for operation in batch:
                if not await self._redo(build, sandbox, operation):
                    await self._give_up(build, operation)
                    return

    async def _redo(self, build: Build, sandbox: Sandbox, operation: DoneOperation) -> bool:
        """Whether the operation has come out as it did before."""
        if operation.outcome.code in _NOT_REPEATABLE:
            return False
        cwd = await self._operations.cwd(build.key, operation.position)
        effect = Effect(operation.op_id, build.fence.epoch, build.nonce_text, cwd, operation.input)
        claims, again = await self._run(sandbox, effect, operation)
        if again is None or not (_same(operation, again) and await self._left_the_same_tree(build, sandbox, operation)):
            return False
        if not await self._operations.record_redone(build, operation.op_id, claims, again):
            raise AttachSuperseded()
        return True

    async def _left_the_same_tree(self, build: Build, sandbox: Sandbox, operation: DoneOperation) -> bool:
        """Whether the files are as they were noted after this operation, if they were noted."""
        noted = await self._operations.tree_after(build, operation.position)
        if noted is None:
            return True
        try:
            return (await take_stock(sandbox)).tree_sha256 == noted
        except SnapshotFailed as error:
            _log.warning("what was done again cannot be compared", exc_info=error)
            return False

    async def _run(self, sandbox: Sandbox, effect: Effect, operation: DoneOperation) -> tuple[int, Outcome | None]:
        if operation.outcome.code is FailureCode.FILE_CHANGED:
            return 0, operation.outcome  # it changed nothing, for a reason that does not stand in the files
        try:
            claims = await effects.start(sandbox, effect)
        except ToolFailed as failure:
            return 0, failure.outcome
        except JournalWiped:
            return 0, None
        async for event in effects.follow(sandbox, effect):
            if isinstance(event, Ended) and event.state is OperationState.DONE:
                return claims, event.outcome
        return claims, None

    async def _give_up(self, build: Build, operation: DoneOperation) -> None:
        _log.warning("effects are lost from here on", extra={"build_id": build.key.build_id, "op_id": operation.op_id})
        if not await self._operations.record_lost(build):
            raise AttachSuperseded()


def _same(operation: DoneOperation, again: Outcome) -> bool:
    """A background command counts as done again once it was started; when it ends is its own affair.

    What a file tool says depends on the files alone; what a command says may hold times. What was stored was redacted,
    perhaps by an older release that knew fewer shapes of secrets.
    """
    if isinstance(operation.input, Bash):
        return operation.input.background or again.like(operation.outcome)
    return again.like(operation.outcome) and safe(again.text) == safe(operation.outcome.text)
