"""What the budget service says when it refuses a call.

    ServiceError                    (chassis)
    ├── StaleEpoch                  STALE_EPOCH              another owner holds the build
    ├── AccountNotFound             ACCOUNT_NOT_FOUND        nobody opened an account for the user
    ├── BuildNotFound               BUILD_NOT_FOUND          the build was never admitted
    ├── ReservationNotFound         RESERVATION_NOT_FOUND    no reservation has this id
    ├── TierUnknown                 TIER_UNKNOWN             no plan has this tier
    ├── TimeZoneUnknown             TIME_ZONE_UNKNOWN        no time zone has this name
    ├── PlanMismatch                PLAN_MISMATCH            the account is on another plan
    ├── ModelUnknown                MODEL_UNKNOWN            the model has no price
    ├── ModelNotAllowed             MODEL_NOT_ALLOWED        the plan does not include the model
    ├── IdConflict                  ID_CONFLICT              the id stands for other arguments
    └── ReservationClosed           RESERVATION_CLOSED       a reservation in this state cannot be closed that way

A denied reservation is an answer and no error. The messages of AccountNotFound to ModelNotAllowed are read by the
user of a build, so they say what to do.
"""

from collections.abc import Sequence

import grpc

from taor_chassis.errors import ServiceError


class StaleEpoch(ServiceError):
    """The caller no longer holds the build, or never attached to it at this epoch."""

    status = grpc.StatusCode.ABORTED
    reason = "STALE_EPOCH"

    def __init__(self, build_id: str, epoch: int, highest: int) -> None:
        super().__init__(
            f"build {build_id} is held at epoch {highest}, not by this owner at {epoch}; stop working on it",
            epoch=str(epoch),
            highest_epoch=str(highest),
        )


class AccountNotFound(ServiceError):
    """The user has no account, and the configuration does not let one be opened by a build."""

    status = grpc.StatusCode.NOT_FOUND
    reason = "ACCOUNT_NOT_FOUND"

    def __init__(self, user_id: str) -> None:
        super().__init__(f"there is no account for {user_id}; ask who runs this installation to open one")


class BuildNotFound(ServiceError):
    """The build is not known here."""

    status = grpc.StatusCode.NOT_FOUND
    reason = "BUILD_NOT_FOUND"

    def __init__(self, build_id: str) -> None:
        super().__init__(f"build {build_id} was never admitted; call AdmitBuild first")


class ReservationNotFound(ServiceError):
    """The id has no reservation."""

    status = grpc.StatusCode.NOT_FOUND
    reason = "RESERVATION_NOT_FOUND"

    def __init__(self, rid: str) -> None:
        super().__init__(f"there is no reservation {rid}")


class TierUnknown(ServiceError):
    """No plan has this tier."""

    status = grpc.StatusCode.INVALID_ARGUMENT
    reason = "TIER_UNKNOWN"

    def __init__(self, tier: str, known: Sequence[str]) -> None:
        choices = ", ".join(known)
        super().__init__(f"there is no plan {tier!r}; choose one of {choices}", tiers=choices)


class TimeZoneUnknown(ServiceError):
    """The IANA database has no such time zone."""

    status = grpc.StatusCode.INVALID_ARGUMENT
    reason = "TIME_ZONE_UNKNOWN"

    def __init__(self, name: str) -> None:
        super().__init__(f"{name!r} is not a time zone of the IANA database; send a name like Europe/Berlin, or none")


class PlanMismatch(ServiceError):
    """The build names another tier than the account has."""

    status = grpc.StatusCode.FAILED_PRECONDITION
    reason = "PLAN_MISMATCH"

    def __init__(self, named: str, actual: str) -> None:
        super().__init__(f"the account is on the plan {actual!r}, not {named!r}; start the build with it", tier=actual)


class ModelUnknown(ServiceError):
    """The model has no price, so nothing may be spent on it."""

    status = grpc.StatusCode.INVALID_ARGUMENT
    reason = "MODEL_UNKNOWN"

    def __init__(self, model: str) -> None:
        super().__init__(f"no price is known for {model!r}; add one to the file that TAOR_BUDGET_PRICES names")


class ModelNotAllowed(ServiceError):
    """The plan does not include the model."""

    status = grpc.StatusCode.FAILED_PRECONDITION
    reason = "MODEL_NOT_ALLOWED"

    def __init__(self, tier: str, model: str, allowed: Sequence[str]) -> None:
        choices = ", ".join(allowed)
        super().__init__(f"the plan {tier!r} does not include {model!r}; choose one of {choices}", models=choices)


class IdConflict(ServiceError):
    """The id was used before, with other arguments."""

    status = grpc.StatusCode.ALREADY_EXISTS
    reason = "ID_CONFLICT"

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} stands for a request with other arguments; use a new id")


class ReservationClosed(ServiceError):
    """The reservation cannot be closed in the way that was asked for."""

    status = grpc.StatusCode.FAILED_PRECONDITION
    reason = "RESERVATION_CLOSED"

    def __init__(self, rid: str, state: str) -> None:
        super().__init__(f"reservation {rid} is {state} and cannot be closed that way", state=state)
