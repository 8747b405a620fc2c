"""What callers send to change recurring commits and credits.

Owns the GraphQL input and its way to the service; the rules are in `recurring_changes.py`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import strawberry

from app.checks import Path
from app.contracts.api_recurring_inputs import RecurringAmountInput, RecurringPaymentInput
from app.contracts.new_recurring import RecurringAmount
from app.errors import ErrorCode, InvalidInput
from app.grants.api_kinds import BalanceRateType
from app.grants.api_sharing import ChildAccessInput, sharing_in


@strawberry.input(description="Changes of what is still to begin: what is left out stays, null takes away.")
class RecurringBalanceUpdateInput:
    ending_before: datetime | None = strawberry.field(
        default=strawberry.UNSET,
        description="None begins from then on, a full hour; null: as long as the contract holds.",
    )
    access_amount: RecurringAmountInput | None = strawberry.field(
        default=None, description="How much may be used of each."
    )
    invoice_amount: RecurringPaymentInput | None = strawberry.field(
        default=strawberry.UNSET, description="What is paid for each; null: nothing."
    )
    rate_type: BalanceRateType | None = strawberry.field(  # type: ignore[valid-type]
        default=None, description="Which price usage has that draws on them."
    )
    child_access: ChildAccessInput | None = strawberry.field(
        default=None, description="Which children of the contract may draw on them."
    )


def changes_of(found: RecurringBalanceUpdateInput, *, path: Path) -> dict[str, Any]:
    """What changes, by the names of `NewRecurringGrant`. REQUIRED when nothing does."""
    changes: dict[str, Any] = {}
    if found.ending_before is not strawberry.UNSET:
        changes["ending_before"] = found.ending_before
    if found.access_amount is not None:
        changes["access_amount"] = RecurringAmount(found.access_amount.unit_price, found.access_amount.quantity)
    if found.invoice_amount is not strawberry.UNSET:
        price = found.invoice_amount
        changes["invoice_amount"] = None if price is None else RecurringAmount(price.unit_price, price.quantity)
        changes["invoice_unit"] = None if price is None else price.currency
    if found.rate_type is not None:
        changes["rate_type"] = found.rate_type
    if found.child_access is not None:
        changes["sharing"] = sharing_in(found.child_access, path=path)
    if not changes:
        raise InvalidInput(ErrorCode.REQUIRED, "Name something to change.", path=path)
    return changes
