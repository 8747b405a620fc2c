"""Billing configurations: the customer's side of a provider account, one of them the customer's default.

Owns which provider a customer can be billed through. A contract picks one of them or leaves it to the default; what a
provider needs to know is checked by its connector, behind the directory.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.change import note_change
from app.checks import Path, at_most, text_of
from app.customers.defaults import (
    refuse_metered_default,
    refuse_move_within_a_statement,
    refuse_other_currencies,
)
from app.customers.reading import changeable_customer
from app.customers.routes import (
    default_configuration,
    get_configuration,
    refuse_if_named,
)
from app.customers.tables import BillingConfiguration
from app.errors import ErrorCode, InvalidState
from app.providers import ProviderDirectory
from app.store.ids import to_text
from app.store.locks import lock_customer
from app.store.unique import once

MAX_SETTINGS = 50


async def create_billing_configuration(
    session: AsyncSession,
    directory: ProviderDirectory,
    *,
    customer_id: UUID,
    provider: str,
    connection: str | None = None,
    settings: Mapping[str, str],
    is_default: bool = False,
    uniqueness_key: str | None = None,
    now: datetime,
) -> BillingConfiguration:
    """A new configuration; made the default, it takes the place of the earlier default.

    Errors: PROVIDER_NOT_CONFIGURED, INVALID with every problem of the settings, `NotFound`, ARCHIVED, `Conflict`,
    NOT_SUPPORTED for a marketplace that would become the default of a contract in a hierarchy, CURRENCY_MISMATCH for one
    that does not take the currency of a contract which would follow it, ILLEGAL_TRANSITION where a contract would come to a
    marketplace, or leave it, within a statement.
    """
    path = ("input", "settings")
    at_most(settings, MAX_SETTINGS, path=path)
    settings = {
        text_of(key, path=path, longest=128): text_of(value, path=(*path, key[:60]), longest=2_000)
        for key, value in settings.items()
    }
    resolved = directory.resolve(provider, connection, settings)
    await changeable_customer(session, customer_id, path=("input", "customerId"))
    row = BillingConfiguration(
        created_at=now,
        customer_id=customer_id,
        provider=provider,
        connection=resolved,
        settings=dict(settings),
        is_default=is_default,
        uniqueness_key=uniqueness_key,
    )
    if is_default:
        await refuse_other_currencies(session, directory, customer_id, provider, path=("input", "isDefault"))
    if is_default and directory.is_metered(provider):
        await refuse_metered_default(session, customer_id, provider, path=("input", "isDefault"))
    if is_default:
        await refuse_move_within_a_statement(
            session, directory, customer_id, to_provider=provider, path=("input", "isDefault"), now=now
        )
    async with once(session, BillingConfiguration, uniqueness_key):
        earlier = await default_configuration(session, customer_id) if is_default else None
        if earlier is not None:
            earlier.is_default = False
            await session.flush()
        session.add(row)
        await session.flush()
    before = None if earlier is None else {"default": to_text("billing_configuration", earlier.id)}
    note_change(session, "billing_configuration", row.id, before=before, after=_shown(row))
    return row


async def archive_billing_configuration(
    session: AsyncSession, directory: ProviderDirectory, configuration_id: UUID, *, now: datetime
) -> BillingConfiguration:
    """Use a configuration no more; invoices that are final already are still delivered through it.

    Errors: `NotFound`, ARCHIVED, or ILLEGAL_TRANSITION while a contract names it, or follows it as the default to a
    marketplace: falling back to another provider behind its back could bill its customer in the wrong place.
    """
    row = await get_configuration(session, configuration_id)
    await lock_customer(session, row.customer_id)
    await session.refresh(row)
    if row.archived_at is not None:
        raise archived(row, path=("id",))
    await refuse_if_named(session, row, path=("id",), now=now)
    if row.is_default:
        await refuse_move_within_a_statement(
            session, directory, row.customer_id, to_provider=None, path=("id",), now=now
        )
    before = _shown(row)
    row.archived_at = now
    row.is_default = False
    await session.flush()
    note_change(session, "billing_configuration", row.id, before=before, after=_shown(row))
    return row


async def change_settings(
    session: AsyncSession, configuration_id: UUID, settings: Mapping[str, str]
) -> BillingConfiguration:
    """What the provider itself has changed of the customer's side, such as the plan of a subscription.

    Slots and documents that were frozen before keep what they were frozen with.
    """
    row = await get_configuration(session, configuration_id)
    await lock_customer(session, row.customer_id)
    await session.refresh(row)
    row.settings = {**row.settings, **settings}
    await session.flush()
    return row


def archived(row: BillingConfiguration, *, path: Path) -> InvalidState:
    """The error that an archived configuration takes no changes and no contracts."""
    text = to_text("billing_configuration", row.id)
    return InvalidState(
        ErrorCode.ARCHIVED,
        f"Billing configuration {text} is archived; make another one for the customer.",
        path=path,
        conflicting=row,
    )


def _shown(row: BillingConfiguration) -> dict[str, object]:
    """What the audit log keeps of a configuration."""
    return {
        "customer": to_text("customer", row.customer_id),
        "provider": row.provider,
        "connection": row.connection,
        "settings": dict(row.settings),
        "isDefault": row.is_default,
        "archivedAt": None if row.archived_at is None else row.archived_at.isoformat(),
    }
