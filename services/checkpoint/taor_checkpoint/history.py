"""The history of a build: attach to it, append to it, read it."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import assert_never

from taor_checkpoint.entries import Claim, LogEntry, NewEntry, Session, SessionId
from taor_checkpoint.envelope import ProjectKey, Unopened
from taor_checkpoint.errors import (
    EntryCorrupt,
    HeadMoved,
    InboxIdRepeated,
    LogClosed,
    LogExpired,
    NotAttached,
    ProjectDeleted,
    ProjectMismatch,
    SessionNotFound,
    StaleEpoch,
)
from taor_checkpoint.keyring import Keyring
from taor_checkpoint.store.entries import Appended, EntryStore, Outcome, Range
from taor_checkpoint.store.sessions import AttachOutcome, SessionStore

CHUNK_BYTES = 1 << 20


class History:
    """The logs of all builds, sealed at rest."""

    def __init__(self, sessions: SessionStore, entries: EntryStore, keyring: Keyring) -> None:
        self._sessions = sessions
        self._entries = entries
        self._keyring = keyring

    async def attach(self, claim: Claim) -> int:
        """Raise the fence to a claim, and tell the head of the log; raises StaleEpoch or another refusal.

        The entries up to that head are what stood under the lock: they never change, and no older epoch can append
        after the fence. So the lock ends here, and the log is read without it.
        """
        new_key = self._keyring.new_key(claim.session_id.tenant_id, claim.project_id)
        attached = await self._sessions.attach(claim, new_key)
        match attached.outcome:
            case AttachOutcome.DONE:
                return attached.head
            case AttachOutcome.STALE_EPOCH:
                raise StaleEpoch(attached.epoch)
            case AttachOutcome.PROJECT_MISMATCH:
                raise ProjectMismatch(claim.session_id.build_id)
            case AttachOutcome.PROJECT_DELETED:
                raise ProjectDeleted(claim.project_id)
            case AttachOutcome.LOG_EXPIRED:
                raise LogExpired(claim.session_id.build_id)
            case _:
                assert_never(attached.outcome)

    async def append(self, session_id: SessionId, epoch: int, head: int, entries: Sequence[NewEntry]) -> int:
        """Append all entries after `head`, or none; returns the new head, and the same one to a repeated call.

        Raises SessionNotFound, ProjectDeleted, LogExpired, StaleEpoch, NotAttached, HeadMoved, LogClosed or
        InboxIdRepeated.
        """
        key = await self._keyring.key_of(session_id)
        sealed = [replace(each, body=key.seal_body(each.body, head + n)) for n, each in enumerate(entries, start=1)]
        body_bytes = sum(len(entry.body) for entry in entries)
        appended = await self._entries.append(session_id, epoch, head, sealed, body_bytes)
        return _head_or_refusal(session_id, key.project_id, appended)

    async def session(self, session_id: SessionId) -> Session:
        """The fence and the head of a log; raises SessionNotFound, ProjectDeleted or LogExpired."""
        session = await self._sessions.session(session_id)
        if session is None:
            raise SessionNotFound(session_id.build_id)
        if session.project_deleted:
            raise ProjectDeleted(session.project_id)
        if session.delete_time is not None:
            raise LogExpired(session_id.build_id)
        return session

    async def read(self, session_id: SessionId, wanted: Range) -> AsyncIterator[list[LogEntry]]:
        """The entries of a range, in chunks of about CHUNK_BYTES; raises EntryCorrupt.

        Nothing is held between two chunks, neither lock nor connection, however slowly they are taken.
        """
        key = await self._keyring.key_of(session_id)
        after = wanted.after
        while after < wanted.up_to:
            page = await self._entries.page(session_id, Range(after, wanted.up_to), CHUNK_BYTES)
            if not page or page[0].place.sequence != after + 1:
                await self.session(session_id)  # it may have been deleted between two chunks
                raise EntryCorrupt(after + 1)
            chunk = [_opened(entry, after + n, key) for n, entry in enumerate(page, start=1)]
            yield chunk
            after += len(chunk)


def _head_or_refusal(session_id: SessionId, project_id: str, appended: Appended) -> int:
    match appended.outcome:
        case Outcome.DONE:
            return appended.head
        case Outcome.SESSION_NOT_FOUND:
            raise SessionNotFound(session_id.build_id)
        case Outcome.PROJECT_DELETED:
            raise ProjectDeleted(project_id)
        case Outcome.LOG_EXPIRED:
            raise LogExpired(session_id.build_id)
        case Outcome.STALE_EPOCH:
            raise StaleEpoch(appended.epoch)
        case Outcome.NOT_ATTACHED:
            raise NotAttached(appended.epoch)
        case Outcome.HEAD_MOVED:
            raise HeadMoved(appended.head)
        case Outcome.LOG_CLOSED:
            raise LogClosed(appended.head)
        case Outcome.INBOX_ID_REPEATED:
            raise InboxIdRepeated(appended.head)
        case _:
            assert_never(appended.outcome)


def _opened(entry: LogEntry, expected_sequence: int, key: ProjectKey) -> LogEntry:
    """The entry with its plain body; raises EntryCorrupt where a row is missing or its bytes have changed."""
    if entry.place.sequence != expected_sequence:
        raise EntryCorrupt(expected_sequence)
    try:
        body = key.open_body(entry.content.body, entry.place.sequence)
    except Unopened as error:
        raise EntryCorrupt(expected_sequence) from error
    if hashlib.sha256(body).digest() != entry.content.body_sha256:
        raise EntryCorrupt(expected_sequence)
    return replace(entry, content=replace(entry.content, body=body))
