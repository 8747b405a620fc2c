"""What is paid for commits: charges on the contract of a commit, or on the one that a customer's own commit names.

Owns that part of the mapping of terms. When they fall due, and on which invoice, is settled as for scheduled charges.
"""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, or_, select

from app.core.fees import ScheduledCharge
from app.core.grants import GateStatus, GrantType
from app.core.money import fiat
from app.grants.definitions import payment_from_json
from app.grants.tables import GrantRow
from app.store.arrays import among


async def purchases_of(session: AsyncSession, contract_ids: Collection[UUID]) -> dict[UUID, list[ScheduledCharge]]:
    """The purchases that each contract bills, by the commit's id.

    Those of commits that are archived, or whose payment failed, are not asked for.
    """
    rows = await session.execute(
        select(GrantRow)
        .where(
            or_(among(col(GrantRow.contract_id), contract_ids), among(col(GrantRow.invoice_contract_id), contract_ids)),
            GrantRow.type == GrantType.PREPAID,
            col(GrantRow.invoice).is_not(None),
            col(GrantRow.archived_at).is_(None),
            col(GrantRow.gate_outcome).is_distinct_from(GateStatus.FAILED),
        )
        .order_by(col(GrantRow.id))
    )
    found: dict[UUID, list[ScheduledCharge]] = {}
    for place, row in enumerate(rows.scalars()):
        contract_id = row.contract_id or row.invoice_contract_id
        assert contract_id is not None, "the query asks for one"
        assert row.invoice is not None, "the query asks for one"
        payment = payment_from_json(row.invoice)
        if not payment.do_not_invoice:
            unit = fiat(payment.unit or row.unit)
            alone = row.gate is not None or row.threshold_id is not None
            bought = ScheduledCharge(
                row.id, row.product_id, unit, payment.schedule, place, is_purchase=True, stands_alone=alone
            )
            found.setdefault(contract_id, []).append(bought)
    return found
