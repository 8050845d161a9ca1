"""The keys of the projects whose builds are at work, opened once and kept for a while."""

from collections import OrderedDict
from dataclasses import dataclass

from taor_chassis.clock import Clock
from taor_checkpoint.entries import SessionId
from taor_checkpoint.envelope import Key, ProjectKey, Unopened, new_wrapped_key
from taor_checkpoint.errors import ProjectDeleted, ProjectKeyUnreadable, SessionNotFound
from taor_checkpoint.store.sessions import SessionStore, WrappedKey

CAPACITY = 4096
KEEP_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class _Opened:
    key: ProjectKey
    at_seconds: float


class Keyring:
    """Finds the key that seals the log of a build; keeps it for a while, for at most CAPACITY builds."""

    def __init__(self, sessions: SessionStore, master: Key, clock: Clock, *, capacity: int = CAPACITY) -> None:
        self._sessions = sessions
        self._master = master
        self._clock = clock
        self._capacity = capacity
        self._opened: OrderedDict[SessionId, _Opened] = OrderedDict()  # in the order of their opening

    def new_key(self, tenant_id: str, project_id: str) -> bytes:
        """A key for a project that may have none yet, in its stored form."""
        return new_wrapped_key(tenant_id, project_id, self._master)

    async def key_of(self, session_id: SessionId) -> ProjectKey:
        """The key of the build's project; raises SessionNotFound, ProjectDeleted or ProjectKeyUnreadable."""
        self.forget_old()
        if (opened := self._opened.get(session_id)) is not None:
            return opened.key
        wrapped = await self._sessions.wrapped_key(session_id)
        if wrapped is None:
            raise SessionNotFound(session_id.build_id)
        key = self._open(session_id.tenant_id, wrapped)
        self._opened[session_id] = _Opened(key, self._clock.monotonic_seconds())
        self._opened.move_to_end(session_id)
        if len(self._opened) > self._capacity:
            self._opened.popitem(last=False)
        return key

    def forget_old(self) -> None:
        """Let go of keys opened more than KEEP_SECONDS ago, so that no process has one long after its destruction."""
        oldest = self._clock.monotonic_seconds() - KEEP_SECONDS
        while self._opened and next(iter(self._opened.values())).at_seconds < oldest:
            self._opened.popitem(last=False)

    def forget_project(self, tenant_id: str, project_id: str) -> None:
        """Let go of the key of a project that was deleted."""
        for session_id, opened in tuple(self._opened.items()):
            if (opened.key.tenant_id, opened.key.project_id) == (tenant_id, project_id):
                del self._opened[session_id]

    def _open(self, tenant_id: str, wrapped: WrappedKey) -> ProjectKey:
        if wrapped.wrapped_key is None:
            raise ProjectDeleted(wrapped.project_id)
        try:
            return ProjectKey.unwrap(tenant_id, wrapped.project_id, wrapped.wrapped_key, self._master)
        except Unopened as error:
            raise ProjectKeyUnreadable(wrapped.project_id) from error
