"""Issue dates of drafts in GraphQL: moving one. The rules are in `issue_dates.py`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from app.graphql.context import Info
from app.graphql.fields import mutation_field
from app.invoices import issue_dates
from app.invoices.api import ID, InvoicePayload
from app.invoices.balances import Books
from app.store import ids


@strawberry.type
class IssueDatesMutation:
    @mutation_field(
        scope="invoices:finalize",
        action="invoice.update_issue_date",
        description="Move when one draft becomes final and is issued; its period and the schedule behind it stay. Not before the "
        "end of its service or its own date, nor more than a year after that.",
    )
    async def invoice_update_issue_date(
        self,
        info: Info,
        id: ID,
        issue_at: Annotated[
            datetime | None, strawberry.argument(description="When it is to be issued; null: when its schedule says.")
        ] = None,
    ) -> InvoicePayload:
        session, now = info.context.session, info.context.now
        identifier = ids.from_text("invoice", id, path=("id",))
        statement = await issue_dates.update_issue_date(session, identifier, issue_at, now=now)
        rated = await Books(session, now=now).rate(statement)
        return InvoicePayload(invoice=rated)  # type: ignore[arg-type]
