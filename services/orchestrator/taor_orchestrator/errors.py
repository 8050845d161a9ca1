"""What the orchestrator refuses, beside what every service does (`taor_chassis.errors`).

ServiceError
├── BriefTooLarge          BRIEF_TOO_LARGE       brief, clarifications and plan are larger than 1 MiB together
├── RequestIdConflict      REQUEST_ID_CONFLICT   the request_id stands for a request with another body
├── BuildNotFound          BUILD_NOT_FOUND       no build of this tenant has the id
├── PageTokenInvalid       PAGE_TOKEN_INVALID    the page token is not one that was given out
├── BuildEnded             BUILD_ENDED           the build has ended, or is being cancelled
├── NoOpenQuestion         NO_OPEN_QUESTION      the build has asked nothing that is not answered already
├── InboxFull              INBOX_FULL            too many texts wait for the build already
├── ProjectNotFound        PROJECT_NOT_FOUND     no build was ever started in the project
├── ProjectBusy            PROJECT_BUSY          a build of the project has not ended
├── ProjectDeleted         PROJECT_DELETED       the project was deleted, and takes no build any more
├── TurnNotKept            TURN_NOT_KEPT         the turn is open, or its files are not kept
├── ProjectMismatch        PROJECT_MISMATCH      the builds are of different projects
├── ForkFailed             FORK_FAILED           what a fork was to inherit has been deleted meanwhile
└── NotAdmitted                                  the budget service does not admit the build
    ├── TierUnknown        TIER_UNKNOWN
    ├── PlanMismatch       PLAN_MISMATCH
    ├── ModelUnknown       MODEL_UNKNOWN
    └── ModelNotAllowed    MODEL_NOT_ALLOWED
"""

from collections.abc import Sequence

import grpc

from taor_chassis.errors import ServiceError


class BriefTooLarge(ServiceError):
    """Brief, clarifications and plan are larger than 1 MiB together."""

    status = grpc.StatusCode.INVALID_ARGUMENT
    reason = "BRIEF_TOO_LARGE"


class RequestIdConflict(ServiceError):
    """The request_id stands for a request with another body."""

    status = grpc.StatusCode.ALREADY_EXISTS
    reason = "REQUEST_ID_CONFLICT"


class BuildNotFound(ServiceError):
    """No build of this tenant has the id."""

    status = grpc.StatusCode.NOT_FOUND
    reason = "BUILD_NOT_FOUND"


class PageTokenInvalid(ServiceError):
    """The page token is not one that was given out."""

    status = grpc.StatusCode.INVALID_ARGUMENT
    reason = "PAGE_TOKEN_INVALID"


class BuildEnded(ServiceError):
    """The build has ended, or is being cancelled."""

    status = grpc.StatusCode.FAILED_PRECONDITION
    reason = "BUILD_ENDED"


class NoOpenQuestion(ServiceError):
    """The build has asked nothing that is not answered already."""

    status = grpc.StatusCode.FAILED_PRECONDITION
    reason = "NO_OPEN_QUESTION"


class InboxFull(ServiceError):
    """Too many texts wait for the build already."""

    status = grpc.StatusCode.RESOURCE_EXHAUSTED
    reason = "INBOX_FULL"


class TurnNotKept(ServiceError):
    """The turn is not closed, or the files as they stood after it are not kept."""

    status = grpc.StatusCode.FAILED_PRECONDITION
    reason = "TURN_NOT_KEPT"


class ProjectMismatch(ServiceError):
    """The builds are of different projects."""

    status = grpc.StatusCode.FAILED_PRECONDITION
    reason = "PROJECT_MISMATCH"


class ForkFailed(ServiceError):
    """What a fork was to inherit has been deleted meanwhile."""

    status = grpc.StatusCode.FAILED_PRECONDITION
    reason = "FORK_FAILED"


class ProjectNotFound(ServiceError):
    """No build was ever started in the project."""

    status = grpc.StatusCode.NOT_FOUND
    reason = "PROJECT_NOT_FOUND"

    def __init__(self, project_id: str) -> None:
        super().__init__(f"no build was ever started in the project {project_id}", project_id=project_id)


class ProjectBusy(ServiceError):
    """A build of the project has not ended."""

    status = grpc.StatusCode.FAILED_PRECONDITION
    reason = "PROJECT_BUSY"

    def __init__(self, project_id: str, build_ids: Sequence[str]) -> None:
        named = ", ".join(build_ids)
        message = f"builds of the project {project_id} have not ended; cancel them first: {named}"
        super().__init__(message, project_id=project_id, build_ids=named)


class ProjectDeleted(ServiceError):
    """The project was deleted, and takes no build any more."""

    status = grpc.StatusCode.FAILED_PRECONDITION
    reason = "PROJECT_DELETED"

    def __init__(self, project_id: str) -> None:
        message = f"the project {project_id} was deleted for good; start the build under another project_id"
        super().__init__(message, project_id=project_id)


class NotAdmitted(ServiceError):
    """The budget service does not admit the build; its message is for the user."""

    status = grpc.StatusCode.FAILED_PRECONDITION


class TierUnknown(NotAdmitted):
    """No plan has this tier."""

    status = grpc.StatusCode.INVALID_ARGUMENT
    reason = "TIER_UNKNOWN"


class PlanMismatch(NotAdmitted):
    """The account is on another plan than the build names, or there is no account."""

    reason = "PLAN_MISMATCH"


class ModelUnknown(NotAdmitted):
    """No price is known for the model, so nothing may be spent on it."""

    status = grpc.StatusCode.INVALID_ARGUMENT
    reason = "MODEL_UNKNOWN"


class ModelNotAllowed(NotAdmitted):
    """The plan does not include the model."""

    reason = "MODEL_NOT_ALLOWED"
