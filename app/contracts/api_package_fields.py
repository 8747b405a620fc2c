"""What a package may not say of custom fields.

Owns the refusal of a value that its contracts could not share.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from app.checks import Path
from app.contracts.api_inputs import ContractCreateInput
from app.core.grants import GrantType
from app.custom_fields.entities import Entity
from app.custom_fields.keys import unique_keys
from app.errors import ErrorCode, InvalidInput
from app.graphql.values import KeyValueInput


async def refuse_unique(session: AsyncSession, found: ContractCreateInput) -> None:
    """Refuse a key that allows each value once: only the first contract of a package could be made. Error: INVALID."""
    named = list(_named(found))
    if not named:
        return
    unique = await unique_keys(session)
    for path, entity, values in named:
        for pair in values:
            if (entity, pair.key) in unique:
                raise InvalidInput(
                    ErrorCode.INVALID,
                    f"{pair.key[:100]!r} is unique, and every contract of the package would have the same value; set it on "
                    "what each contract has instead.",
                    path=(*path, "customFields", pair.key[:100]),
                )


def _named(found: ContractCreateInput) -> Iterator[tuple[Path, Entity, Sequence[KeyValueInput]]]:
    """Where values are named, and whose keys they have; what recurs is refused by its own rule."""
    if found.custom_fields:
        yield ("input",), Entity.CONTRACT, found.custom_fields
    for index, balance in enumerate(found.balances):
        entity = Entity.CREDIT if balance.kind is GrantType.CREDIT else Entity.COMMIT
        if balance.custom_fields:
            yield ("input", "balances", str(index)), entity, balance.custom_fields
    for index, subscription in enumerate(found.subscriptions):
        if subscription.custom_fields:
            yield ("input", "subscriptions", str(index)), Entity.SUBSCRIPTION, subscription.custom_fields
    for index, charge in enumerate(found.scheduled_charges):
        if charge.custom_fields:
            yield ("input", "scheduledCharges", str(index)), Entity.SCHEDULED_CHARGE, charge.custom_fields
