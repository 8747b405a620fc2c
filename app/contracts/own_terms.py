"""What a contract agrees on beside its dates: what it follows, prices, commits and credits, usage, fees and charges.

Owns the bundle that a create or an edit hands on, and the order in which its parts are stored. Each part has its rules in a module
of its own; a new kind of term joins here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.checks import Path
from app.contracts import (
    hierarchies,
    override_balances,
    recurring_children,
    recurring_grants,
    tables,
    threshold_rules,
    thresholds,
)
from app.contracts.filters import NewUsageFilter, insert_usage_filters
from app.contracts.new_fees import NewFees, insert_fees
from app.contracts.new_recurring import NewRecurringGrant
from app.contracts.overrides import OwnPrices, insert_overrides
from app.contracts.stored_terms import StoredTerms
from app.contracts.transitions import NewTransition, follow
from app.custom_fields.service import insert_custom_fields
from app.grants.definitions import NewGrant, billed_in
from app.grants.service import insert_grants


@dataclass(frozen=True, slots=True)
class OwnTerms:
    """The terms of a new contract, or those that an edit adds; every list is in the order in which its entries count."""

    prices: OwnPrices = field(default_factory=OwnPrices)
    usage_filters: Sequence[NewUsageFilter] = ()
    grants: Sequence[NewGrant] = ()
    recurring: Sequence[NewRecurringGrant] = ()
    custom_fields: Mapping[str, str] = field(default_factory=dict)
    fees: NewFees = field(default_factory=NewFees)
    transition: NewTransition | None = None
    thresholds: Sequence[threshold_rules.NewThreshold] = ()
    hierarchy: hierarchies.NewChild | hierarchies.NewParent | None = None

    @property
    def currencies(self) -> set[str]:
        """Those in which it is billed, beside the contract's own."""
        found = {charge.unit for charge in self.fees.charges} | {billed_in(grant) for grant in self.grants}
        return {unit for unit in found | {item.currency for item in self.recurring} if unit is not None}


async def insert_own_terms(
    session: AsyncSession, contract: tables.Contract, own: OwnTerms, *, path: Path = ("input",), now: datetime
) -> StoredTerms:
    """Check and store the terms; `path` is that of the object which holds the lists. Errors: those of each part."""
    transition = await follow(session, contract, own.transition, now=now)
    # Overrides may name balances that come with the same contract.
    grants = await insert_grants(session, contract, own.grants, path=(*path, "balances"), now=now)
    # Recurring balances may follow subscriptions that come with the same contract.
    charges, subscriptions = await insert_fees(session, contract, own.fees, path=path, now=now)
    recurring = await recurring_grants.insert_recurring_grants(
        session, contract, own.recurring, path=(*path, "recurringBalances"), now=now
    )
    await recurring_children.make_children(session, [contract], now=now)
    place = (*path, "overrides")
    await override_balances.check_balances(session, contract, own.prices.overrides, path=place)
    overrides = await insert_overrides(session, contract, own.prices.overrides, path=place, now=now)
    filters = await insert_usage_filters(session, contract, own.usage_filters, path=(*path, "usageFilters"), now=now)
    watched = await thresholds.insert_thresholds(session, contract, own.thresholds, path=(*path, "thresholds"), now=now)
    fields = await insert_custom_fields(session, contract, own.custom_fields)
    return StoredTerms(
        grants=grants, recurring=recurring, overrides=overrides, usage_filters=filters, scheduled_charges=charges,
        subscriptions=subscriptions, thresholds=watched, noted={**transition, **fields},
    )  # fmt: skip
