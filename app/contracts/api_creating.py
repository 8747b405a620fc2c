"""The way from the input of a new contract to the service: by itself, or of a package.

Owns nothing but that way; a preview of invoices takes it too. What a package says is in `api_package_terms.py`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.contracts import package_ways, packages, placement, service
from app.contracts.api_inputs import ContractCreateInput, own_terms_of
from app.contracts.api_package_terms import of_package, refuse_beside
from app.contracts.api_standing import schedule_of
from app.contracts.package_dates import BillingAnchor
from app.providers import ProviderDirectory
from app.store import ids


async def create_asked(
    session: AsyncSession, directory: ProviderDirectory, found: ContractCreateInput, *, now: datetime
) -> service.CreatedContract:
    """Make the contract that an input asks for. Errors: those of the service and of `offered_package`, INVALID for terms beside a package."""
    if found.package_id is None and found.package_alias is None:
        return await sign(session, directory, found, now=now)
    refuse_beside(found)
    package_id = optional("package", found.package_id, path=("input", "packageId"))
    package = await packages.offered_package(session, package_id, found.package_alias, at=found.interval.starting_at)
    customer_id = ids.from_text("customer", found.customer_id, path=("input", "customerId"))
    chosen = await package_ways.matching_configuration(session, package, customer_id)
    whole = of_package(package.definition, found, anchor=BillingAnchor(package.billing_anchor))
    if chosen is not None:
        whole = replace(whole, billing_configuration_id=ids.to_text("billing_configuration", chosen))
    return await sign(session, directory, whole, package_id=package.id, now=now)


async def sign(
    session: AsyncSession,
    directory: ProviderDirectory,
    found: ContractCreateInput,
    *,
    package_id: UUID | None = None,
    now: datetime,
) -> service.CreatedContract:
    """Make a contract that is told whole; `package_id` is where its terms come from."""
    card_id = optional("rate_card", found.rate_card_id, path=("input", "rateCardId"))
    starting_at = found.interval.starting_at
    return await service.create_contract(
        session,
        directory,
        customer_id=ids.from_text("customer", found.customer_id, path=("input", "customerId")),
        rate_card_id=await placement.chosen_card(session, card_id, found.rate_card_alias, at=starting_at),
        currency=found.currency,
        name=found.name,
        starting_at=starting_at,
        ending_before=found.interval.ending_before,
        statement=schedule_of(found.statement),
        grace_hours=found.grace_hours,
        priority=found.priority,
        net_payment_terms_days=found.net_payment_terms_days,
        billing_configuration_id=optional(
            "billing_configuration", found.billing_configuration_id, path=("input", "billingConfigurationId")
        ),
        own_terms=own_terms_of(found),
        package_id=package_id,
        uniqueness_key=found.uniqueness_key,
        now=now,
    )


def optional(kind: str, text: str | None, *, path: tuple[str, ...]) -> Any:
    """The id in a text that may be missing."""
    return None if text is None else ids.from_text(kind, text, path=path)
