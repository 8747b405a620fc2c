"""What callers say of a recurring commit or credit.

Owns the values; what they may say is checked by `recurring_grants.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from app.core.money import ONE
from app.core.period import Frequency
from app.core.recurring import GrantProration
from app.core.seat_balances import Allocation
from app.grants.definitions import NewGrant
from app.store.ids import new_id


@dataclass(frozen=True, slots=True)
class RecurringAmount:
    """What every whole period brings or costs: quantity times unit price."""

    unit_price: Decimal
    quantity: Decimal = ONE


@dataclass(frozen=True, slots=True)
class SubscriptionLink:
    """A subscription whose quantity multiplies the amounts; increases within a period bring a part or the whole."""

    subscription_id: UUID
    allocation: Allocation
    prorate_increases: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRecurringGrant:
    """A commit or credit for every period. `child` says what each is, apart from its amounts and dates.

    Without a start it begins with the contract; without a frequency its periods are those of the statements.
    `invoice_amount` None is a gift; `invoice_unit` None is the unit of the access.
    """

    child: NewGrant
    access_amount: RecurringAmount
    invoice_amount: RecurringAmount | None = None
    invoice_unit: str | None = None
    starting_at: datetime | None = None
    ending_before: datetime | None = None
    frequency: Frequency | None = None
    duration: int = 1
    proration: GrantProration = GrantProration.FIRST_AND_LAST
    link: SubscriptionLink | None = None
    id: UUID = field(default_factory=new_id)

    @property
    def currency(self) -> str | None:
        """In which it is billed, if it is."""
        return None if self.invoice_amount is None else self.invoice_unit or self.child.unit
