"""Customers, their aliases and billing configurations in GraphQL: what can be read and done.

Owns the fields and inputs; how the objects look is in `api_types.py`, and the rules are in the services.
"""

from __future__ import annotations

from typing import Annotated, Any

import strawberry
from sqlalchemy import Select, or_, select

from app.custom_fields.api_filters import DESCRIPTION, Entity, custom_fields_in, with_custom_fields
from app.customers import aliases, billing, service, tables
from app.customers.api_orders import CustomerOrder, sorted_page
from app.customers.api_types import BillingConfiguration, Customer
from app.errors import ErrorCode, InvalidInput
from app.graphql.connection import After, Connection, First
from app.graphql.context import Info
from app.graphql.fields import mutation_field, query_field
from app.graphql.nodes import load_node
from app.graphql.payload import Payload
from app.graphql.values import KeyValueInput
from app.store import ids

ID = Annotated[strawberry.ID, strawberry.argument(description="Id of the customer.")]
ConfigurationID = Annotated[strawberry.ID, strawberry.argument(description="Id of the billing configuration.")]
CUSTOMERS = tables.Customer.__table__.c  # type: ignore[attr-defined]
ALIASES = tables.IngestAlias.__table__.c  # type: ignore[attr-defined]


@strawberry.input(description="Which customers to list; conditions add up.")
class CustomerFilter:
    search: str | None = strawberry.field(
        default=None, description="Part of the name in any case, or the beginning of an external id or alias."
    )
    external_id: str | None = strawberry.field(default=None, description="Exactly this external id.")
    include_archived: bool = strawberry.field(default=False, description="Archived customers too.")
    custom_fields: list[KeyValueInput] = strawberry.field(default_factory=list, description=DESCRIPTION)


@strawberry.input(description="A new customer.")
class CustomerCreateInput:
    name: str = strawberry.field(description="Its name, 1 to 200 characters.")
    external_id: str | None = strawberry.field(
        default=None, description="Your own id for it, at most 128 characters; counts as an ingest alias."
    )
    ingest_aliases: list[str] = strawberry.field(
        default_factory=list, description="References under which its usage arrives; at most 2,000."
    )
    custom_fields: list[KeyValueInput] = strawberry.field(
        default_factory=list, description="Values of its custom fields, whose keys are registered."
    )
    uniqueness_key: str | None = strawberry.field(
        default=None, description="Makes the create safe to repeat: a second use is refused and names the first object."
    )


@strawberry.input(description="What to change about a customer.")
class CustomerUpdateInput:
    name: str = strawberry.field(description="Its new name, 1 to 200 characters.")


@strawberry.input(description="A customer's side of one provider account.")
class BillingConfigurationCreateInput:
    customer_id: strawberry.ID = strawberry.field(description="Whose configuration it is.")
    provider: str = strawberry.field(description="Name of the provider, such as stripe or aws_marketplace.")
    connection: str | None = strawberry.field(
        default=None, description="Name of our account at the provider; default: the only one."
    )
    settings: list[KeyValueInput] = strawberry.field(
        description="What the provider needs to know about the customer, such as stripeCustomerId."
    )
    is_default: bool = strawberry.field(
        default=False,
        description="Use it for contracts without a choice of their own, in place of the earlier default.",
    )
    uniqueness_key: str | None = strawberry.field(
        default=None, description="Makes the create safe to repeat: a second use is refused and names the first object."
    )


@strawberry.type(description="Answer to a mutation of a customer.")
class CustomerPayload(Payload):
    customer: Customer | None = strawberry.field(default=None, description="The customer; null after an error.")


@strawberry.type(description="Answer to a mutation of a billing configuration.")
class BillingConfigurationPayload(Payload):
    billing_configuration: BillingConfiguration | None = strawberry.field(
        default=None, description="The configuration; null after an error."
    )


@strawberry.type
class CustomersQuery:
    @query_field(
        scope="customers:read",
        description="One customer, by its id or by your own; null when there is none.",
        for_customers=True,
    )
    async def customer(
        self,
        info: Info,
        id: Annotated[strawberry.ID | None, strawberry.argument(description="Its id.")] = None,
        external_id: Annotated[str | None, strawberry.argument(description="Your own id for it.")] = None,
    ) -> Customer | None:
        if (id is None) is (external_id is None):
            raise InvalidInput(ErrorCode.INVALID, "Give either id or externalId.", path=("id",))
        if id is not None:
            row = await load_node(info.context, id)
            return row if isinstance(row, tables.Customer) else None  # type: ignore[return-value]
        statement = _narrowed(info, select(tables.Customer).where(CUSTOMERS.external_id == external_id))
        return (await info.context.session.execute(statement)).scalar_one_or_none()

    @query_field(scope="customers:read", description="Customers, by name unless asked otherwise.", for_customers=True)
    async def customers(
        self,
        info: Info,
        filter: Annotated[CustomerFilter | None, strawberry.argument(description="Which customers.")] = None,
        order_by: Annotated[CustomerOrder | None, strawberry.argument(description="How to sort them.")] = None,
        first: First = 25,
        after: After = None,
    ) -> Connection[Customer]:
        wanted = filter or CustomerFilter()
        found = _filtered(_narrowed(info, select(tables.Customer)), wanted)
        found = await with_custom_fields(info, found, Entity.CUSTOMER, CUSTOMERS.id, wanted.custom_fields)
        return await sorted_page(info, found, order_by, first=first, after=after)


def _narrowed(info: Info, statement: Select[Any]) -> Select[Any]:
    """A customer's own token finds that customer and no other."""
    own = info.context.actor.customer_id
    return statement if own is None else statement.where(CUSTOMERS.id == own)


def _filtered(statement: Select[Any], wanted: CustomerFilter) -> Select[Any]:
    if not wanted.include_archived:
        statement = statement.where(CUSTOMERS.archived_at.is_(None))
    if wanted.external_id is not None:
        statement = statement.where(CUSTOMERS.external_id == wanted.external_id)
    if wanted.search:
        # The external id is an alias as well, so one list of references covers both.
        holders = select(ALIASES.customer_id).where(ALIASES.alias.startswith(wanted.search, autoescape=True))
        statement = statement.where(
            or_(CUSTOMERS.name.icontains(wanted.search, autoescape=True), CUSTOMERS.id.in_(holders))
        )
    return statement


@strawberry.type
class CustomersMutation:
    @mutation_field(scope="customers:write", action="customer.create", description="Make a customer.")
    async def customer_create(
        self, info: Info, input: Annotated[CustomerCreateInput, strawberry.argument(description="The new customer.")]
    ) -> CustomerPayload:
        row = await service.create_customer(
            info.context.session,
            name=input.name,
            external_id=input.external_id,
            ingest_aliases=input.ingest_aliases,
            custom_fields=custom_fields_in(input.custom_fields),
            uniqueness_key=input.uniqueness_key,
            now=info.context.now,
        )
        return CustomerPayload(customer=row)  # type: ignore[arg-type]

    @mutation_field(scope="customers:write", action="customer.update", description="Rename a customer.")
    async def customer_update(
        self,
        info: Info,
        id: ID,
        input: Annotated[CustomerUpdateInput, strawberry.argument(description="What to change.")],
    ) -> CustomerPayload:
        customer_id = ids.from_text("customer", id, path=("id",))
        row = await service.update_customer(info.context.session, customer_id, name=input.name, now=info.context.now)
        return CustomerPayload(customer=row)  # type: ignore[arg-type]

    @mutation_field(
        scope="customers:write",
        action="customer.set_ingest_aliases",
        description="Replace all ingest aliases of a customer; usage that came under them moves along. "
        "The external id stays an alias in any case.",
    )
    async def customer_set_ingest_aliases(
        self,
        info: Info,
        id: ID,
        aliases_: Annotated[
            list[str], strawberry.argument(name="aliases", description="The whole new set, at most 2,000.")
        ],
    ) -> CustomerPayload:
        customer_id = ids.from_text("customer", id, path=("id",))
        row = await aliases.set_ingest_aliases(info.context.session, customer_id, aliases_, now=info.context.now)
        return CustomerPayload(customer=row)  # type: ignore[arg-type]

    @mutation_field(
        scope="customers:write",
        action="customer.archive",
        description="Close a customer for good, once none of its contracts runs; its aliases stay taken.",
    )
    async def customer_archive(self, info: Info, id: ID) -> CustomerPayload:
        customer_id = ids.from_text("customer", id, path=("id",))
        row = await service.archive_customer(info.context.session, customer_id, now=info.context.now)
        return CustomerPayload(customer=row)  # type: ignore[arg-type]

    @mutation_field(
        scope="customers:write",
        action="billing_configuration.create",
        description="Let a customer be billed through a provider account.",
    )
    async def billing_configuration_create(
        self,
        info: Info,
        input: Annotated[
            BillingConfigurationCreateInput, strawberry.argument(description="The new billing configuration.")
        ],
    ) -> BillingConfigurationPayload:
        row = await billing.create_billing_configuration(
            info.context.session,
            info.context.providers,
            customer_id=ids.from_text("customer", input.customer_id, path=("input", "customerId")),
            provider=input.provider,
            connection=input.connection,
            settings=_settings(input.settings),
            is_default=input.is_default,
            uniqueness_key=input.uniqueness_key,
            now=info.context.now,
        )
        return BillingConfigurationPayload(billing_configuration=row)  # type: ignore[arg-type]

    @mutation_field(
        scope="customers:write",
        action="billing_configuration.archive",
        description="Use a billing configuration no more; refused while a contract names it, and while one follows it "
        "to a marketplace within an open statement.",
    )
    async def billing_configuration_archive(self, info: Info, id: ConfigurationID) -> BillingConfigurationPayload:
        configuration_id = ids.from_text("billing_configuration", id, path=("id",))
        context = info.context
        row = await billing.archive_billing_configuration(
            context.session, context.providers, configuration_id, now=context.now
        )
        return BillingConfigurationPayload(billing_configuration=row)  # type: ignore[arg-type]


def _settings(pairs: list[KeyValueInput]) -> dict[str, str]:
    settings: dict[str, str] = {}
    for index, pair in enumerate(pairs):
        if pair.key in settings:
            path = ("input", "settings", str(index), "key")
            raise InvalidInput(ErrorCode.INVALID, f"settings name {pair.key[:60]!r} twice.", path=path)
        settings[pair.key] = pair.value
    return settings
