"""Commits and credits of a scenario: how they are made, and entries by hand.

Owns the translation of what declares them; `balances.py` tells what they are worth. Ids are chosen before anything is made, because an
override may name a balance that comes with the same contract.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import parse_instant
from app.core.fees import ScheduledItem
from app.core.grants import GrantType
from app.core.money import ONE
from app.core.terms import RateTarget, Specifier
from app.grants import adjustments, service
from app.grants.definitions import NewGrant, NewSegment, PaymentSchedule, Scope
from app.scenario.fee_inputs import schedule_of
from app.scenario.world import Json, World
from app.store.ids import new_id


def name_grants(world: World, balances: Sequence[Json]) -> None:
    """Choose the ids of balances to come, in the order of the scenario's ids."""
    for balance in sorted(balances, key=lambda item: item["id"]):
        world.grants[balance["id"]] = new_id()


def new_grant(world: World, balance: Json) -> NewGrant:
    """A balance as the service takes it."""
    return NewGrant(
        id=world.grants[balance["id"]],
        type=GrantType(balance["type"]),
        segments=[
            NewSegment(
                Decimal(item["amount"]), parse_instant(item["starting_at"]), parse_instant(item["ending_before"])
            )
            for item in balance["access"]
        ],
        product_id=world.products[balance["product"]] if "product" in balance else None,
        name=balance["id"],
        unit=balance.get("unit", "USD"),
        priority=Decimal(balance["priority"]) if "priority" in balance else None,
        scope=scope_of(world, balance),
        contract_ids=[world.contracts[item] for item in balance.get("contracts", [])],
        invoice_contract_id=world.contracts[balance["invoice_contract"]] if "invoice_contract" in balance else None,
        rate_type=RateTarget(balance.get("rate_type", RateTarget.LIST_RATE)),
        rollover_fraction=Decimal(balance["rollover_fraction"]) if "rollover_fraction" in balance else None,
        payment=_payment(balance),
        trueup_disabled=balance.get("trueup_disabled", False),
        uniqueness_key=balance.get("uniqueness_key"),
    )


def scope_of(world: World, balance: Json) -> Scope:
    """What a balance may pay for."""
    return Scope(
        product_ids=[world.products[item] for item in balance.get("products", [])],
        tags=balance.get("tags", []),
        specifiers=[specifier_of(world, item) for item in balance.get("specifiers", [])],
    )


def specifier_of(world: World, item: Json) -> Specifier:
    """A condition on usage."""
    return Specifier(
        product_id=world.products[item["product"]] if "product" in item else None,
        tags=tuple(item.get("tags", ())),
        pricing=tuple(sorted(item.get("pricing", {}).items())),
        presentation=tuple(sorted(item.get("presentation", {}).items())),
    )


def _payment(balance: Json) -> PaymentSchedule | None:
    invoice = balance.get("invoice")
    if balance["type"] == GrantType.POSTPAID:
        if invoice is None or "timestamp" not in invoice:
            return None
        amount = Decimal(invoice.get("amount", balance["access"][0]["amount"]))
        return PaymentSchedule((ScheduledItem(parse_instant(invoice["timestamp"]), amount, ONE),))
    if invoice is None:
        return None
    return PaymentSchedule(schedule_of(invoice), invoice.get("unit"), invoice.get("do_not_invoice", False))


async def found_customer_grants(session: AsyncSession, world: World, customer: Json, *, now: datetime) -> None:
    """The balances that a customer has by itself, in the order of the scenario's ids."""
    for balance in sorted(customer.get("balances", []), key=lambda item: item["id"]):
        await add_customer_grant(session, world, balance, customer["id"], now=_created_at(balance, now))


async def add_customer_grant(
    session: AsyncSession, world: World, balance: Json, customer: str, *, now: datetime
) -> UUID:
    """One balance of a customer."""
    world.grants.setdefault(balance["id"], new_id())
    row = await service.create_grant(session, world.customers[customer], new_grant(world, balance), now=now)
    return row.id


def _created_at(balance: Json, default: datetime) -> datetime:
    return parse_instant(balance["created_at"]) if "created_at" in balance else default


async def manual(session: AsyncSession, world: World, step: Json, *, now: datetime) -> None:
    """A manual ledger entry."""
    await adjustments.adjust(
        session,
        world.grants[step["balance"]],
        segment=step.get("segment", 0),
        amount=Decimal(step["amount"]),
        reason=step.get("reason", ""),
        at=parse_instant(step["timestamp"]) if "timestamp" in step else None,
        now=now,
    )
