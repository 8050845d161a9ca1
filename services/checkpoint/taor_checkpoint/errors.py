"""What the checkpoint service says when it refuses a call; the general reasons stand in `taor_chassis.errors`.

ServiceError
└── CheckpointError
    ├── StaleEpoch                 STALE_EPOCH              another owner has taken the build over
    ├── NotAttached                NOT_ATTACHED             the epoch is ahead of the fence: attach first
    ├── HeadMoved                  HEAD_MOVED               the log has other entries after this head
    ├── SessionNotFound            SESSION_NOT_FOUND        no such log
    ├── ProjectMismatch            PROJECT_MISMATCH         the log belongs to another project
    ├── LogClosed                  LOG_CLOSED               nothing follows an OUTCOME
    ├── InboxIdRepeated            INBOX_ID_REPEATED        an inbox item may stand in one entry only
    ├── ProjectDeleted             PROJECT_DELETED          the project was deleted, and its key with it
    ├── LogExpired                 LOG_EXPIRED              the log was kept for its time after the end, and deleted
    ├── ForkPointInvalid           FORK_POINT_INVALID       a log cannot be forked at this entry
    ├── ForkConflict               FORK_CONFLICT            the build has another session already
    ├── EntryCorrupt               ENTRY_CORRUPT            the stored bytes are not those that were appended
    └── ProjectKeyUnreadable       PROJECT_KEY_UNREADABLE   the master key is not the one that wrapped this key
"""

import grpc

from taor_chassis.errors import ServiceError


class CheckpointError(ServiceError):
    """A refusal of the checkpoint service."""


class StaleEpoch(CheckpointError):
    """The caller no longer holds the build, and must stop working on it."""

    status = grpc.StatusCode.ABORTED
    reason = "STALE_EPOCH"

    def __init__(self, epoch: int) -> None:
        super().__init__(f"the build is held by another owner, at epoch {epoch}; stop working on it", epoch=str(epoch))


class NotAttached(CheckpointError):
    """The caller's claim is newer than the fence."""

    status = grpc.StatusCode.FAILED_PRECONDITION
    reason = "NOT_ATTACHED"

    def __init__(self, epoch: int) -> None:
        super().__init__(f"the fence stands at epoch {epoch}; call AttachBuild with yours first", epoch=str(epoch))


class HeadMoved(CheckpointError):
    """The log does not end where the caller believes."""

    status = grpc.StatusCode.ABORTED
    reason = "HEAD_MOVED"

    def __init__(self, head: int) -> None:
        super().__init__(f"the log ends at {head}, or has other entries there; read it again", head=str(head))


class SessionNotFound(CheckpointError):
    """No build of this id has attached."""

    status = grpc.StatusCode.NOT_FOUND
    reason = "SESSION_NOT_FOUND"

    def __init__(self, build_id: str) -> None:
        super().__init__(f"there is no log of the build {build_id}", build_id=build_id)


class ProjectMismatch(CheckpointError):
    """A build stays in the project that it was started in."""

    status = grpc.StatusCode.FAILED_PRECONDITION
    reason = "PROJECT_MISMATCH"

    def __init__(self, build_id: str) -> None:
        super().__init__(f"the log of the build {build_id} belongs to another project", build_id=build_id)


class LogClosed(CheckpointError):
    """The build has ended."""

    status = grpc.StatusCode.FAILED_PRECONDITION
    reason = "LOG_CLOSED"

    def __init__(self, head: int) -> None:
        super().__init__(f"the log was closed by the outcome at {head}; nothing can follow", head=str(head))


class InboxIdRepeated(CheckpointError):
    """An inbox item would be told to the model twice."""

    status = grpc.StatusCode.ALREADY_EXISTS
    reason = "INBOX_ID_REPEATED"

    def __init__(self, head: int) -> None:
        super().__init__("an inbox id stands in an entry of the log already; read the log again", head=str(head))


class ProjectDeleted(CheckpointError):
    """Nobody can read the project any more, and nothing can begin in it."""

    status = grpc.StatusCode.FAILED_PRECONDITION
    reason = "PROJECT_DELETED"

    def __init__(self, project_id: str) -> None:
        message = f"the project {project_id} was deleted for good; start anew under another project_id"
        super().__init__(message, project_id=project_id)


class LogExpired(CheckpointError):
    """The build ended longer ago than logs are kept."""

    status = grpc.StatusCode.FAILED_PRECONDITION
    reason = "LOG_EXPIRED"

    def __init__(self, build_id: str) -> None:
        message = f"the log of the build {build_id} was deleted: it ended longer ago than logs are kept"
        super().__init__(message, build_id=build_id)


class ForkPointInvalid(CheckpointError):
    """The log of the origin has no such beginning."""

    status = grpc.StatusCode.FAILED_PRECONDITION
    reason = "FORK_POINT_INVALID"

    def __init__(self, wanted: int, head: int) -> None:
        super().__init__(f"a log that ends at {head} cannot be forked at {wanted}; name an entry below", head=str(head))


class ForkConflict(CheckpointError):
    """The new build is not new."""

    status = grpc.StatusCode.ALREADY_EXISTS
    reason = "FORK_CONFLICT"

    def __init__(self, build_id: str) -> None:
        super().__init__(f"the build {build_id} has a log already that is not this fork", build_id=build_id)


class EntryCorrupt(CheckpointError):
    """The database no longer holds what was appended."""

    status = grpc.StatusCode.DATA_LOSS
    reason = "ENTRY_CORRUPT"

    def __init__(self, sequence: int) -> None:
        super().__init__(f"the stored entry {sequence} is not what was appended", sequence=str(sequence))


class ProjectKeyUnreadable(CheckpointError):
    """The bodies of a project cannot be read with this configuration."""

    status = grpc.StatusCode.FAILED_PRECONDITION
    reason = "PROJECT_KEY_UNREADABLE"

    def __init__(self, project_id: str) -> None:
        message = f"the key of the project {project_id} was wrapped by another master key; configure that one"
        super().__init__(message, project_id=project_id)
