"""The gRPC face of the budget service: messages in, messages out."""

from collections.abc import AsyncIterator
from typing import TypeAlias

import grpc
from taor.budget.v1 import budget_pb2 as pb
from taor.budget.v1.budget_pb2_grpc import BudgetServiceServicer

from taor_budget import pages, translate
from taor_budget.accounts import Accounts
from taor_budget.adjustments import Adjustments
from taor_budget.catalogue import Catalogue
from taor_budget.changes import AccountChanges
from taor_budget.ledger import Ledger
from taor_budget.reports import Reports
from taor_budget.store.accounts import Binding
from taor_budget.store.ledger import LedgerStore
from taor_chassis.errors import DependencyUnavailable
from taor_chassis.identity import current_caller

Context: TypeAlias = grpc.aio.ServicerContext[object, object]


class BudgetService(BudgetServiceServicer):
    """Answers the calls of `taor.budget.v1.BudgetService`."""

    def __init__(
        self,
        ledger: Ledger,
        accounts: Accounts,
        adjustments: Adjustments,
        changes: AccountChanges,
        reports: Reports,
        books: LedgerStore,
        offers: Catalogue,
    ) -> None:
        self._ledger = ledger
        self._accounts = accounts
        self._adjustments = adjustments
        self._changes = changes
        self._reports = reports
        self._books = books
        self._offers = offers

    async def CreateAccount(self, request: pb.CreateAccountRequest, context: Context) -> pb.CreateAccountResponse:
        """Open an account."""
        account = await self._accounts.open(
            current_caller().tenant_id,
            translate.short_text_of("user_id", request.user_id),
            translate.short_text_of("tier", request.tier),
            request.time_zone,
        )
        return pb.CreateAccountResponse(tier=account.tier, time_zone=account.time_zone)

    async def AdmitBuild(self, request: pb.AdmitBuildRequest, context: Context) -> pb.AdmitBuildResponse:
        """Bind a build to the account that pays and to its model."""
        admission = await self._accounts.admit(
            current_caller().tenant_id,
            translate.build_id_of(request.build_id),
            translate.short_text_of("user_id", request.user_id),
            translate.short_text_of("tier", request.tier),
            request.model and translate.short_text_of("model", request.model),
        )
        return pb.AdmitBuildResponse(
            model=admission.model,
            tier=admission.plan.tier,
            max_concurrent_builds=admission.plan.max_concurrent_builds,
            priority=admission.plan.priority,
            max_output_tokens=self._offers.max_output_tokens[admission.model],
        )

    async def AttachBuild(self, request: pb.AttachBuildRequest, context: Context) -> pb.AttachBuildResponse:
        """Raise the fence, then tell the holds."""
        build = await self._build(request.build_id)
        owner = translate.short_text_of("owner", request.owner)
        undecided = await self._ledger.attach(build, translate.epoch_of(request.epoch), owner)
        allowance = await self._ledger.allowance(build.tenant_id, build.user_id, build.build_id)
        return pb.AttachBuildResponse(
            reservations=map(translate.wire_reservation_of, undecided), allowance=translate.wire_allowance_of(allowance)
        )

    async def Reserve(self, request: pb.ReserveRequest, context: Context) -> pb.ReserveResponse:
        """Set money aside."""
        build = await self._build(request.build_id)
        epoch = translate.epoch_of(request.epoch)
        need = translate.need_of(request.need, build.build_id, epoch)
        return translate.reserved(await self._ledger.reserve(build, epoch, need))

    async def Advance(self, request: pb.AdvanceRequest, context: Context) -> pb.AdvanceResponse:
        """Settle one call and set money aside for the next."""
        build = await self._build(request.build_id)
        epoch = translate.epoch_of(request.epoch)
        settlement = translate.settlement_of(request.settlement, build.build_id)
        need = translate.need_of(request.need, build.build_id, epoch)
        return translate.advanced(await self._ledger.advance(build, epoch, settlement, need))

    async def Settle(self, request: pb.SettleRequest, context: Context) -> pb.SettleResponse:
        """Book what a call has used."""
        build = await self._build(request.build_id)
        settlement = translate.settlement_of(request.settlement, build.build_id)
        return translate.settled(await self._ledger.settle(build, settlement))

    async def Release(self, request: pb.ReleaseRequest, context: Context) -> pb.ReleaseResponse:
        """Give a hold back."""
        build = await self._build(request.build_id)
        epoch = translate.epoch_of(request.epoch)
        rid = translate.closable_rid_of(request.rid, build.build_id, epoch)
        reason = translate.short_text_of("reason", request.reason)
        closing = await self._ledger.release(build, epoch, rid, reason)
        return pb.ReleaseResponse(closing=translate.wire_closing_of(closing))

    async def Charge(self, request: pb.ChargeRequest, context: Context) -> pb.ChargeResponse:
        """Book a whole hold."""
        build = await self._build(request.build_id)
        epoch = translate.epoch_of(request.epoch)
        rid = translate.closable_rid_of(request.rid, build.build_id, epoch)
        reason = translate.short_text_of("reason", request.reason)
        closing = await self._ledger.charge(build, epoch, rid, reason)
        allowance = translate.wire_allowance_of(await self._ledger.standing(build))
        return pb.ChargeResponse(closing=translate.wire_closing_of(closing), allowance=allowance)

    async def GetAllowance(self, request: pb.GetAllowanceRequest, context: Context) -> pb.GetAllowanceResponse:
        """Tell what a user may spend today."""
        tenant_id = current_caller().tenant_id
        account = await self._accounts.account(tenant_id, translate.short_text_of("user_id", request.user_id))
        allowance = await self._ledger.allowance(tenant_id, account.user_id)
        return pb.GetAllowanceResponse(
            allowance=translate.wire_allowance_of(allowance), tier=account.tier, time_zone=account.time_zone
        )

    async def GetUsage(self, request: pb.GetUsageRequest, context: Context) -> pb.GetUsageResponse:
        """Tell what was used in groups, and how a build may go on."""
        grouping = translate.grouping_of(request)
        if request.build_id:
            build = await self._build(request.build_id)
            rows = await self._reports.of_build(build, grouping)
            finished = translate.finished_of(request.finished_build_calls)
            return translate.wire_report_of(rows, await self._reports.forecast(build, finished))
        account = await self._accounts.account(
            current_caller().tenant_id, translate.short_text_of("user_id", request.user_id)
        )
        return translate.wire_report_of(await self._reports.of_user(account.tenant_id, account.user_id, grouping), None)

    async def TopUp(self, request: pb.TopUpRequest, context: Context) -> pb.TopUpResponse:
        """Add money to the current cycle."""
        adjustment, allowance = await self._adjustments.top_up(
            current_caller().tenant_id,
            translate.short_text_of("user_id", request.user_id),
            translate.top_up_of(request.microdollars),
            translate.request_id_of(request.request_id),
        )
        return pb.TopUpResponse(
            adjustment=translate.wire_adjustment_of(adjustment), allowance=translate.wire_allowance_of(allowance)
        )

    async def ChangePlan(self, request: pb.ChangePlanRequest, context: Context) -> pb.ChangePlanResponse:
        """Put a user on another plan."""
        adjustment, allowance = await self._adjustments.change_plan(
            current_caller().tenant_id,
            translate.short_text_of("user_id", request.user_id),
            translate.short_text_of("tier", request.tier),
            translate.request_id_of(request.request_id),
        )
        return pb.ChangePlanResponse(
            adjustment=translate.wire_adjustment_of(adjustment), allowance=translate.wire_allowance_of(allowance)
        )

    async def WatchAccountChanges(
        self, request: pb.WatchAccountChangesRequest, context: Context
    ) -> AsyncIterator[pb.WatchAccountChangesResponse]:
        """Stream the versions of accounts until the client goes or this process stops."""
        tenant_id = current_caller().tenant_id
        async for told in self._changes.follow(tenant_id):
            yield translate.wire_versions_of(tenant_id, told)
        raise DependencyUnavailable("this replica stops; watch again")

    async def ListPlans(self, request: pb.ListPlansRequest, context: Context) -> pb.ListPlansResponse:
        """Tell the plans on offer."""
        return pb.ListPlansResponse(plans=map(translate.wire_plan_of, self._offers.plans.all()))

    async def ListPrices(self, request: pb.ListPricesRequest, context: Context) -> pb.ListPricesResponse:
        """Tell the price table."""
        prices = self._offers.prices.all()
        return pb.ListPricesResponse(prices=[row for price in prices for row in translate.wire_prices_of(price)])

    async def ListReservations(
        self, request: pb.ListReservationsRequest, context: Context
    ) -> pb.ListReservationsResponse:
        """Tell a page of a build's reservations."""
        build = await self._build(request.build_id)
        size = pages.size_of(request.page_size, usual=500, most=1000)
        epoch, k = pages.place_of(request.page_token, parts=2) or (0, 0)
        page = await self._books.reservations(build.tenant_id, build.build_id, (epoch, k), size)
        return pb.ListReservationsResponse(
            reservations=map(translate.wire_reservation_of, page),
            next_page_token=pages.token_of(page[-1].rid.epoch, page[-1].rid.k) if len(page) == size else "",
        )

    async def ListJournal(self, request: pb.ListJournalRequest, context: Context) -> pb.ListJournalResponse:
        """Tell a page of an account's journal, and with the last one the balances that it adds up to."""
        tenant_id = current_caller().tenant_id
        account = await self._accounts.account(tenant_id, translate.short_text_of("user_id", request.user_id))
        size = pages.size_of(request.page_size, usual=1000, most=5000)
        (after,) = pages.place_of(request.page_token, parts=1) or (0,)
        entries, balances = await self._books.journal(tenant_id, account.user_id, after, size)
        return pb.ListJournalResponse(
            entries=map(translate.wire_entry_of, entries),
            balances=map(translate.wire_balance_of, balances),
            next_page_token=pages.token_of(entries[-1].sequence) if len(entries) == size else "",
        )

    async def _build(self, build_id: str) -> Binding:
        return await self._accounts.binding(current_caller().tenant_id, translate.build_id_of(build_id))
