"""The one GraphQL schema: merges the slices' roots, and exports its text.

Owns the literal list of slices. A slice joins by naming its classes here and nowhere else; the text in
`schema.graphql` is the export of this module, and a test compares the two.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession
from strawberry.schema.config import StrawberryConfig

from app.access import audit
from app.access.api import AccessMutation, AccessQuery
from app.access.api_audit import AuditQuery
from app.access.api_server import ServerQuery
from app.actor import Actor
from app.alerts.api import AlertsMutation, AlertsQuery
from app.alerts.api_live import AlertsLive
from app.catalog.api import CatalogMutation
from app.catalog.api_queries import CatalogQuery
from app.catalog.api_units import PricingUnitMutation, PricingUnitQuery
from app.contracts import history
from app.contracts.api import ContractsMutation, ContractsQuery
from app.contracts.api_balances import ContractBalancesMutation
from app.contracts.api_changes import ContractChangesMutation
from app.contracts.api_fees import FeesMutation
from app.contracts.api_packages import PackagesMutation, PackagesQuery
from app.contracts.api_seat_changes import SeatsMutation
from app.contracts.api_threshold_changes import ThresholdsMutation
from app.custom_fields.api import CustomFieldsMutation, CustomFieldsQuery
from app.customers.api import CustomersMutation, CustomersQuery
from app.delivery.api import DeliveryMutation, DeliveryQuery
from app.delivery.api_connections import ConnectionsMutation, ConnectionsQuery
from app.delivery.api_external import ProviderNoticeQuery
from app.delivery.api_live import DeliveryLive
from app.delivery.api_reconciliations import ReconciliationsMutation, ReconciliationsQuery
from app.delivery.api_subscriptions import SubscriptionsMutation, SubscriptionsQuery
from app.grants.api import BalancesMutation
from app.grants.api_queries import BalancesQuery
from app.graphql.context import Outcome
from app.graphql.execution import Documents
from app.graphql.limits import Limits
from app.graphql.nodes import KINDS
from app.graphql.scalars import SCALARS
from app.invoices import api_balances as _api_balances  # noqa: F401 - registers a loader
from app.invoices import api_event_standing as _api_event_standing  # noqa: F401 - registers a loader
from app.invoices.api import InvoicesMutation, InvoicesQuery
from app.invoices.api_balance_edits import BalanceEditsMutation
from app.invoices.api_breakdown_pages import BreakdownsQuery
from app.invoices.api_contract_edits import ContractEditsMutation
from app.invoices.api_ending import EndingMutation
from app.invoices.api_gates import GatesMutation, GatesQuery
from app.invoices.api_imports import ImportsMutation
from app.invoices.api_issue_dates import IssueDatesMutation
from app.invoices.api_live import InvoicesLive, SpendQuery
from app.invoices.api_previews import PreviewsQuery
from app.invoices.api_rebills import RebillsMutation
from app.invoices.api_reversals import ReversalsMutation, ReversalsQuery
from app.invoices.api_runs import RunsMutation, RunsQuery
from app.invoices.api_simulations import SimulationsQuery
from app.invoices.api_usage_voids import UsageVoidsMutation
from app.invoices.api_voids import VoidsMutation, VoidsQuery
from app.notices import noticing as _noticing  # noqa: F401 - the session tells what it writes
from app.notices.api import NoticesMutation, NoticesQuery
from app.notices.api_offsets import OffsetsMutation, OffsetsQuery
from app.usage.api import UsageMutation
from app.usage.api_reading import UsageReading
from app.usage.api_search import UsageSearch


@strawberry.type(description="Everything that can be read. Every field asks for a scope and names it.")
class Query(
    CustomFieldsQuery,
    CustomersQuery,
    CatalogQuery,
    UsageReading,
    UsageSearch,
    PricingUnitQuery,
    BalancesQuery,
    ContractsQuery,
    PackagesQuery,
    InvoicesQuery,
    BreakdownsQuery,
    GatesQuery,
    PreviewsQuery,
    SpendQuery,
    SimulationsQuery,
    RunsQuery,
    VoidsQuery,
    ReversalsQuery,
    DeliveryQuery,
    ProviderNoticeQuery,
    SubscriptionsQuery,
    NoticesQuery,
    OffsetsQuery,
    ConnectionsQuery,
    ReconciliationsQuery,
    AlertsQuery,
    AccessQuery,
    AuditQuery,
    ServerQuery,
):
    pass


@strawberry.type(description="Everything that can be done. Each mutation is carried out whole or not at all.")
class Mutation(
    CustomFieldsMutation,
    CustomersMutation,
    CatalogMutation,
    PricingUnitMutation,
    ContractBalancesMutation,
    BalancesMutation,
    BalanceEditsMutation,
    UsageMutation,
    ContractsMutation,
    PackagesMutation,
    ContractChangesMutation,
    FeesMutation,
    SeatsMutation,
    ThresholdsMutation,
    InvoicesMutation,
    IssueDatesMutation,
    RunsMutation,
    VoidsMutation,
    UsageVoidsMutation,
    ReversalsMutation,
    RebillsMutation,
    ImportsMutation,
    EndingMutation,
    GatesMutation,
    ContractEditsMutation,
    DeliveryMutation,
    SubscriptionsMutation,
    NoticesMutation,
    OffsetsMutation,
    ConnectionsMutation,
    ReconciliationsMutation,
    AlertsMutation,
    AccessMutation,
):
    pass


@strawberry.type(
    description="What can be heard as it happens, over WebSocket (graphql-transport-ws) or server-sent events. Each "
    "change is read when it is told, by the caller as it may read then."
)
class Subscription(InvoicesLive, DeliveryLive, AlertsLive):
    pass


class Schema(strawberry.Schema):
    """The library's schema without its own logging: faults are logged once, with the request id, when masked."""

    def process_errors(self, errors: list[Any], execution_context: Any = None) -> None:
        """Leave errors to `graphql/errors.py`."""


@cache
def build(limits: Limits = Limits()) -> tuple[Schema, Documents]:
    """The schema and its memo of prepared documents, once a process for each set of limits: building takes a while."""
    documents = Documents(limits)
    schema = Schema(
        Query,
        Mutation,
        Subscription,
        types=[kind.shown_as for kind in KINDS.values()],
        extensions=[documents.extension],
        config=StrawberryConfig(scalar_map=SCALARS),
    )
    documents.schema = schema
    return schema, documents


def export() -> str:
    """The schema as SDL, the text of `schema.graphql`."""
    return build()[0].as_str().rstrip() + "\n"


async def write_audit(session: AsyncSession, actor: Actor, now: datetime, outcome: Outcome) -> None:
    """The kernel's way to the audit log and to the history of contracts, which lie in slices above it."""
    await audit.record(
        session, actor, action=outcome.action, now=now, code=outcome.code and str(outcome.code), change=outcome.change
    )
    if outcome.code is None:
        await history.keep_changes(session, actor, action=outcome.action, now=now, noted=outcome.change)
    else:
        history.forget_changes(session)
