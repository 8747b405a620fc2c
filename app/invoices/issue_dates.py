"""Issue dates of drafts: when an open invoice becomes final, where that is not what its schedule says.

Owns moving one. The schedule behind it, its period, what is on it and its id stay as they are; only when it is issued, and
with that when it is to be paid, moves.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.change import note_change
from app.contracts.family import lock_family
from app.core.invoice import InvoiceType
from app.errors import ErrorCode, InvalidInput, InvalidState, NotFound
from app.invoices import finding
from app.invoices.statements import Statement
from app.invoices.tables import Invoice, MovedIssueDate
from app.store.ids import to_text

PATH = ("issueAt",)
MOST = timedelta(days=366)
"""How far from its own date an invoice may be moved."""


async def update_issue_date(
    session: AsyncSession, identifier: UUID, issue_at: datetime | None, *, now: datetime
) -> Statement:
    """Move the issue date of a draft, None: back to that of its schedule. Returns the draft.

    Errors: `NotFound`, ALREADY_FINALIZED, INVALID for a date before the end of the service or of the schedule, in the
    past, or more than a year away.
    """
    invoice = await session.get(Invoice, identifier)
    if invoice is not None:
        raise InvalidState(
            ErrorCode.ALREADY_FINALIZED,
            f"Invoice {to_text('invoice', identifier)} is final; void and regenerate it to bill it anew.",
            path=("id",),
            conflicting=invoice,
        )
    statement = await finding.find_draft(session, identifier, now=now)
    if statement is None:
        raise NotFound("Invoice", to_text("invoice", identifier), path=("id",))
    if statement.type is InvoiceType.USAGE_CONSOLIDATED:
        raise InvalidState(
            ErrorCode.ILLEGAL_TRANSITION,
            "It is issued with the last of its constituents; move the issue date of those.",
            path=("id",),
        )
    await lock_family(session, statement.contract.customer_id)
    if await session.get(Invoice, identifier, populate_existing=True) is not None:
        raise InvalidState(
            ErrorCode.ALREADY_FINALIZED,
            "The invoice has become final by now, and its date stays; void it and make it again to change it.",
            path=("id",),
        )
    before = statement.due_at
    row = await session.get(MovedIssueDate, identifier, populate_existing=True)
    if issue_at is None:
        if row is not None:
            await session.delete(row)
    else:
        _check(statement, issue_at.astimezone(UTC), now=now)
        if row is None:
            row = MovedIssueDate(
                invoice_id=identifier, contract_id=statement.contract.id, issue_at=issue_at.astimezone(UTC)
            )
        row.issue_at = issue_at.astimezone(UTC)
        session.add(row)
    await session.flush()
    moved = await finding.find_draft(session, identifier, now=now)
    assert moved is not None, "a draft stays open until it is final"
    note_change(
        session,
        "invoice",
        identifier,
        before={"issueAt": before.isoformat()},
        after={"issueAt": moved.due_at.isoformat()},
    )
    return moved


def _check(statement: Statement, issue_at: datetime, *, now: datetime) -> None:
    first = statement.period.ending_before if statement.type is InvoiceType.USAGE else statement.period.starting_at
    assert first is not None, "a statement has an end"
    if issue_at <= now:
        raise InvalidInput(ErrorCode.INVALID, f"The issue date lies after now, {now:%Y-%m-%dT%H:%M:%SZ}.", path=PATH)
    if not first <= issue_at <= first + MOST:
        raise InvalidInput(
            ErrorCode.INVALID,
            f"This invoice can be issued from {first:%Y-%m-%dT%H:%MZ} on, and until {first + MOST:%Y-%m-%dT%H:%MZ}.",
            path=PATH,
        )
