"""A contract, edited: terms, balances, name, payment terms and end in one step, all of it or nothing.

Owns the order of the parts, the record that the contract's history keeps, and that a repeated edit is refused. Final
invoices stay as they are, drafts follow at once; what they forbid is asked where each part is carried out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.actor import Actor
from app.change import note_change
from app.checks import beneath, name_of, within
from app.contracts import editing, history, overlaps, reading, routing, service
from app.contracts.tables import Contract, ContractEditRow
from app.errors import ErrorCode, InvalidInput
from app.invoices import edited_parts, ending
from app.providers import ProviderDirectory
from app.store import ids, unique

UPDATE = ("input", "addBillingConfigurationUpdate")


@dataclass(frozen=True, slots=True)
class ContractEdit:
    """What one edit changes. `head` has `name`, `net_payment_terms_days`, `ending_before` and
    `billing_configuration_id`; what it lacks stays. `route` says where invoices go from a period on. `amends_from` is the
    start of an amendment, which only adds.
    """

    terms: editing.TermsEdit = field(default_factory=editing.TermsEdit)
    parts: edited_parts.PartsEdit = field(default_factory=edited_parts.PartsEdit)
    head: Mapping[str, Any] = field(default_factory=dict[str, Any])
    route: routing.RouteUpdate | None = None
    allow_ending_before_invoice: bool = True
    uniqueness_key: str | None = None
    amends_from: datetime | None = None


@dataclass(frozen=True, slots=True)
class EditedContract:
    """The contract, the record of its edit, and what the caller should know about it in words for people."""

    contract: Contract
    record: ContractEditRow
    warnings: tuple[str, ...]


async def edit_contract(
    session: AsyncSession,
    directory: ProviderDirectory,
    contract_id: UUID,
    edit: ContractEdit,
    *,
    actor: Actor,
    revision: int | None = None,
    now: datetime,
) -> EditedContract:
    """Carry out an edit. The end moves first, so what is added meets the new one and is not cut by it.

    Errors: `NotFound`, ARCHIVED, STALE_REVISION, REQUIRED for an edit of nothing, UNIQUENESS_KEY_CONFLICT naming the
    first edit, and those of `edit_terms`, of `edited_parts`, of `update_end_date`, of `set_billing_configuration` and of
    `update_route`, each with the path of its entry.
    """
    contract = await reading.changeable_contract(session, contract_id, revision=revision)
    before, counted = reading.shown(contract), contract.revision
    async with unique.once(session, ContractEditRow, edit.uniqueness_key):
        changes, warnings = await _edit_head(session, directory, contract, edit, now=now)
        if edit.route is not None:
            row = await routing.update_route(session, directory, contract, edit.route, path=UPDATE, now=now)
            changes["billingConfigurationUpdate"] = routing.shown_update(row)
        await edited_parts.take_out(session, contract, edit.parts, now=now)
        changes |= await editing.edit_terms(session, directory, contract, edit.terms, now=now)
        await edited_parts.change(session, directory, contract, edit.parts, now=now)
        changes |= edit.parts.counted()
        if not changes:
            raise InvalidInput(ErrorCode.REQUIRED, "Name something to change.", path=("input",))
        contract.revision = counted + 1
        [record] = await history.keep_changes(
            session, actor, action="contract.edit" if edit.amends_from is None else "contract.amend", now=now,
            contract_id=contract.id, uniqueness_key=edit.uniqueness_key, amends_from=edit.amends_from,
        )  # fmt: skip
    warnings += await overlaps.double_billing(session, contract)
    note_change(
        session, "contract", contract.id, before=before,
        after=reading.shown(contract) | {"edit": ids.to_text("contract_edit", record.id), "changes": changes},
    )  # fmt: skip
    return EditedContract(contract, record, tuple(warnings))


async def _edit_head(
    session: AsyncSession, directory: ProviderDirectory, contract: Contract, edit: ContractEdit, *, now: datetime
) -> tuple[dict[str, object], list[str]]:
    changes: dict[str, object] = {}
    warnings: list[str] = []
    if "name" in edit.head:
        name = edit.head["name"]
        contract.name = None if name is None else name_of(name, path=("input", "name"))
        changes["name"] = contract.name
    if "net_payment_terms_days" in edit.head:
        days = edit.head["net_payment_terms_days"]
        if days is not None:
            within(days, low=0, high=service.MAX_TERMS_DAYS, path=("input", "netPaymentTermsDays"))
        contract.net_payment_terms_days = days
        changes["netPaymentTermsDays"] = days
    await session.flush()
    if "billing_configuration_id" in edit.head:
        with beneath(("input",)):
            await service.set_billing_configuration(
                session, directory, contract.id, edit.head["billing_configuration_id"], now=now
            )
        changes["billingConfiguration"] = reading.shown(contract)["billingConfiguration"]
    if "ending_before" in edit.head:
        with beneath(("input",)):
            _, warnings = await ending.update_end_date(
                session, contract.id, edit.head["ending_before"],
                allow_ending_before_invoice=edit.allow_ending_before_invoice,
            )  # fmt: skip
        end = contract.ending_before
        changes["endingBefore"] = None if end is None else end.isoformat()
    return changes, warnings
