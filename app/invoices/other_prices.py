"""A contract at other prices, as only a preview has it: another rate card, or prices that nobody has added.

Owns the swap. A contract keeps its card for good, so this is done in transactions that are taken back and nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.catalog.rate_rules import NewRate
from app.catalog.rates import add_rates
from app.checks import beneath
from app.contracts.placement import currency_for
from app.contracts.tables import Contract
from app.errors import ErrorCode, InvalidInput, NotFound
from app.store.ids import to_text

PATH = ("input", "change", "prices")


async def use_prices(
    session: AsyncSession, contract_id: UUID, *, card_id: UUID | None, rates: Sequence[NewRate], now: datetime
) -> UUID:
    """Give a contract another card, add prices to its card, or both; returns its id.

    Errors: `NotFound`, REQUIRED, INVALID for a contract without a card, ARCHIVED, CURRENCY_MISMATCH, and those of
    `add_rates`.
    """
    contract = await session.get(Contract, contract_id)
    if contract is None:
        raise NotFound("Contract", to_text("contract", contract_id), path=(*PATH, "contractId"))
    if card_id is None and not rates:
        raise InvalidInput(ErrorCode.REQUIRED, "Name a rate card, or prices.", path=PATH)
    with beneath(PATH):
        if card_id is not None:
            await currency_for(session, card_id, contract.currency)
            contract.rate_card_id = card_id
            await session.flush()
        if rates:
            if contract.rate_card_id is None:
                raise InvalidInput(
                    ErrorCode.INVALID, "The contract has no rate card to which prices could be added.", path=("rates",)
                )
            await add_rates(session, contract.rate_card_id, rates, now=now)
    return contract.id
