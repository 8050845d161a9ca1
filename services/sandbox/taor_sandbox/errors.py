"""Why the sandbox service refuses a call. A tool that fails is no error: its call is OK and carries a Failure.

ServiceError                      (taor_chassis.errors)
└── Refused                       base of the ones below
    ├── StaleEpoch                STALE_EPOCH              another owner holds the build
    ├── StaleGeneration           STALE_GENERATION         the sandbox was replaced: attach again
    ├── AttachSuperseded          ATTACH_SUPERSEDED        a later Attach of the same claim goes on
    ├── SandboxNotFound           SANDBOX_NOT_FOUND        nobody has attached yet
    ├── OperationNotFound         OPERATION_NOT_FOUND      the journal does not know it
    ├── OperationConflict         OPERATION_CONFLICT       the id stands for another call
    ├── OperationOutOfOrder       OPERATION_OUT_OF_ORDER   an earlier changing call is still open
    ├── SandboxUnavailable        SANDBOX_UNAVAILABLE      not made or reached in time: try again
    ├── IsolationUnavailable      ISOLATION_UNAVAILABLE    this machine cannot isolate
    ├── NoFiles                   NO_FILES                 neither sandbox nor snapshot
    ├── NoSnapshot                NO_SNAPSHOT              none is of exactly that moment
    ├── ProjectMismatch           PROJECT_MISMATCH         the builds are of different projects
    ├── ForkConflict              FORK_CONFLICT            the build is here already, and not as this fork
    ├── GitMissing                GIT_MISSING              no git inside, so no bundle
    ├── SandboxNotRunning         SANDBOX_NOT_RUNNING      what is asked for is made inside
    ├── SnapshotFailed            SNAPSHOT_FAILED          the files could not be saved now: try again
    └── PreviewUnavailable        PREVIEW_UNAVAILABLE      no sandbox to look into
SnapshotBad                       never leaves the service: an older snapshot is tried
"""

import grpc

from taor_chassis.errors import ServiceError


class Refused(ServiceError):
    """A refusal of this service."""


class StaleEpoch(Refused):
    """The caller's claim on the build is not the current one; it must stop."""

    status = grpc.StatusCode.ABORTED
    reason = "STALE_EPOCH"

    def __init__(self) -> None:
        super().__init__("another owner holds this build; stop working on it")


class StaleGeneration(Refused):
    """The sandbox that the caller attached to is not the current one, or is gone."""

    status = grpc.StatusCode.ABORTED
    reason = "STALE_GENERATION"

    def __init__(self, message: str = "the sandbox was replaced; attach again") -> None:
        super().__init__(message)


class AttachSuperseded(Refused):
    """A later Attach of the same claim took over; only its caller goes on."""

    status = grpc.StatusCode.ABORTED
    reason = "ATTACH_SUPERSEDED"

    def __init__(self) -> None:
        super().__init__("a later attach of this claim took over")


class SandboxNotFound(Refused):
    """The build is not known here."""

    status = grpc.StatusCode.NOT_FOUND
    reason = "SANDBOX_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("no sandbox was ever attached for this build; call AttachBuild first")


class OperationNotFound(Refused):
    """The journal has no such operation."""

    status = grpc.StatusCode.NOT_FOUND
    reason = "OPERATION_NOT_FOUND"

    def __init__(self, op_id: str) -> None:
        super().__init__("the operation was never announced; there is nothing to cancel", op_id=op_id)


class OperationConflict(Refused):
    """One operation id, two different calls."""

    status = grpc.StatusCode.ALREADY_EXISTS
    reason = "OPERATION_CONFLICT"

    def __init__(self, op_id: str) -> None:
        super().__init__("this operation id, or its place in the log, stands for another call", op_id=op_id)


class OperationOutOfOrder(Refused):
    """Changing operations start one at a time, in the order of the log."""

    status = grpc.StatusCode.FAILED_PRECONDITION
    reason = "OPERATION_OUT_OF_ORDER"

    def __init__(self, op_id: str) -> None:
        super().__init__("another changing operation is open, or a later one was there already", op_id=op_id)


class SandboxUnavailable(Refused):
    """The sandbox could not be made or reached in time."""

    status = grpc.StatusCode.UNAVAILABLE
    reason = "SANDBOX_UNAVAILABLE"


class IsolationUnavailable(Refused):
    """Sandboxes cannot be had here; the message names the remedy."""

    status = grpc.StatusCode.FAILED_PRECONDITION
    reason = "ISOLATION_UNAVAILABLE"


class SnapshotFailed(Refused):
    """The files could not be saved; nothing was published, and the sandbox goes on."""

    status = grpc.StatusCode.UNAVAILABLE
    reason = "SNAPSHOT_FAILED"
    retryable = False  # the store was asked several times already; the next turn asks again


class NoFiles(Refused):
    """There is neither a sandbox nor a snapshot."""

    status = grpc.StatusCode.NOT_FOUND
    reason = "NO_FILES"

    def __init__(self) -> None:
        super().__init__("this build has no files: its sandbox is gone and no snapshot was taken")


class NoSnapshot(Refused):
    """No snapshot holds the files of exactly a moment."""

    status = grpc.StatusCode.FAILED_PRECONDITION
    reason = "NO_SNAPSHOT"

    def __init__(self, build_id: str, log_sequence: int) -> None:
        message = f"no snapshot of the build {build_id} holds its files as they stood after log entry {log_sequence}"
        super().__init__(message, build_id=build_id, log_sequence=str(log_sequence))


class ProjectMismatch(Refused):
    """Files stay within their project."""

    status = grpc.StatusCode.FAILED_PRECONDITION
    reason = "PROJECT_MISMATCH"

    def __init__(self, build_id: str) -> None:
        super().__init__(f"the build {build_id} belongs to another project", build_id=build_id)


class ForkConflict(Refused):
    """The new build is not new."""

    status = grpc.StatusCode.ALREADY_EXISTS
    reason = "FORK_CONFLICT"

    def __init__(self, build_id: str) -> None:
        super().__init__(f"the build {build_id} is here already, and not as this fork", build_id=build_id)


class GitMissing(Refused):
    """A bundle was asked for, and there is no git inside the sandbox."""

    status = grpc.StatusCode.FAILED_PRECONDITION
    reason = "GIT_MISSING"

    def __init__(self) -> None:
        super().__init__("there is no git inside the sandbox; ask for a tar or zip archive, or install git there")


class SandboxNotRunning(Refused):
    """What was asked for is made inside the sandbox, and none runs."""

    status = grpc.StatusCode.FAILED_PRECONDITION
    reason = "SANDBOX_NOT_RUNNING"

    def __init__(self) -> None:
        super().__init__("the sandbox does not run, and a git bundle is made inside; ask for a tar or zip archive")


class PreviewUnavailable(Refused):
    """The sandbox does not run, so nothing can be looked at."""

    status = grpc.StatusCode.FAILED_PRECONDITION
    reason = "PREVIEW_UNAVAILABLE"

    def __init__(self) -> None:
        super().__init__("the sandbox of this build does not run, so there is nothing to preview")


class SnapshotBad(Exception):
    """A snapshot cannot be restored: a blob is missing or its hash is another."""

    def __init__(self, snapshot_id: str, detail: str) -> None:
        super().__init__(f"snapshot {snapshot_id}: {detail}")
        self.snapshot_id = snapshot_id
