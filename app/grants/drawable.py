"""What a contract may draw from.

Owns the way from balances that serve it, and when they do, to the pots of the core.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from app.contracts.tables import Contract
from app.core.grants import Pot
from app.core.ledger import Movement
from app.core.pots import pots_of
from app.grants.reading import StoredGrant


def pots_for(
    contract: Contract, grants: Iterable[StoredGrant], moved: Mapping[UUID, Sequence[Movement]]
) -> tuple[Pot, ...]:
    """What a contract may draw from: the segments of those that serve it."""
    serving = [item for item in grants if item.may_serve(contract)]
    return pots_of(
        [item.grant for item in serving], moved, shared={item.row.id: item.access_of(contract) for item in serving}
    )
