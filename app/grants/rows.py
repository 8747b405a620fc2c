"""Definitions of commits and credits to rows.

Owns that mapping; the way back is in `reading.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from app.contracts.tables import Contract
from app.core.grants import DEFAULT_PRIORITY
from app.core.overrides import specifier_to_json
from app.grants.definitions import NewGrant, payment_to_json
from app.grants.tables import GrantRow, SegmentRow


def row_of(entry: NewGrant, customer_id: UUID, contract: Contract | None, *, now: datetime) -> GrantRow:
    """The row of a commit or credit of a contract or, without one, of a customer."""
    scope = entry.scope
    return GrantRow(
        id=entry.id,
        created_at=now,
        customer_id=customer_id,
        contract_id=None if contract is None else contract.id,
        type=entry.type,
        product_id=entry.product_id,
        name=entry.name,
        description=entry.description,
        unit=entry.unit,
        priority=DEFAULT_PRIORITY if entry.priority is None else entry.priority,
        product_ids=[str(product_id) for product_id in scope.product_ids],
        tags=list(scope.tags),
        specifiers=[specifier_to_json(specifier) for specifier in scope.specifiers],
        contract_ids=[str(contract_id) for contract_id in entry.contract_ids],
        invoice_contract_id=entry.invoice_contract_id,
        rate_type=entry.rate_type,
        rollover_fraction=entry.rollover_fraction,
        invoice=None if entry.payment is None else payment_to_json(entry.payment),
        trueup_disabled=entry.trueup_disabled,
        uniqueness_key=entry.uniqueness_key,
    )


def segments_of(grant_id: UUID, entry: NewGrant, *, now: datetime) -> Iterable[SegmentRow]:
    """The rows of its segments, numbered in the order given."""
    for number, segment in enumerate(entry.segments):
        yield SegmentRow(
            created_at=now,
            grant_id=grant_id,
            number=number,
            amount=segment.amount,
            starting_at=segment.starting_at,
            ending_before=segment.ending_before,
        )
