"""What a threshold may say.

Owns the refusals of semantics 4.11 that need nothing but the entry and its contract. Rows are written by `thresholds.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

from app.checks import Path, name_of, text_of, within
from app.contracts.tables import Contract
from app.core.grants import PaymentGate
from app.core.money import ZERO, canonical
from app.core.thresholds import ThresholdKind
from app.errors import ErrorCode, InvalidInput
from app.grants import definitions

MAX_MONTHS = 120
LIMIT = Decimal(10) ** 15


@dataclass(frozen=True, slots=True, kw_only=True)
class NewThreshold:
    """What to watch and what to buy. `amount` is in `unit` (None: the contract's currency).

    SPEND: a commit for what was spent, for the current statement. BALANCE: a commit that brings the balance back to
    `recharge_to`, for `access_months`, and with a `scope`. Without a `gate` a commit can be used at once.
    """

    kind: ThresholdKind
    amount: Decimal
    product_id: UUID
    is_enabled: bool = True
    recharge_to: Decimal | None = None
    unit: str | None = None
    name: str | None = None
    description: str | None = None
    priority: Decimal | None = None
    scope: definitions.Scope = field(default_factory=definitions.Scope)
    access_months: int | None = None
    gate: PaymentGate | None = None


def check_threshold(entry: NewThreshold, unit: str, contract: Contract, *, path: Path) -> None:
    """Refuse what breaks a rule. Errors: INVALID, REQUIRED, `LimitExceeded`, those of a commit's scope."""
    definitions.check_scope(entry.scope, path=path)
    if entry.name is not None:
        name_of(entry.name, path=(*path, "name"))
    if entry.description is not None:
        text_of(entry.description, path=(*path, "description"), longest=2_000)
    if entry.priority is not None and not ZERO <= entry.priority <= definitions.MAX_PRIORITY:
        text = f"priority is {entry.priority}; write 0 to {definitions.MAX_PRIORITY}."
        raise InvalidInput(ErrorCode.INVALID, text, path=(*path, "priority"))
    _check_amount(entry.amount, least=None if entry.kind is ThresholdKind.BALANCE else ZERO, path=(*path, "amount"))
    if entry.kind is ThresholdKind.SPEND:
        _check_spend(entry, unit, contract, path=path)
        return
    if entry.recharge_to is None:
        raise InvalidInput(ErrorCode.REQUIRED, "Say to what the balance is recharged.", path=(*path, "rechargeTo"))
    _check_amount(entry.recharge_to, least=entry.amount, path=(*path, "rechargeTo"))
    if entry.access_months is not None:
        within(entry.access_months, low=1, high=MAX_MONTHS, path=(*path, "accessMonths"))


def _check_spend(entry: NewThreshold, unit: str, contract: Contract, *, path: Path) -> None:
    """What is bought for spend pays whatever was spent, in the contract's currency, for the statement in which it was."""
    wrong = {
        "rechargeTo": entry.recharge_to is not None,
        "accessMonths": entry.access_months is not None,
        "appliesTo": bool(entry.scope.product_ids or entry.scope.tags or entry.scope.specifiers),
        "unit": unit != contract.currency,
    }
    for name, is_wrong in wrong.items():
        if is_wrong:
            text = f"A SPEND threshold is in {contract.currency} and covers what was spent; leave {name} out."
            raise InvalidInput(ErrorCode.INVALID, text, path=(*path, name))


def _check_amount(amount: Decimal, *, least: Decimal | None, path: Path) -> None:
    if amount < ZERO or amount >= LIMIT or (least is not None and amount <= least):
        floor = "0 or more" if least is None else f"more than {canonical(least)}"
        raise InvalidInput(ErrorCode.INVALID, f"{path[-1]} is {amount}; write {floor} and less than 10^15.", path=path)
