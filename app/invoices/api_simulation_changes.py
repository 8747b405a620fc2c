"""From the input of a preview to a change that the services can carry out.

Owns that way, and how much time a preview spans.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.catalog.api_card_inputs import new_rates
from app.contracts.api_creating import create_asked
from app.contracts.api_inputs import ContractCreateInput
from app.core.period import HOUR, Period, floor_hour
from app.errors import ErrorCode, LimitExceeded
from app.graphql.context import Context
from app.invoices import contract_edits, other_prices
from app.invoices.api_breakdown_inputs import interval_with_end
from app.invoices.api_contract_edits import edit_asked
from app.invoices.api_simulation_inputs import (
    EditPreviewInput,
    InvoiceChangeInput,
    InvoicePreviewInput,
    PricesPreviewInput,
)
from app.invoices.simulating import Change
from app.store import ids

MAX_SPAN = timedelta(days=400)
PATH = ("input", "change")


def span_of(found: InvoicePreviewInput, context: Context) -> Period:
    """The time that a preview is about. Errors: those of an interval, `LimitExceeded` above 400 days."""
    if found.interval is None:
        return Period(floor_hour(context.now), floor_hour(context.now) + HOUR)
    path = ("input", "interval")
    period = interval_with_end(found.interval, path=path)
    assert period.ending_before is not None
    if period.ending_before - period.starting_at > MAX_SPAN:
        raise LimitExceeded(
            ErrorCode.LIMIT_EXCEEDED, f"A preview spans at most {MAX_SPAN.days} days.", path=(*path, "endingBefore")
        )
    return period


def change_of(found: InvoiceChangeInput, context: Context) -> tuple[Change, UUID | None]:
    """What carries out the change, and the contract that there is already."""
    directory, now = context.providers, context.now
    if isinstance(found.contract, ContractCreateInput):
        new = found.contract

        async def create(session: AsyncSession) -> UUID:
            return (await create_asked(session, directory, new, now=now)).contract.id

        return create, None
    if isinstance(found.edit, EditPreviewInput):
        edit = edit_asked(found.edit.edit)
        edited = ids.from_text("contract", found.edit.contract_id, path=(*PATH, "edit", "contractId"))

        async def carry_out(session: AsyncSession) -> UUID:
            await contract_edits.edit_contract(session, directory, edited, edit, actor=context.actor, now=now)
            return edited

        return carry_out, edited
    if isinstance(found.prices, PricesPreviewInput):
        prices = found.prices
        priced = ids.from_text("contract", prices.contract_id, path=(*PATH, "prices", "contractId"))
        card_id = None
        if prices.rate_card_id is not None:
            card_id = ids.from_text("rate_card", prices.rate_card_id, path=(*PATH, "prices", "rateCardId"))
        rates = new_rates(prices.rates, path=(*PATH, "prices", "rates"))

        async def use(session: AsyncSession) -> UUID:
            return await other_prices.use_prices(session, priced, card_id=card_id, rates=rates, now=now)

        return use, priced
    same = ids.from_text("contract", str(found.none_of), path=(*PATH, "noneOf"))

    async def leave(_session: AsyncSession) -> UUID:
        return same

    return leave, same
