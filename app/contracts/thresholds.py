"""Threshold billing of a contract: what is watched, and what is bought when it is reached.

Owns the rules of semantics 4.11 about the configuration, and its rows. Whether a threshold is reached is decided above,
in the invoices slice, which knows drafts and balances; a change asks for that by a job.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.change import note_change
from app.checks import Path
from app.contracts import collecting, reading, threshold_reading, threshold_rules
from app.contracts.tables import Contract, ThresholdRow
from app.core.money import canonical
from app.core.overrides import specifier_to_json
from app.core.thresholds import ThresholdKind
from app.errors import ErrorCode, InvalidInput, NotFound
from app.grants import references
from app.providers import ProviderDirectory
from app.store.ids import to_text


async def set_threshold(
    session: AsyncSession,
    directory: ProviderDirectory,
    contract_id: UUID,
    entry: threshold_rules.NewThreshold,
    *,
    revision: int | None = None,
    now: datetime,
) -> Contract:
    """Set what a contract watches, in place of what it watched of that kind. It is evaluated at once.

    Errors: `NotFound`, ARCHIVED, STALE_REVISION, and those of `insert_threshold` and `check_collecting`.
    """
    contract = await reading.changeable_contract(session, contract_id, revision=revision)
    before = await threshold_reading.threshold_of(session, contract.id, entry.kind)
    shown_before = None if before is None else shown_threshold(before)
    row = await insert_threshold(session, contract, entry, path=("input",), now=now)
    await collecting.check_collecting(session, directory, contract, path=("input",), since=now)
    contract.revision += 1
    await session.flush()
    name = f"{entry.kind.lower()}Threshold"
    note_change(session, "contract", contract.id, before={name: shown_before}, after={name: shown_threshold(row)})
    return contract


async def remove_threshold(
    session: AsyncSession, contract_id: UUID, kind: ThresholdKind, *, revision: int | None = None, now: datetime
) -> Contract:
    """Let a contract watch a threshold no more; what it bought stays. Errors: `NotFound`, ARCHIVED, STALE_REVISION."""
    contract = await reading.changeable_contract(session, contract_id, revision=revision)
    row = await threshold_reading.threshold_of(session, contract.id, kind)
    if row is None:
        raise NotFound("Threshold", kind, path=("kind",))
    row.removed_at = now
    contract.revision += 1
    await session.flush()
    name = f"{kind.lower()}Threshold"
    note_change(session, "contract", contract.id, before={name: shown_threshold(row)}, after={name: None})
    return contract


async def insert_thresholds(
    session: AsyncSession,
    contract: Contract,
    entries: Sequence[threshold_rules.NewThreshold],
    *,
    path: Path,
    now: datetime,
) -> list[ThresholdRow]:
    """Check and store some, one of each kind. Errors: those of `insert_threshold`, INVALID for two of a kind."""
    kinds = [entry.kind for entry in entries]
    for index, kind in enumerate(kinds):
        if kind in kinds[:index]:
            text = f"{kind} comes twice; a contract watches one of each kind."
            raise InvalidInput(ErrorCode.INVALID, text, path=(*path, str(index), "kind"))
    return [
        await insert_threshold(session, contract, entry, path=(*path, str(index)), now=now)
        for index, entry in enumerate(entries)
    ]


async def insert_threshold(
    session: AsyncSession, contract: Contract, entry: threshold_rules.NewThreshold, *, path: Path, now: datetime
) -> ThresholdRow:
    """Check and store one; the one of its kind before is removed and stays for what it bought.

    Errors: INVALID, REQUIRED, `NotFound`, CURRENCY_MISMATCH for a unit that the contract's card does not convert, and
    those of a commit's scope.
    """
    unit = entry.unit or contract.currency
    threshold_rules.check_threshold(entry, unit, contract, path=path)
    await references.check_sold_as(session, entry.product_id, path=(*path, "productId"))
    await references.check_scope(session, entry.scope, path=path)
    if unit != contract.currency and await threshold_reading.rate_of(session, contract, unit) is None:
        raise InvalidInput(
            ErrorCode.CURRENCY_MISMATCH,
            f"The contract is in {contract.currency}, and its rate card converts no {unit[:40]!r}.",
            path=(*path, "unit"),
        )
    before = await threshold_reading.threshold_of(session, contract.id, entry.kind)
    if before is not None:
        before.removed_at = now
        await session.flush()
    row = ThresholdRow(
        created_at=now, contract_id=contract.id, kind=entry.kind, is_enabled=entry.is_enabled, amount=entry.amount,
        recharge_to=entry.recharge_to, unit=unit, product_id=entry.product_id, name=entry.name,
        description=entry.description, priority=entry.priority,
        product_ids=[str(product_id) for product_id in entry.scope.product_ids], tags=list(entry.scope.tags),
        specifiers=[specifier_to_json(specifier) for specifier in entry.scope.specifiers],
        access_months=entry.access_months or 12, gate=entry.gate,
    )  # fmt: skip
    session.add(row)
    await session.flush()
    if row.is_enabled:
        await threshold_reading.ask_to_evaluate(session, contract.id)
    return row


def shown_threshold(row: ThresholdRow) -> dict[str, object]:
    """What the audit log keeps of a threshold."""
    return {
        "isEnabled": row.is_enabled,
        "amount": canonical(row.amount),
        "rechargeTo": None if row.recharge_to is None else canonical(row.recharge_to),
        "unit": row.unit,
        "product": to_text("product", row.product_id),
        "accessMonths": row.access_months,
        "gate": row.gate,
        "stoppedBecause": row.stopped_because,
    }
