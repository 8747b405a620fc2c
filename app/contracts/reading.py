"""Finds contracts for a change, and says what the audit log keeps of them.

Owns the way to a contract's row: a change takes the customer's lock first and meets the row as it is now, and an
archived contract takes no changes.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.checks import public_name
from app.contracts.family import lock_family
from app.contracts.tables import Contract
from app.errors import ErrorCode, InvalidState, NotFound
from app.store.ids import to_text


async def changeable_contract(session: AsyncSession, contract_id: UUID, *, revision: int | None = None) -> Contract:
    """The contract, under its customer's lock, with those of its customer's parents, and as it is now.

    Errors: `NotFound`, ARCHIVED, STALE_REVISION when a revision is given and is not the contract's.
    """
    contract = await session.get(Contract, contract_id)
    if contract is None:
        raise NotFound("Contract", to_text("contract", contract_id), path=("id",))
    await lock_family(session, contract.customer_id)
    await session.refresh(contract)
    if contract.archived_at is not None:
        raise InvalidState(
            ErrorCode.ARCHIVED, f"Contract {to_text('contract', contract.id)} is archived and takes no changes; make a new one.", path=("id",),
            conflicting=contract,
        )  # fmt: skip
    if revision not in (None, contract.revision):
        raise InvalidState(
            ErrorCode.STALE_REVISION,
            f"The contract is at revision {contract.revision}, not {revision}; read it again.",
            path=("revision",),
            conflicting=contract,
        )
    return contract


def shown(contract: Contract) -> dict[str, object]:
    """What the audit log keeps of a contract."""
    plain = contract.model_dump(mode="json", exclude={"id", "created_at", "uniqueness_key"})
    plain["customer"] = to_text("customer", contract.customer_id)
    for field, kind in (
        ("rate_card", "rate_card"),
        ("billing_configuration", "billing_configuration"),
        ("package", "package"),
        ("parent", "contract"),
    ):
        chosen = getattr(contract, f"{field}_id")
        plain[field] = None if chosen is None else to_text(kind, chosen)
        del plain[f"{field}_id"]
    del plain["customer_id"]
    return {public_name(name): value for name, value in sorted(plain.items())}
