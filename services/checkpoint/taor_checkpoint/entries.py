"""What a log is made of."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Kind(StrEnum):
    """What an entry is."""

    HEAD = "HEAD"
    USER = "USER"
    ASSISTANT = "ASSISTANT"
    OUTCOME = "OUTCOME"


@dataclass(frozen=True, slots=True)
class SessionId:
    """Names the log of one build."""

    tenant_id: str
    build_id: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A process that holds a build: the epoch that the orchestrator gave it, and its random boot id."""

    session_id: SessionId
    project_id: str
    epoch: int
    owner: str


@dataclass(frozen=True, slots=True)
class Fork:
    """A new build, and what it begins with: the log of another build of its project, up to and including `head`."""

    session_id: SessionId
    origin_build_id: str
    project_id: str
    head: int


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens of one model call, as the provider reported them."""

    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_5m_tokens: int
    cache_write_1h_tokens: int


@dataclass(frozen=True, slots=True)
class ModelCall:
    """The record of the model call that an ASSISTANT entry answers."""

    rid: str
    request_sha256: bytes
    model: str
    max_output_tokens: int
    usage: Usage | None
    stop_reason: str
    price_id: str
    start_time: datetime


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An entry before it is appended."""

    kind: Kind
    body: bytes
    body_sha256: bytes
    inbox_ids: tuple[str, ...] = ()
    call: ModelCall | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where and when an entry was appended."""

    sequence: int
    segment: int
    epoch: int
    append_time: datetime


@dataclass(frozen=True, slots=True)
class LogEntry:
    """An entry of a log: what was appended, and its place."""

    place: Place
    content: NewEntry
    origin_build_id: str = ""
    """The build that wrote it, where this one has inherited it."""


@dataclass(frozen=True, slots=True)
class Session:
    """The fence and the end of a log, and what has become of it."""

    session_id: SessionId
    project_id: str
    epoch: int
    head: int
    segments: int
    body_bytes: int
    create_time: datetime
    append_time: datetime | None
    close_time: datetime | None
    delete_time: datetime | None
    purge_time: datetime | None
    project_deleted: bool


@dataclass(frozen=True, slots=True)
class Summary:
    """An entry without its body."""

    place: Place
    kind: Kind
    body_bytes: int
    body_sha256: bytes
    inbox_ids: tuple[str, ...]
    call: ModelCall | None
    origin_build_id: str


@dataclass(frozen=True, slots=True)
class Deletion:
    """How far the deletion of a project has come."""

    delete_time: datetime
    purge_time: datetime | None
