"""The way from the input of a new contract to the service.

Owns nothing but that way; a preview of invoices takes it too.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.contracts import placement, service
from app.contracts.api_inputs import ContractCreateInput, own_terms_of
from app.contracts.api_standing import schedule_of
from app.providers import ProviderDirectory
from app.store import ids


async def create_asked(
    session: AsyncSession, directory: ProviderDirectory, input: ContractCreateInput, *, now: datetime
) -> service.CreatedContract:
    """Make the contract that an input asks for."""
    card_id = optional("rate_card", input.rate_card_id, path=("input", "rateCardId"))
    starting_at = input.interval.starting_at
    return await service.create_contract(
        session,
        directory,
        customer_id=ids.from_text("customer", input.customer_id, path=("input", "customerId")),
        rate_card_id=await placement.chosen_card(session, card_id, input.rate_card_alias, at=starting_at),
        currency=input.currency,
        name=input.name,
        starting_at=starting_at,
        ending_before=input.interval.ending_before,
        statement=schedule_of(input.statement),
        grace_hours=input.grace_hours,
        priority=input.priority,
        net_payment_terms_days=input.net_payment_terms_days,
        billing_configuration_id=optional(
            "billing_configuration", input.billing_configuration_id, path=("input", "billingConfigurationId")
        ),
        own_terms=own_terms_of(input),
        uniqueness_key=input.uniqueness_key,
        now=now,
    )


def optional(kind: str, text: str | None, *, path: tuple[str, ...]) -> Any:
    """An id that need not be given."""
    return None if text is None else ids.from_text(kind, text, path=path)
