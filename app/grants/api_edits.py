"""What callers send to change commits and credits.

Owns the GraphQL inputs and their way to the service. What is left out stays; null takes away what may be missing.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import strawberry

from app.checks import Path
from app.errors import ErrorCode, InvalidInput
from app.grants.api_inputs import SegmentInput
from app.grants.api_kinds import BalanceRateType
from app.grants.api_payments import PaymentScheduleInput, payment_of
from app.grants.api_scope import AppliesToInput, scope_of
from app.grants.api_sharing import ChildAccessUpdateInput, change_in
from app.grants.definitions import NewSegment
from app.grants.editing import GrantEdit
from app.grants.segments import SegmentEdits, SegmentUpdate
from app.store import ids


@strawberry.input(description="Changes of one segment; what is left out stays.")
class SegmentUpdateInput:
    number: int = strawberry.field(description="Its number.")
    amount: Decimal | None = strawberry.field(
        default=None, description="How much, 0 or more, and not less than what final invoices took of it."
    )
    starting_at: datetime | None = strawberry.field(default=None, description="First instant, a full hour.")
    ending_before: datetime | None = strawberry.field(default=None, description="First instant after it, a full hour.")


@strawberry.input(description="Changes of when how much may be used.")
class AccessChangesInput:
    add: list[SegmentInput] = strawberry.field(default_factory=list, description="New segments.")
    update: list[SegmentUpdateInput] = strawberry.field(default_factory=list, description="Segments that change.")
    remove: list[int] = strawberry.field(
        default_factory=list,
        description="Numbers of segments that go, with their entries by hand; none that paid on a final invoice.",
    )


@strawberry.input(description="Changes of a commit or credit: what is left out stays, null takes away.")
class BalanceUpdateInput:
    name: str | None = strawberry.field(default=strawberry.UNSET, description="What invoices call it.")
    description: str | None = strawberry.field(default=strawberry.UNSET, description="What it is for.")
    product_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="The FIXED product as which it is sold."
    )
    priority: Decimal | None = strawberry.field(
        default=strawberry.UNSET, description="The lowest number is drawn first; it cannot be taken away."
    )
    applies_to: AppliesToInput | None = strawberry.field(
        default=strawberry.UNSET, description="What it may pay; null: everything."
    )
    rate_type: BalanceRateType | None = strawberry.field(  # type: ignore[valid-type]
        default=strawberry.UNSET, description="Which price usage has that draws on it; it cannot be taken away."
    )
    rollover_fraction: Decimal | None = strawberry.field(
        default=strawberry.UNSET, description="0 to 1 of a segment may roll over."
    )
    contract_ids: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET, description="Contracts that one of the customer's own may pay for; null: all."
    )
    invoice_contract_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="The contract on which one of the customer's own is billed."
    )
    true_up_disabled: bool | None = strawberry.field(
        default=None, description="Whether what is missing of a POSTPAID commit is never billed."
    )
    child_access: ChildAccessUpdateInput | None = strawberry.field(
        default=None, description="Which children of its contract may draw on it, from an hour on."
    )
    access: AccessChangesInput | None = strawberry.field(default=None, description="When how much may be used.")
    payment: PaymentScheduleInput | None = strawberry.field(
        default=strawberry.UNSET,
        description="What is paid, as a whole; payments on final invoices are named as they were. Null: nothing.",
    )


def edit_of(found: BalanceUpdateInput, *, path: Path) -> GrantEdit:
    """The changes as the service takes them. REQUIRED for null where something must be said."""
    terms = {
        name: getattr(found, name)
        for name in ("name", "description", "priority", "rate_type", "rollover_fraction")
        if getattr(found, name) is not strawberry.UNSET
    }
    for name, field in (("priority", "priority"), ("rate_type", "rateType")):
        if name in terms and terms[name] is None:
            raise InvalidInput(ErrorCode.REQUIRED, f"{field} can be changed, not taken away.", path=(*path, field))
    if found.true_up_disabled is not None:
        terms["trueup_disabled"] = found.true_up_disabled
    terms |= _references(found, path=path)
    if found.applies_to is not strawberry.UNSET:
        terms["scope"] = scope_of(found.applies_to or AppliesToInput(), path=(*path, "appliesTo"))
    if found.payment is not strawberry.UNSET:
        given = found.payment
        terms["payment"] = None if given is None else payment_of(given, path=(*path, "payment"))
    sharing = None if found.child_access is None else change_in(found.child_access, path=path)
    return GrantEdit(terms, _access(found.access or AccessChangesInput()), sharing)


def _references(found: BalanceUpdateInput, *, path: Path) -> dict[str, Any]:
    terms: dict[str, Any] = {}
    for name, field, kind in (
        ("product_id", "productId", "product"), ("invoice_contract_id", "invoiceContractId", "contract"),
    ):  # fmt: skip
        text = getattr(found, name)
        if text is not strawberry.UNSET:
            terms[name] = None if text is None else ids.from_text(kind, text, path=(*path, field))
    if found.contract_ids is not strawberry.UNSET:
        terms["contract_ids"] = [
            ids.from_text("contract", text, path=(*path, "contractIds", str(index)))
            for index, text in enumerate(found.contract_ids or ())
        ]
    return terms


def _access(found: AccessChangesInput) -> SegmentEdits:
    return SegmentEdits(
        add=[NewSegment(item.amount, item.starting_at, item.ending_before) for item in found.add],
        update=[SegmentUpdate(item.number, item.amount, item.starting_at, item.ending_before) for item in found.update],
        remove=found.remove,
    )
