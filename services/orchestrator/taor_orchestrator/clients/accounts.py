"""The versions of accounts, at the budget service: each rises when there is more money."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import grpc
from taor.budget.v1 import budget_pb2 as pb
from taor.budget.v1 import budget_pb2_grpc

from taor_orchestrator.ports import DependencyDown

WATCH_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class AccountVersions:
    """Some accounts of a tenant: the version of each, by user."""

    tenant_id: str
    versions: Mapping[str, int]


class AccountsClient:
    """Follows the accounts whose money is ours to spend."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: budget_pb2_grpc.BudgetServiceAsyncStub = budget_pb2_grpc.BudgetServiceStub(channel)

    async def changes(self) -> AsyncIterator[AccountVersions]:
        """Every account, then each that has more money; raises `DependencyDown` when the stream breaks."""
        try:
            async for told in self._stub.WatchAccountChanges(pb.WatchAccountChangesRequest(), timeout=WATCH_SECONDS):
                yield AccountVersions(told.tenant_id, {each.user_id: each.version for each in told.accounts})
        except grpc.aio.AioRpcError as error:
            raise DependencyDown(error.details() or str(error.code())) from error
