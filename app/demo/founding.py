"""The demo company is founded: its catalog, customers and contracts, made through the services as an operator would.

Owns the order of making, with an audit entry for each change. Who they are stands in `company.py`.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.access import audit
from app.actor import system
from app.catalog import metrics, products, rate_rules, rates
from app.catalog.service import create_rate_card
from app.change import take_change
from app.contracts.service import create_contract
from app.customers.billing import create_billing_configuration
from app.customers.service import create_customer
from app.demo.company import ACCOUNTS, CARDS, LINES, Company
from app.runtime import Runtime

ACTOR = system("demo", kind="command")


async def found(runtime: Runtime, *, starting_at: datetime, now: datetime) -> Company:
    """Make the whole company, as of an instant."""
    sold = await _products(runtime, now)
    cards = await _cards(runtime, sold, now)
    company = Company()
    for account in ACCOUNTS:
        async with runtime.store.transaction() as session:
            if account.customer not in company.customers:
                row = await create_customer(
                    session, name=account.customer, external_id=company.reference(account.customer), now=now
                )
                company.customers[account.customer] = row.id
                await note(session, "customer.create", now)
            customer_id = company.customers[account.customer]
            configuration = await create_billing_configuration(
                session, runtime.connections, customer_id=customer_id, provider=account.provider,
                settings=account.settings, now=now,
            )  # fmt: skip
            await note(session, "billingConfiguration.create", now)
            made = await create_contract(
                session, runtime.connections, customer_id=customer_id, rate_card_id=cards[account.card],
                name=f"{account.customer}, {account.card.split(',')[0].lower()}", starting_at=starting_at,
                billing_configuration_id=configuration.id, net_payment_terms_days=30, now=now,
            )  # fmt: skip
            await note(session, "contract.create", now)
        company.contracts.append(made.contract.id)
        company.kinds.setdefault(account.customer, set()).update(account.kinds)
    return company


async def _products(runtime: Runtime, now: datetime) -> dict[str, UUID]:
    sold: dict[str, UUID] = {}
    for line in LINES:
        async with runtime.store.transaction() as session:
            metric = await metrics.create_metric(
                session, name=line.name, aggregation=line.aggregation, key=line.key, event_types_in=[line.event_type],
                filters=line.only, money=line.money, outcome=line.outcome, now=now,
            )  # fmt: skip
            await note(session, "billableMetric.create", now)
            product = await products.create_product(session, name=line.name, type="USAGE", metric_id=metric.id, now=now)
            await note(session, "product.create", now)
            sold[line.name] = product.id
    return sold


async def _cards(runtime: Runtime, products: dict[str, UUID], now: datetime) -> dict[str, UUID]:
    cards: dict[str, UUID] = {}
    for name, (currency, prices) in CARDS.items():
        async with runtime.store.transaction() as session:
            card = await create_rate_card(session, name=name, currency=currency, now=now)
            await rates.add_rates(
                session,
                card.id,
                [rate_rules.NewRate(product_id=products[product], rate=rate) for product, rate in prices.items()],
                now=now,
            )
            await note(session, "rateCard.create", now)
            cards[name] = card.id
    return cards


async def note(session: AsyncSession, action: str, now: datetime) -> None:
    """The audit entry of a change that the demo makes."""
    await audit.record(session, ACTOR, action=action, now=now, code=None, change=take_change(session))
