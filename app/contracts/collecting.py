"""How commits are paid for that wait for their payment, or that thresholds buy: what the contract's provider must be.

Owns the two rules of semantics 4.11 about providers. They are asked of what is stored, after each change that could break
them, so that no way of changing a contract passes by.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import or_, select

from app.checks import Path
from app.contracts.tables import Contract
from app.contracts.threshold_reading import thresholds_of
from app.core.grants import PaymentGate
from app.customers.routes import routes_from
from app.errors import ErrorCode, InvalidState
from app.grants.gates import IS_UNPAID
from app.grants.tables import GrantRow
from app.providers import ProviderDirectory

STRIPE = "stripe"


async def check_collecting(
    session: AsyncSession, directory: ProviderDirectory, contract: Contract, *, path: Path, since: datetime
) -> None:
    """The contract's providers from an instant on can collect what they have to. Errors: PROVIDER_NOT_CONFIGURED, ILLEGAL_TRANSITION."""
    thresholds = await thresholds_of(session, contract.id)
    rows = await session.execute(
        select(GrantRow.gate)
        .where(or_(GrantRow.contract_id == contract.id, GrantRow.invoice_contract_id == contract.id), IS_UNPAID)
        .distinct()
    )
    found = {row.gate for row in thresholds} | set(rows.scalars())
    gates = [PaymentGate(gate) for gate in found if gate is not None]
    problem = await obstacle(session, directory, contract, gates=gates, has_thresholds=bool(thresholds), since=since)
    if problem is not None:
        code = ErrorCode.PROVIDER_NOT_CONFIGURED if PaymentGate.STRIPE in gates else ErrorCode.ILLEGAL_TRANSITION
        raise InvalidState(code, problem, path=path, conflicting=contract)


async def obstacle(
    session: AsyncSession,
    directory: ProviderDirectory,
    contract: Contract,
    *,
    gates: Collection[PaymentGate],
    has_thresholds: bool,
    since: datetime,
) -> str | None:
    """Why the contract's provider cannot collect it, in a sentence with the remedy; None when it can."""
    for chosen in await routes_from(session, contract, since):
        if PaymentGate.STRIPE in gates and (chosen is None or chosen.provider != STRIPE):
            name = "nowhere" if chosen is None else f"through {chosen.provider}"
            return f"A payment at Stripe is awaited, and the contract is billed {name}; choose a Stripe configuration for it."
        if has_thresholds and chosen is not None and directory.is_metered(chosen.provider):
            return f"Nothing can be bought at thresholds through {chosen.provider}; remove the contract's thresholds first."
    return None
