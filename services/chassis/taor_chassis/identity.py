"""Who calls: the bearer token of a call becomes a Caller with a tenant."""

import hmac
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

from taor_chassis.errors import TokenInvalid, TokenMissing

_SCHEME = "Bearer "


@dataclass(frozen=True, slots=True)
class Caller:
    """Who stands behind a call. The tenant comes from here, never from a message."""

    tenant_id: str
    subject: str


class Authenticator(Protocol):
    """Turns the `authorization` metadata of a call into its Caller."""

    def identify(self, authorization: str | None) -> Caller:
        """The caller; raises TokenMissing or TokenInvalid."""
        ...


class SharedToken:
    """One token guards the installation, as at home: whoever holds it is the tenant `local`."""

    def __init__(self, token: str, *, caller: Caller = Caller("local", "owner")) -> None:
        if not token:
            raise ValueError("the token must not be empty")
        self._expected = (_SCHEME + token).encode()
        self._caller = caller

    def identify(self, authorization: str | None) -> Caller:
        """The one caller there is; the comparison takes the same time wherever the token differs."""
        if authorization is None or not authorization.startswith(_SCHEME):
            raise TokenMissing("send the metadata `authorization: Bearer <token>`; `./taor token` prints it")
        if not hmac.compare_digest(authorization.encode(), self._expected):
            raise TokenInvalid("the bearer token is not valid here; `./taor token` prints the right one")
        return self._caller


_caller: ContextVar[Caller] = ContextVar("taor_caller")


def current_caller() -> Caller:
    """The caller of the RPC being handled; LookupError outside of one."""
    return _caller.get()


def set_caller(caller: Caller) -> None:
    """Name the caller for the rest of this task; the server's guard does it for every call."""
    _caller.set(caller)
