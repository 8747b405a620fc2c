"""Historical import: statements of the past become final invoices from quantities that are given, at the contract's prices.

Owns what may be imported and the rating. An imported invoice is the statement of its period, with the id that it would have
had, so the period is never billed again; it draws on balances, has a number, and goes to no provider. Which quantities come
in is checked in `imported_usage.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.checks import beneath
from app.contracts.reading import changeable_contract
from app.contracts.tables import Contract
from app.core import invoice, items, rating
from app.core.period import Period
from app.custom_fields.service import insert_custom_fields
from app.errors import ErrorCode, InvalidInput, InvalidState
from app.invoices import balances, imported_usage, service, settling, tables, waiting
from app.invoices.drafts import RatedStatement
from app.invoices.open import open_statements


@dataclass(frozen=True, slots=True)
class HistoricalInvoice:
    """A statement to import. `issued_at` is by default when it would have become final."""

    contract_id: UUID
    period: Period
    quantities: Sequence[imported_usage.GivenQuantity]
    issued_at: datetime | None = None
    custom_fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Imported:
    """An invoice that was made, and what it was rated from."""

    invoice: tables.Invoice
    rated: RatedStatement


async def import_invoices(
    session: AsyncSession, wanted: Sequence[HistoricalInvoice], *, now: datetime
) -> list[Imported]:
    """Make the invoices in the order given, each from what the ones before left in the balances.

    Errors, with the path of the invoice: `NotFound`, ARCHIVED, INVALID_INTERVAL for what is no open statement of the
    contract, NOT_DUE before its end and while an earlier contract holds what rolls over, INVALID, PRODUCT_NOT_ON_CARD, those of
    `insert_custom_fields`.
    """
    return [
        await _import(session, item, path=("input", "invoices", str(place)), now=now)
        for place, item in enumerate(wanted)
    ]


async def _import(session: AsyncSession, item: HistoricalInvoice, *, path: tuple[str, ...], now: datetime) -> Imported:
    with beneath(path, identifier="contractId"):
        contract = await changeable_contract(session, item.contract_id)
    statement = await _statement(session, contract, item, path=path, now=now)
    book = balances.Books(session, now=now)
    stored = await book.rate(statement)
    usage = imported_usage.usage_of(item.quantities, stored.terms, statement.period, path=path)
    fees, charges = items.fees_and_charges(stored.items)
    found = rating.rate_statement(stored.terms, statement.period, usage, pots=stored.pots, fees=fees)
    drawn = {draw.pot.grant_id for draw in found.draws}
    if not drawn.isdisjoint((await book.of(contract.customer_id)).provisional):
        raise InvalidState(
            ErrorCode.NOT_DUE,
            "What rolls over is known when the contract before is billed whole; finalize its last statement first.",
            path=path,
        )
    rated = RatedStatement(
        replace(statement, due_at=item.issued_at or statement.due_at),
        invoice.assemble([*found.lines, *charges], stored.terms.unit),
        stored.items, found.unrated, stored.terms, usage, stored.pots, found.draws,
    )  # fmt: skip
    [made] = await service.write_invoices(session, [rated], is_imported=True, now=now)
    await insert_custom_fields(session, made, item.custom_fields, path=(*path, "customFields"))
    await settling.settle(session, contract.customer_id, now=now)
    return Imported(made, rated)


async def _statement(
    session: AsyncSession, contract: Contract, item: HistoricalInvoice, *, path: tuple[str, ...], now: datetime
) -> balances.Statement:
    open_ones = [one for one in await open_statements(session, [contract], now=now) if one.period.ending_before]
    found = next((one for one in open_ones if one.period == item.period), None)
    if found is None:
        shown = ", ".join(f"{one.period.starting_at:%Y-%m-%d}" for one in open_ones[:3]) or "none"
        raise InvalidInput(
            ErrorCode.INVALID_INTERVAL,
            f"The interval is no open statement of the contract; its open ones begin at: {shown}.",
            path=(*path, "interval"),
        )
    end = found.period.ending_before
    assert end is not None, "a statement has an end"
    if end > now:
        raise InvalidState(
            ErrorCode.NOT_DUE, "The statement is not over yet; import it when it has ended.", path=(*path, "interval")
        )
    if item.issued_at is not None and not end <= item.issued_at <= now:
        raise InvalidInput(
            ErrorCode.INVALID, "issuedAt lies after the end of the statement, and not after now.",
            path=(*path, "issuedAt"),
        )  # fmt: skip
    if await waiting.waiting_payments(session, [found]):
        raise InvalidState(
            ErrorCode.NOT_DUE,
            "A commit that pays for usage of this statement waits for its payment; tell its outcome first.",
            path=(*path, "interval"),
        )
    return found
