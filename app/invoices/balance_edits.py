"""Commits and credits, changed: as far as final invoices allow.

Owns two of the changes of semantics 4.2; an earlier end is in `balance_ends.py`. What is written is the grants slice's;
what forbids is in `balance_guards.py` and `payment_guards.py`. What is final stays; drafts follow at once.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.contracts.balances import check_billing
from app.errors import ErrorCode, InvalidState
from app.grants.changing import archive_grant, changeable_grant
from app.grants.editing import GrantEdit, edited, write
from app.grants.followed import live_transitions
from app.grants.tables import GrantRow
from app.grants.true_ups import disable_true_up
from app.invoices.balance_guards import check_access, check_unused
from app.invoices.payment_guards import check_payments
from app.invoices.shared_guards import check_shared
from app.providers import ProviderDirectory
from app.store.ids import to_text


async def update_balance(
    session: AsyncSession,
    directory: ProviderDirectory,
    grant_id: UUID,
    edit: GrantEdit,
    *,
    revision: int | None = None,
    now: datetime,
) -> GrantRow:
    """Change what a balance may pay, when, and what is paid for it.

    Errors: those of `changeable_grant`, `disable_true_up`, `edited`, `check_access`, `check_shared`,
    `check_payments` and `check_billing`.
    """
    item = await changeable_grant(session, grant_id, revision=revision)
    if edit.terms.get("trueup_disabled"):
        await disable_true_up(session, grant_id)
    found = await edited(session, item, edit, path=("input",), now=now)
    await check_access(session, found, path=("input", "access"))
    await check_shared(session, found, path=("input", "childAccess"))
    await check_payments(session, found, path=("input", "payment"))
    if "payment" in edit.terms:
        await _check_renewed(session, item.row, now=now)
    if "payment" in edit.terms or "invoice_contract_id" in edit.terms:
        billed_on = item.row.contract_id or found.entry.invoice_contract_id
        await check_billing(session, directory, billed_on, found.entry, path=("input", "payment", "currency"), now=now)
    return await write(session, found, now=now)


async def _check_renewed(session: AsyncSession, row: GrantRow, *, now: datetime) -> None:
    """What is paid for a balance is settled when its contract has ended for another: ILLEGAL_TRANSITION."""
    if row.contract_id is None:
        return
    followed = (await live_transitions(session, from_ids=[row.contract_id])).get(row.contract_id)
    if followed is not None and followed.at <= now:
        raise InvalidState(
            ErrorCode.ILLEGAL_TRANSITION,
            f"Its contract ended at {followed.at:%Y-%m-%dT%H:%MZ}, where {to_text('contract', followed.contract_id)} "
            "follows it; what is paid for it changes no more. Archive that contract first, or give a balance of its own.",
            path=("input", "payment"),
        )


async def archive_balance(
    session: AsyncSession, grant_id: UUID, *, revision: int | None = None, now: datetime
) -> GrantRow:
    """Let a balance pay nothing any more and ask for nothing, once no final invoice names it.

    Errors: those of `changeable_grant`, BALANCE_ON_FINALIZED_INVOICE naming the invoice.
    """
    item = await changeable_grant(session, grant_id, revision=revision)
    await check_unused(session, grant_id, path=("id",))
    return await archive_grant(session, item, now=now)
