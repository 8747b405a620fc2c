"""What a preview shows after the transaction that it was made in is taken back.

Owns the copy; rows of that transaction cannot be read any more.
"""

from __future__ import annotations

from dataclasses import replace

from app.contracts.tables import Contract
from app.invoices.drafts import RatedStatement


def detached(rated: RatedStatement) -> RatedStatement:
    """The same with a copy of the contract's row, which outlives the session that read it."""
    contract = Contract(**rated.statement.contract.model_dump())
    return replace(rated, statement=replace(rated.statement, contract=contract))
