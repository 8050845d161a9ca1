"""The parts of the budget service, and how they fit together."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

from taor.budget.v1.budget_pb2_grpc import add_BudgetServiceServicer_to_server

from taor_budget import catalogue
from taor_budget.accounts import Accounts, Opening
from taor_budget.adjustments import Adjustments
from taor_budget.catalogue import Catalogue
from taor_budget.changes import AccountChanges
from taor_budget.config import BudgetConfig
from taor_budget.expiry import keep_expiring
from taor_budget.ledger import Ledger
from taor_budget.reports import Reports
from taor_budget.service import BudgetService
from taor_budget.store.accounts import AccountStore
from taor_budget.store.adjustments import AdjustmentStore
from taor_budget.store.ledger import LedgerStore
from taor_budget.store.usage import UsageStore
from taor_chassis.config import ConfigError
from taor_chassis.database import running_pool
from taor_chassis.server import Registration

SERVICE_NAME = "taor.budget.v1.BudgetService"


@asynccontextmanager
async def open_app(config: BudgetConfig, stopping: asyncio.Event) -> AsyncIterator[Sequence[Registration]]:
    """Open the parts, yield the service, and close them when the server has stopped."""
    offers = _load_catalogue(config)
    async with running_pool(config.dsn, max_size=config.pool_size) as pool, asyncio.TaskGroup() as background:
        store = LedgerStore(pool)
        opening = Opening(config.create_accounts, config.time_zone)
        account_store = AccountStore(pool)
        accounts = Accounts(account_store, offers.plans, offers.prices, opening)
        ledger = Ledger(store, accounts, offers.prices, timedelta(seconds=config.hold_life_seconds))
        adjustments = Adjustments(AdjustmentStore(pool), accounts, offers.plans)
        reports = Reports(UsageStore(pool), accounts, ledger)
        changes = AccountChanges(account_store, stopping)
        service = BudgetService(ledger, accounts, adjustments, changes, reports, store, offers)
        expiring = background.create_task(keep_expiring(store, config.expire_every_seconds, stopping))
        try:
            yield [Registration(SERVICE_NAME, partial(add_BudgetServiceServicer_to_server, service))]
        finally:
            expiring.cancel()


def _load_catalogue(config: BudgetConfig) -> Catalogue:
    try:
        return catalogue.load(config.prices, config.plans)
    except ValueError as error:
        raise ConfigError([f"TAOR_BUDGET_PRICES, TAOR_BUDGET_PLANS: {error}"]) from error
