"""Contracts: created, and sent to a provider.

Owns what a contract needs to be billable: a customer, a period on full hours, prices or a currency, statements, and a
provider that takes the currency. Pricing reads the rows through `terms.py`; invoices are above this slice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.change import note_change
from app.checks import interval_of, name_of, within
from app.contracts import collecting, hierarchies, overlaps, routing
from app.contracts.own_terms import OwnTerms, insert_own_terms
from app.contracts.placement import check_route, currency_for
from app.contracts.reading import changeable_contract, shown
from app.contracts.tables import Contract
from app.core.period import StatementSchedule
from app.customers.reading import changeable_customer
from app.providers import ProviderDirectory
from app.store.unique import once

MAX_GRACE_HOURS = 90 * 24
MAX_TERMS_DAYS = 3_650
MAX_PRIORITY = 1_000_000


@dataclass(frozen=True, slots=True)
class CreatedContract:
    """A new contract, and what the caller should know about it in words for people."""

    contract: Contract
    warnings: tuple[str, ...]


async def create_contract(
    session: AsyncSession,
    directory: ProviderDirectory,
    *,
    customer_id: UUID,
    rate_card_id: UUID | None = None,
    currency: str | None = None,
    name: str | None = None,
    starting_at: datetime,
    ending_before: datetime | None = None,
    statement: StatementSchedule = StatementSchedule(),
    grace_hours: int = 24,
    priority: int = 100,
    net_payment_terms_days: int | None = None,
    billing_configuration_id: UUID | None = None,
    own_terms: OwnTerms = OwnTerms(),
    package_id: UUID | None = None,
    uniqueness_key: str | None = None,
    now: datetime,
) -> CreatedContract:
    """A new contract of a customer; any number of them may run at once, and each has its own invoices.

    Errors: `NotFound`, ARCHIVED, NOT_HOUR_ALIGNED, INVALID_INTERVAL, INVALID, REQUIRED, CURRENCY_MISMATCH,
    PROVIDER_NOT_CONFIGURED, `Conflict`, and those of `join` and `insert_own_terms`. A warning names each contract that bills the
    same products at the same time.
    """
    if name is not None:
        name = name_of(name, path=("input", "name"))
    within(grace_hours, low=0, high=MAX_GRACE_HOURS, path=("input", "graceHours"))
    within(priority, low=0, high=MAX_PRIORITY, path=("input", "priority"))
    if net_payment_terms_days is not None:
        within(net_payment_terms_days, low=0, high=MAX_TERMS_DAYS, path=("input", "netPaymentTermsDays"))
    start, end = interval_of(starting_at, ending_before, path=("input", "interval"))
    assert start is not None
    await hierarchies.lock_with_parent(session, customer_id, own_terms.hierarchy)
    await changeable_customer(session, customer_id, path=("input", "customerId"))
    contract = Contract(
        created_at=now, customer_id=customer_id, rate_card_id=rate_card_id, name=name,
        currency=await currency_for(session, rate_card_id, currency),
        starting_at=start, ending_before=end,
        statement_frequency=statement.frequency, statement_day=statement.day, statement_anchor=statement.anchor,
        generate_from=statement.generate_from, grace_hours=grace_hours, priority=priority,
        net_payment_terms_days=net_payment_terms_days, billing_configuration_id=billing_configuration_id,
        override_priority=own_terms.prices.priority, consolidate_charges=own_terms.fees.consolidate,
        package_id=package_id, uniqueness_key=uniqueness_key,
    )  # fmt: skip
    await hierarchies.join(session, directory, contract, own_terms.hierarchy, own_terms.transition, now=now)
    await check_route(
        session, directory, contract, configuration_id=billing_configuration_id,
        path=("input", "billingConfigurationId"), more_currencies=own_terms.currencies,
    )  # fmt: skip
    async with once(session, Contract, uniqueness_key):
        session.add(contract)
        await session.flush()
        added = await insert_own_terms(session, contract, own_terms, now=now)
        await collecting.check_collecting(
            session, directory, contract, path=("input", "billingConfigurationId"), since=start
        )
    note_change(session, "contract", contract.id, after=shown(contract) | added.counted())
    return CreatedContract(contract, tuple(await overlaps.double_billing(session, contract)))


async def set_billing_configuration(
    session: AsyncSession,
    directory: ProviderDirectory,
    contract_id: UUID,
    configuration_id: UUID | None,
    *,
    revision: int | None = None,
    now: datetime,
) -> Contract:
    """Choose where a contract's coming invoices go; None leaves it to the customer's default.

    Invoices that are final already go where they were meant to. Errors: `NotFound`, ARCHIVED, PROVIDER_NOT_CONFIGURED,
    CURRENCY_MISMATCH, STALE_REVISION, ILLEGAL_TRANSITION for a contract that has begun and would come to a marketplace or
    leave it, and for one whose choice changes over time.
    """
    path = ("billingConfigurationId",)
    contract = await changeable_contract(session, contract_id, revision=revision)
    await routing.refuse_over_time(session, contract, path=path)
    await check_route(session, directory, contract, configuration_id=configuration_id, path=path)
    await routing.refuse_move_within_a_statement(session, directory, contract, configuration_id, path=path, now=now)
    before = shown(contract)
    contract.billing_configuration_id = configuration_id
    await collecting.check_collecting(session, directory, contract, path=path, since=contract.starting_at)
    contract.revision += 1
    await session.flush()
    note_change(session, "contract", contract.id, before=before, after=shown(contract))
    return contract
