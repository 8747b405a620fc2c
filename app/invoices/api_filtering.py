"""Which invoices a filter means.

Owns its way to SQL. Only final invoices are listed, since drafts are views and are asked for by customer or contract.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, false, or_

from app.core.invoice import InvoiceStatus as Status
from app.custom_fields.api_filters import with_custom_fields
from app.custom_fields.entities import Entity
from app.graphql.context import Info
from app.invoices.api_inputs import COLUMNS, InvoiceFilter
from app.invoices.tables import IS_VOID
from app.store import ids


async def filtered(info: Info, statement: Select[Any], wanted: InvoiceFilter | None) -> Select[Any]:
    """The statement with the conditions of the filter. Errors: INVALID for a wrong id, those of `with_custom_fields`."""
    if wanted is None:
        return statement
    if wanted.status is not None:
        conditions = [
            IS_VOID if status is Status.VOID else ~IS_VOID for status in wanted.status if status is not Status.DRAFT
        ]
        statement = statement.where(or_(false(), *conditions))
    for kind, text in (("customer", wanted.customer_id), ("contract", wanted.contract_id)):
        if text is not None:
            identifier = ids.from_text(kind, text, path=("filter", f"{kind}Id"))
            statement = statement.where(COLUMNS[f"{kind}_id"] == identifier)
    if wanted.type is not None:
        statement = statement.where(COLUMNS.type.in_(wanted.type))
    if wanted.currency is not None:
        statement = statement.where(COLUMNS.currency == wanted.currency)
    if wanted.issued_at is not None and wanted.issued_at.gte is not None:
        statement = statement.where(COLUMNS.issued_at >= wanted.issued_at.gte)
    if wanted.issued_at is not None and wanted.issued_at.lt is not None:
        statement = statement.where(COLUMNS.issued_at < wanted.issued_at.lt)
    return await with_custom_fields(info, statement, Entity.INVOICE, COLUMNS.id, wanted.custom_fields)
