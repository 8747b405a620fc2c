"""In which currencies a contract's invoices may be, beside its own.

Owns looking them up; whether a provider takes them is checked by `placement.py`.
"""

from __future__ import annotations

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.contracts.family import running_children
from app.contracts.tables import Contract, ScheduledChargeRow
from app.core.grants import GrantType
from app.core.hierarchy import Payer
from app.grants.purchases import purchases_of
from app.grants.tables import GrantRow, RecurringGrantRow

CHARGES = ScheduledChargeRow.__table__.c  # type: ignore[attr-defined]
GRANTS = GrantRow.__table__.c  # type: ignore[attr-defined]
RECURRING = RecurringGrantRow.__table__.c  # type: ignore[attr-defined]


async def billed_units(session: AsyncSession, contract: Contract) -> set[str]:
    """The currencies of its charges, of what is paid for its balances, and of true-ups; those of children it pays for, too."""
    units = await _own(session, contract)
    for child in await running_children(session, contract.id):
        if child.payer == Payer.PARENT:
            units |= {child.currency, *await _own(session, child)}
    return units


async def _own(session: AsyncSession, contract: Contract) -> set[str]:
    charged = select(CHARGES.unit).where(CHARGES.contract_id == contract.id, CHARGES.archived_at.is_(None))
    units = set((await session.scalars(charged)).all())
    for bought in (await purchases_of(session, [contract.id])).get(contract.id, ()):
        units.add(bought.unit.code)
    recurring = await session.execute(
        select(RECURRING.invoice_unit, RECURRING.unit).where(
            RECURRING.contract_id == contract.id,
            RECURRING.invoice_unit_price.is_not(None),
            RECURRING.archived_at.is_(None),
        )
    )
    units.update(invoice_unit or unit for invoice_unit, unit in recurring)
    postpaid = select(GRANTS.unit).where(
        or_(GRANTS.contract_id == contract.id, GRANTS.invoice_contract_id == contract.id),
        GRANTS.type == GrantType.POSTPAID,
        GRANTS.archived_at.is_(None),
        GRANTS.trueup_disabled.is_(False),
    )
    return units | set((await session.scalars(postpaid)).all())
