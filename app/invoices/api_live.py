"""Invoices, jobs and spend as they change: fields of Subscription, and spend as it is now.

Owns the fields and the type of spend. How a stream goes on is in `graphql/live.py`; the database tells of changes.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated, Any

import strawberry

from app.customers.api_types import Customer
from app.errors import NotFound
from app.graphql.context import Context, Info
from app.graphql.fields import object_field, query_field, subscription_field
from app.graphql.live import Source, changes, customer_of
from app.graphql.nodes import load_node
from app.graphql.values import Money
from app.invoices import spend, tables
from app.invoices.api_jobs import Job
from app.invoices.api_types import Invoice
from app.store.listening import Change
from app.usage.watched import watch_spend

CustomerID = Annotated[strawberry.ID, strawberry.argument(description="Id of the customer.")]


@strawberry.type(description="What the running usage statements of a customer come to now.")
class CustomerSpend:
    of: strawberry.Private[spend.Spend]

    @object_field(scope="customers:read", description="The customer. Scope: customers:read.")
    async def customer(self, info: Info) -> Customer:
        return await info.context.load("customer", self.of.customer_id)

    @strawberry.field(description="Usage charges before commits and credits, by unit.")
    def charges(self) -> list[Money]:
        return [Money.of(amount, unit) for unit, amount in self.of.charges]

    @strawberry.field(description="What is left to pay after commits and credits, fees included, by currency.")
    def totals(self) -> list[Money]:
        return [Money.of(amount, unit) for unit, amount in self.of.totals]

    @strawberry.field(description="The drafts of those statements.")
    def statements(self) -> list[Invoice]:
        return list(self.of.statements)  # type: ignore[arg-type]


@strawberry.type
class SpendQuery:
    @query_field(
        scope="invoices:read", description="What a customer spends in its running statements.", for_customers=True
    )
    async def customer_spend(self, info: Info, customer_id: CustomerID) -> CustomerSpend:
        own = await customer_of(info.context, customer_id)
        assert own is not None, "a customer was named"
        return CustomerSpend(of=await spend.current_spend(info.context.session, own, now=info.context.now))


@strawberry.type
class InvoicesLive:
    @subscription_field(
        scope="invoices:read",
        description="Each invoice that becomes final, is voided, made again, or shown otherwise by its provider.",
        for_customers=True,
    )
    async def invoice_changed(
        self,
        info: Info,
        customer_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only those of this customer.")
        ] = None,
    ) -> AsyncGenerator[Invoice, None]:
        return await changes(info.context, "invoice", "invoice", customer_id)  # type: ignore[return-value]

    @subscription_field(
        scope="invoices:read", description="A job as it is and whenever it has done more, until it is finished."
    )
    async def job_progress(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Its id.")]
    ) -> AsyncGenerator[Job, None]:
        row: Any = await load_node(info.context, id)
        if not isinstance(row, tables.BillingRun):
            raise NotFound("Job", id, path=("id",))
        job_id = row.id

        async def load(context: Context, _change: Change | None) -> Any:
            return await context.load("job", job_id)

        async def is_last(context: Context, job: Any) -> bool:
            return (await context.load("job.progress", job.id)).is_finished

        return Source(  # type: ignore[return-value]
            lambda change: change.kind == "job" and change.id == job_id, load, is_state=True, pace_seconds=0.25,
            is_last=is_last,
        )  # fmt: skip

    @subscription_field(
        scope="invoices:read",
        description="What a customer spends in its running statements: as it is, and soon after usage, prices or balances "
        "change it, once a second at most.",
        for_customers=True,
    )
    async def customer_spend(self, info: Info, customer_id: CustomerID) -> AsyncGenerator[CustomerSpend, None]:
        own = await customer_of(info.context, customer_id)
        assert own is not None, "a customer was named"
        await watch_spend(info.context.session, own)

        async def load(context: Context, _change: Change | None) -> Any:
            await watch_spend(context.session, own)
            return CustomerSpend(of=await spend.current_spend(context.session, own, now=context.now))

        return Source(  # type: ignore[return-value]
            lambda change: change.kind == "spend" and change.id == own, load, is_state=True, pace_seconds=1.0
        )
