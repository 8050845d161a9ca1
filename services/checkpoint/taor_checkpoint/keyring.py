"""The keys of the projects whose builds are at work, opened once and kept for a while."""

from collections import OrderedDict

from taor_checkpoint.entries import SessionId
from taor_checkpoint.envelope import Key, ProjectKey, Unopened, new_wrapped_key
from taor_checkpoint.errors import ProjectKeyUnreadable, SessionNotFound
from taor_checkpoint.store.sessions import SessionStore, WrappedKey

CAPACITY = 4096


class Keyring:
    """Finds the key that seals the log of a build; remembers the last CAPACITY builds asked for."""

    def __init__(self, sessions: SessionStore, master: Key, *, capacity: int = CAPACITY) -> None:
        self._sessions = sessions
        self._master = master
        self._capacity = capacity
        self._opened: OrderedDict[SessionId, ProjectKey] = OrderedDict()

    def new_key(self, tenant_id: str, project_id: str) -> bytes:
        """A key for a project that may have none yet, in its stored form."""
        return new_wrapped_key(tenant_id, project_id, self._master)

    async def key_of(self, session_id: SessionId) -> ProjectKey:
        """The key of the build's project; raises SessionNotFound or ProjectKeyUnreadable."""
        if (key := self._opened.get(session_id)) is None:
            wrapped = await self._sessions.wrapped_key(session_id)
            if wrapped is None:
                raise SessionNotFound(session_id.build_id)
            key = self._opened[session_id] = self._open(session_id.tenant_id, wrapped)
            if len(self._opened) > self._capacity:
                self._opened.popitem(last=False)
        self._opened.move_to_end(session_id)
        return key

    def _open(self, tenant_id: str, wrapped: WrappedKey) -> ProjectKey:
        try:
            return ProjectKey.unwrap(tenant_id, wrapped.project_id, wrapped.wrapped_key, self._master)
        except Unopened as error:
            raise ProjectKeyUnreadable(wrapped.project_id) from error
