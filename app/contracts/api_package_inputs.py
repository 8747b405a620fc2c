"""What callers send to make packages.

Owns the GraphQL input, what is kept of it, and its trial: a package of which no contract could be made is refused, by
the rules of a contract and with the path in the package.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

import strawberry

from app.catalog.alias_schedules import NewAlias
from app.catalog.api_card_inputs import RateCardAliasInput, new_alias
from app.checks import Path, name_of, public_name, within
from app.contracts.api_added_terms import ContractTermsInput
from app.contracts.api_overrides import OverridePriority
from app.contracts.api_package_types import PackageBillingAnchor
from app.contracts.api_relative import CalendarSpanInput, form_of, relative
from app.contracts.api_standing import StatementScheduleInput
from app.contracts.package_dates import LASTS, OFFSET, BillingAnchor
from app.graphql.scalars import CurrencyCode
from app.graphql.values import KeyValueInput

PackageContractTermsInput = relative(ContractTermsInput)
PackageStatementScheduleInput = relative(StatementScheduleInput)
MAX_SPAN = 1_000
APART = frozenset(
    {"name", "contract_name", "provider", "connection", "billing_anchor", "terms", "aliases", "uniqueness_key"}
)
"""Fields of the package itself, or kept otherwise than they are sent."""


@strawberry.input(description="A name to give to a package.")
class PackageAliasInput(RateCardAliasInput):
    pass


@strawberry.input(description="A new package: what a contract of it agrees on, with dates told from its start.")
class PackageCreateInput:
    name: str = strawberry.field(description="What people call it, 1 to 200 characters; never shown to end customers.")
    contract_name: str | None = strawberry.field(
        default=None, description="The name of contracts that are made of it, 1 to 200 characters."
    )
    duration: CalendarSpanInput | None = strawberry.field(
        default=None, description="How long contracts of it hold; default: without an end."
    )
    rate_card_id: strawberry.ID | None = strawberry.field(default=None, description="The prices that contracts use.")
    rate_card_alias: str | None = strawberry.field(
        default=None, description="Instead of its id: an alias that a card has now, looked up when a contract is made."
    )
    currency: CurrencyCode | None = strawberry.field(
        default=None, description="Currency of invoices; the card's own, and needed only without a card."
    )
    terms: PackageContractTermsInput = strawberry.field(  # type: ignore[valid-type]
        default_factory=PackageContractTermsInput, description="Its terms; they meet the rules of those of a contract."
    )
    statement: PackageStatementScheduleInput | None = strawberry.field(  # type: ignore[valid-type]
        default=None, description="When usage statements begin and end; default: calendar months."
    )
    grace_hours: int = strawberry.field(default=24, description="As of a contract, 0 to 2,160.")
    priority: int = strawberry.field(default=100, description="As of a contract.")
    net_payment_terms_days: int | None = strawberry.field(default=None, description="As of a contract.")
    override_priority: OverridePriority = strawberry.field(  # type: ignore[valid-type]
        default=OverridePriority.LOWEST_MULTIPLIER, description="As of a contract."
    )
    consolidate_scheduled_charges: bool = strawberry.field(default=False, description="As of a contract.")
    custom_fields: list[KeyValueInput] = strawberry.field(
        default_factory=list, description="Values that contracts of it get, whose keys are registered for contracts."
    )
    provider: str | None = strawberry.field(
        default=None,
        description="Contracts of it go through this provider, of which their customer then has exactly one billing "
        "configuration; default: as the customer chose.",
    )
    connection: str | None = strawberry.field(
        default=None,
        description="Of that provider the account by its name in the file of connections, which says how invoices are "
        "delivered; needed where customers have configurations of several.",
    )
    billing_anchor: PackageBillingAnchor = strawberry.field(  # type: ignore[valid-type]
        default=BillingAnchor.CONTRACT_START_DATE,
        description="From when offsets and durations are counted; those of `statement` always from the contract's start.",
    )
    aliases: list[PackageAliasInput] = strawberry.field(
        default_factory=list, description="Names by which contracts find it, at most 200."
    )
    uniqueness_key: str | None = strawberry.field(
        default=None, description="Makes the create safe to repeat: a second use is refused and names the first object."
    )


def definition_of(found: PackageCreateInput) -> dict[str, Any]:
    """What is kept: the input of a contract's create, with offsets and durations. INVALID for a span beyond 1,000."""
    if found.contract_name is not None:
        name_of(found.contract_name, path=("input", "contractName"))
    for path, value in _spans(form_of(found), ("input",)):
        within(value, low=0, high=MAX_SPAN, path=(*path, "value"))
    own = {field.name: getattr(found, field.name) for field in fields(found) if field.name not in APART}
    form = {public_name(name): form_of(value) for name, value in own.items() if value is not None}
    named = {} if found.contract_name is None else {"name": found.contract_name}
    return {**named, **form, **form_of(found.terms)}


def alias_of(found: PackageAliasInput) -> NewAlias:
    """A name as the service takes it."""
    return new_alias(found)


def _spans(form: Any, path: Path) -> Iterator[tuple[Path, int]]:
    if isinstance(form, list):
        for index, item in enumerate(form):
            yield from _spans(item, (*path, str(index)))
    elif isinstance(form, Mapping):
        for name, value in form.items():
            if isinstance(value, Mapping) and (name in LASTS or name.endswith(OFFSET)):
                yield (*path, name), value["value"]
            else:
                yield from _spans(value, (*path, name))
