"""Shows sessions and logs to people: what there is, and what an entry says."""

from collections.abc import Sequence
from dataclasses import dataclass

from taor_checkpoint.entries import Session, SessionId, Summary
from taor_checkpoint.history import History
from taor_checkpoint.store.entries import EntryStore, Range
from taor_checkpoint.store.sessions import SessionStore


@dataclass(frozen=True, slots=True)
class Inspected:
    """An entry, and as much of its body as was asked for."""

    entry: Summary
    body: bytes = b""
    cut: bool = False


class Inspection:
    """Lists sessions and shows parts of logs, a page at a time."""

    def __init__(self, sessions: SessionStore, entries: EntryStore, history: History) -> None:
        self._sessions = sessions
        self._entries = entries
        self._history = history

    async def sessions(self, tenant_id: str, project_id: str, before: str, most: int) -> Sequence[Session]:
        """The sessions of builds older than `before`, newest first; an empty project or build stands for all."""
        return await self._sessions.list(tenant_id, project_id, before, most)

    async def entries(self, session_id: SessionId, after: int, most: int) -> list[Inspected]:
        """Entries without their bodies, and without the key that would open them."""
        return [Inspected(entry) for entry in await self._entries.summaries(session_id, after, most)]

    async def bodies(self, session_id: SessionId, wanted: Range, max_body_bytes: int) -> list[Inspected]:
        """The first entries of a range, each with the beginning of its body; raises EntryCorrupt."""
        async for chunk in self._history.read(session_id, wanted):
            summaries = await self._entries.summaries(session_id, wanted.after, len(chunk))
            bodies = [entry.content.body for entry in chunk]
            return [
                Inspected(entry, body[:max_body_bytes], cut=len(body) > max_body_bytes)
                for entry, body in zip(summaries, bodies, strict=False)
            ]
        return []
