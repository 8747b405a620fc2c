"""What balances are worth, in the words of the scenario format: balances, ledgers, the net balance.

Owns those queries. Everything is read the way the API reads it, the draws of drafts among it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from app.core.grants import GrantType
from app.core.ledger import GrantStatus, Movement, balance_at, ledger, status_at
from app.core.money import ZERO, canonical, exact
from app.grants.reading import StoredGrant
from app.grants.tables import GrantRow
from app.invoices.balances import CustomerBook
from app.invoices.tables import Invoice
from app.scenario.references import draft_ref, final_ref
from app.scenario.spelling import spell_instant
from app.scenario.world import Json, World


async def balances(world: World, customer: str, *, at: datetime) -> list[Json]:
    """Every balance of a customer, by the scenario's ids."""
    async with world.store.transaction() as session:
        book = await CustomerBook.of(session, world.customers[customer], now=at)
        moved = await book.movements()
        # Nothing is there yet of a balance into which nothing rolled.
        shown = [_balance(world, item, moved[item.row.id], at=at) for item in book.grants if item.grant.segments]
    return sorted(shown, key=lambda item: item["id"])


def _balance(world: World, item: StoredGrant, moved: Sequence[Movement], *, at: datetime) -> Json:
    status = status_at(item.grant, at=at, is_archived=item.row.archived_at is not None)
    left = balance_at(item.grant, moved, at=at)
    shown: Json = {
        "id": world.name_of("grants", item.row.id),
        "type": item.grant.type,
        "unit": item.grant.unit,
        "balance": canonical(left),
        "status": status,
        "exhausted": True if status is GrantStatus.ACTIVE and not left else None,
        "rolled_from": world.name_of("grants", item.row.rolled_from_id),
    }
    return {key: value for key, value in shown.items() if value is not None}


async def ledger_of(world: World, balance: str, *, at: datetime) -> list[Json]:
    """The entries of a balance, those of drafts among them."""
    async with world.store.transaction() as session:
        row = await session.get_one(GrantRow, world.grants[balance])
        book = await CustomerBook.of(session, row.customer_id, now=at)
        moved = await book.entries()
        grant = next(item.grant for item in book.grants if item.row.id == row.id)
        drafts = {statement.id: statement for statement in book.open}
        found: list[Json] = []
        for entry in ledger(grant, moved[row.id], now=at):
            invoice = None
            if entry.invoice_id is not None and entry.invoice_id in drafts:
                invoice = draft_ref(world, drafts[entry.invoice_id])
            elif entry.invoice_id is not None:
                invoice = await final_ref(session, world, await session.get_one(Invoice, entry.invoice_id))
            shown: Json = {
                "timestamp": spell_instant(entry.at),
                "segment": entry.segment,
                "type": entry.type,
                "amount": canonical(entry.amount),
                "invoice": invoice,
                "contract": world.name_of("contracts", entry.contract_id),
                "reason": entry.reason,
                "draft": True if entry.is_draft else None,
            }
            found.append({key: value for key, value in shown.items() if value is not None})
    return found


async def net_balance(world: World, query: Json, *, at: datetime) -> str:
    """The sum of a customer's balances in one unit, of some types; with the draws of drafts or without."""
    types = {GrantType(item) for item in query.get("types", GrantType)}
    async with world.store.transaction() as session:
        book = await CustomerBook.of(session, world.customers[query["customer"]], now=at)
        finalized = query.get("mode") == "FINALIZED"
        moved = await book.movements(with_drafts=not finalized)
        with exact():
            return canonical(
                sum(
                    (
                        balance_at(item.grant, moved[item.row.id], at=at)
                        for item in book.grants
                        if item.grant.type in types and item.grant.unit == query.get("unit", "USD")
                    ),
                    ZERO,
                )
            )
