"""Provider accounts in GraphQL: what waits at each, since when, and the pause.

Owns the type and the fields; the rules are in `connections.py`. Settings and secrets of an account are in its file and are
never shown.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from app.delivery import connections, tables
from app.delivery.api_types import DeliveryStatus, MeteringSlotStatus
from app.delivery.states import DeliveryStatus as State
from app.delivery.states import SlotStatus
from app.graphql.connection import After, Connection, First, list_connection
from app.graphql.context import Info
from app.graphql.fields import mutation_field, query_field
from app.graphql.payload import Payload

Name = Annotated[str, strawberry.argument(description="Name of the account, as the file of connections has it.")]


@strawberry.type(description="How many deliveries of invoices are in one state.")
class DeliveryCount:
    status: DeliveryStatus = strawberry.field(description="The state.")  # type: ignore[valid-type]
    count: int = strawberry.field(description="How many.")


@strawberry.type(description="How many metering slots are in one state.")
class MeteringSlotCount:
    status: MeteringSlotStatus = strawberry.field(description="The state.")  # type: ignore[valid-type]
    count: int = strawberry.field(description="How many.")


@strawberry.type(description="One of our accounts at a provider, and what waits there.")
class ProviderAccount:
    name: str = strawberry.field(description="Its name in the file of connections.")
    provider: str = strawberry.field(description="Name of the provider.")
    is_metered: bool = strawberry.field(description="Whether it is sent usage by the hour instead of invoices.")
    takes_payment_requests: bool = strawberry.field(
        description="Whether customers may name what payments are asked of; their scheduled invoices then go out one by one, "
        "and are not metered."
    )
    paused_since: datetime | None = strawberry.field(description="Since when nothing is sent; null while it runs.")
    pause_reason: str | None = strawberry.field(description="Why it is paused.")
    open_deliveries: list[DeliveryCount] = strawberry.field(
        description="Deliveries that are not closed, by state; at most four entries."
    )
    open_metering_slots: list[MeteringSlotCount] = strawberry.field(
        description="Metering slots that are not proven counted or refused, by state; at most three entries."
    )
    oldest_unsent_at: datetime | None = strawberry.field(
        description="When the oldest was opened that is on its way still; null when nothing is."
    )
    needs_attention: int = strawberry.field(description="How many deliveries and slots wait for somebody.")


@strawberry.type(description="Answer to a mutation of an account.")
class ProviderAccountPayload(Payload):
    provider_account: ProviderAccount | None = strawberry.field(
        default=None, description="The account; null after an error."
    )


@strawberry.type
class ConnectionsQuery:
    @query_field(scope="delivery:read", description="Our accounts at providers and how each stands, by name.")
    async def provider_accounts(
        self, info: Info, first: First = 25, after: After = None
    ) -> Connection[ProviderAccount]:
        found = await connections.standings(info.context.session, info.context.providers)
        return list_connection(
            [_shown(item) for item in found], key=lambda item: item.name, first=first, after=after, is_sorted=True
        )


@strawberry.type
class ConnectionsMutation:
    @mutation_field(
        scope="delivery:write",
        action="provider_account.pause",
        description="Send nothing to an account until it is resumed. What is due waits; usage whose window runs out is "
        "alarmed, and no longer taken usage rides on the next hour.",
    )
    async def provider_account_pause(
        self,
        info: Info,
        name: Name,
        reason: Annotated[str, strawberry.argument(description="Why, 1 to 500 characters.")],
    ) -> ProviderAccountPayload:
        context = info.context
        await connections.pause(context.session, context.providers, name, reason=reason, now=context.now)
        return await _answer(info, name)

    @mutation_field(
        scope="delivery:write",
        action="provider_account.resume",
        description="Send to an account again; what waited is enqueued at once.",
    )
    async def provider_account_resume(self, info: Info, name: Name) -> ProviderAccountPayload:
        await connections.resume(info.context.session, info.context.providers, name)
        return await _answer(info, name)


async def _answer(info: Info, name: str) -> ProviderAccountPayload:
    found = await connections.standings(info.context.session, info.context.providers)
    return ProviderAccountPayload(provider_account=next(_shown(item) for item in found if item.connection.name == name))


def _shown(item: connections.Standing) -> ProviderAccount:
    pause: tables.ConnectionPause | None = item.pause
    return ProviderAccount(
        name=item.connection.name,
        provider=item.connection.provider,
        is_metered=item.connection.capabilities.mode == "metering",
        takes_payment_requests=item.connection.takes_requests,
        paused_since=None if pause is None else pause.paused_at,
        pause_reason=None if pause is None else pause.reason,
        open_deliveries=[DeliveryCount(status=State(name), count=n) for name, n in sorted(item.deliveries.items())],
        open_metering_slots=[
            MeteringSlotCount(status=SlotStatus(name), count=n) for name, n in sorted(item.slots.items())
        ],
        oldest_unsent_at=item.oldest_unsent,
        needs_attention=item.needs_attention,
    )
