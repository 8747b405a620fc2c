"""Where a contract's prices and its invoices' way to a provider come from, and whether they fit together.

Owns the two checks on a contract's surroundings: the currency of its rate card, and the billing configuration that
takes it. An invoice that no provider would take is found when the contract is made, not at the end of the month.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy import inspect
from sqlalchemy.ext.asyncio import AsyncSession

from app.catalog import aliases, reading
from app.catalog.tables import RateCard
from app.checks import Path, currency_of
from app.contracts import billed_units, family
from app.contracts.tables import Contract
from app.core.hierarchy import Payer
from app.customers import billing, routes
from app.customers.tables import BillingConfiguration
from app.errors import ErrorCode, InvalidInput
from app.providers import ProviderDirectory


async def chosen_card(
    session: AsyncSession, rate_card_id: UUID | None, alias: str | None, *, at: datetime
) -> UUID | None:
    """The card that is named by its id, or by the alias that it has at an instant."""
    if alias is None:
        return rate_card_id
    path = ("input", "rateCardAlias")
    if rate_card_id is not None:
        raise InvalidInput(ErrorCode.INVALID, "Name the rate card by its id or by an alias, not by both.", path=path)
    return (await aliases.resolve_alias(session, alias, at=at, path=path)).id


async def currency_for(session: AsyncSession, rate_card_id: UUID | None, currency: str | None) -> str:
    """The card's currency wins; without a card the contract names its own."""
    path = ("input", "currency")
    if currency is not None:
        currency_of(currency, path=path)
    if rate_card_id is None:
        if currency is None:
            raise InvalidInput(ErrorCode.REQUIRED, "A contract without a rate card needs a currency.", path=path)
        return currency
    card = await reading.get(session, RateCard, rate_card_id, path=("input", "rateCardId"))
    reading.refuse_archived(card, path=("input", "rateCardId"))
    if currency not in (None, card.currency):
        raise InvalidInput(
            ErrorCode.CURRENCY_MISMATCH,
            f"The rate card prices in {card.currency}, not in {currency}; leave the currency out.",
            path=path,
        )
    return card.currency


async def check_route(
    session: AsyncSession,
    directory: ProviderDirectory,
    contract: Contract,
    *,
    configuration_id: UUID | None,
    path: Path,
    more_currencies: Iterable[str] = (),
) -> None:
    """A choice, or without one the default, is the customer's own and takes the contract's currency.

    So it does for the currencies of its charges and of what its balances ask for, the stored ones and
    `more_currencies`. Where the parent pays it is the parent's. No contract of a hierarchy goes to a marketplace.
    """
    if contract.payer == Payer.PARENT:
        if configuration_id is not None:
            raise InvalidInput(
                ErrorCode.INVALID,
                "The parent pays for the contract, so its invoices go where the parent's go; name no configuration, or let "
                "the payer be SELF.",
                path=path,
            )
        chosen = await routes.routes_from(session, contract, contract.starting_at)
    elif configuration_id is None:
        chosen = [await routes.default_configuration(session, contract.customer_id)]
    else:
        chosen = [await _own(session, contract, configuration_id, path=path)]
    await _check_fit(session, directory, contract, chosen, path=path, more_currencies=more_currencies)


async def check_routes(
    session: AsyncSession,
    directory: ProviderDirectory,
    contract: Contract,
    *,
    path: Path,
    more_currencies: Iterable[str] = (),
    now: datetime,
) -> None:
    """The choices of a contract from now on take what was added to it, as `check_route` asks of each."""
    chosen = await routes.routes_from(session, contract, now)
    await _check_fit(session, directory, contract, chosen, path=path, more_currencies=more_currencies)


async def _check_fit(
    session: AsyncSession,
    directory: ProviderDirectory,
    contract: Contract,
    chosen: Iterable[BillingConfiguration | None],
    *,
    path: Path,
    more_currencies: Iterable[str],
) -> None:
    stored = set[str]()
    if inspect(contract).persistent:
        stored = await billed_units.billed_units(session, contract)
    for configuration in chosen:
        if configuration is None:
            continue
        if directory.is_metered(configuration.provider) and await family.is_in_hierarchy(session, contract):
            raise routes.no_marketplace(contract, configuration.provider, path=path)
        for currency in sorted({contract.currency, *more_currencies, *stored}):
            if not directory.takes_currency(configuration.provider, currency):
                raise InvalidInput(
                    ErrorCode.CURRENCY_MISMATCH,
                    f"{configuration.provider} takes no invoices in {currency}; choose another billing configuration.",
                    path=path,
                )


async def _own(
    session: AsyncSession, contract: Contract, configuration_id: UUID, *, path: Path
) -> BillingConfiguration:
    chosen = await routes.get_configuration(session, configuration_id, path=path)
    if chosen.customer_id != contract.customer_id:
        raise InvalidInput(
            ErrorCode.PROVIDER_NOT_CONFIGURED, "The billing configuration belongs to another customer.", path=path
        )
    if chosen.archived_at is not None:
        raise billing.archived(chosen, path=path)
    return chosen
