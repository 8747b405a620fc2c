"""The way of a package's contracts to a provider.

Owns which billing configuration of a customer a package means, and that a package names a way that there is.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.contracts import billed_units
from app.contracts.tables import Contract, PackageRow
from app.customers.tables import BillingConfiguration
from app.errors import ErrorCode, InvalidInput
from app.providers import ProviderDirectory


@dataclass(frozen=True, slots=True)
class PackageWay:
    """Through whose configuration contracts of a package go: a provider's, or that of one of its accounts."""

    provider: str | None = None
    connection: str | None = None


async def matching_configuration(session: AsyncSession, row: PackageRow, customer_id: UUID) -> UUID | None:
    """The one configuration of the customer that goes the package's way; None for a package that names no provider.

    Error: PROVIDER_NOT_CONFIGURED when the customer has none, or several.
    """
    if row.provider is None:
        return None
    fitting = select(BillingConfiguration.id).where(
        BillingConfiguration.customer_id == customer_id,
        BillingConfiguration.provider == row.provider,
        col(BillingConfiguration.archived_at).is_(None),
    )
    if row.connection is not None:
        fitting = fitting.where(BillingConfiguration.connection == row.connection)
    matching = (await session.scalars(fitting)).all()
    if len(matching) != 1:
        raise InvalidInput(
            ErrorCode.PROVIDER_NOT_CONFIGURED,
            f"The package is billed through {row.connection or row.provider}, of which the customer has "
            f"{len(matching) or 'no'} billing configurations; it needs exactly one.",
            path=("input", "customerId"),
        )
    return matching[0]


def check_account(directory: ProviderDirectory, way: PackageWay) -> None:
    """A package goes through a provider of this deployment. Errors: PROVIDER_NOT_CONFIGURED, INVALID for an account alone."""
    if way.connection is not None and way.provider is None:
        raise InvalidInput(
            ErrorCode.INVALID, "An account goes with its provider; name that too.", path=("input", "connection")
        )
    if way.provider is None or directory.has_account(way.provider, way.connection):
        return
    name = "provider" if way.connection is None else "connection"
    raise InvalidInput(
        ErrorCode.PROVIDER_NOT_CONFIGURED,
        f"{(way.connection or way.provider)[:40]!r} names no account of this deployment"
        f"{'' if way.connection is None else f' at {way.provider[:40]}'}; no contract of the package could be billed.",
        path=("input", name),
    )


async def check_currencies(
    session: AsyncSession, directory: ProviderDirectory, way: PackageWay, contract: Contract
) -> None:
    """The package's provider takes what a contract of it is billed in. Error: CURRENCY_MISMATCH."""
    if way.provider is None:
        return
    for currency in sorted({contract.currency, *await billed_units.billed_units(session, contract)}):
        if not directory.takes_currency(way.provider, currency):
            raise InvalidInput(
                ErrorCode.CURRENCY_MISMATCH,
                f"{way.provider} takes no invoices in {currency}; choose another provider.",
                path=("input", "provider"),
            )
