"""Rate cards in GraphQL: what can be done to them.

Owns the mutations of cards, their prices and their names; what can be read is in `api.py` and `api_rates.py`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from app.catalog import aliases, card_changes, product_order, rates, reading, service, tables
from app.catalog.api_card_inputs import (
    ProductMoveInput,
    RateCardAliasInput,
    RateCardCreateInput,
    RateCardUpdateInput,
    RateInput,
    conversions_of,
    new_alias,
    new_rates,
)
from app.catalog.api_card_types import RateCard
from app.custom_fields.api_types import custom_fields_in
from app.graphql.context import Info
from app.graphql.fields import mutation_field
from app.graphql.payload import Payload
from app.store import ids

ID = Annotated[strawberry.ID, strawberry.argument(description="Id of the rate card.")]


@strawberry.type(description="Answer to a mutation of a rate card.")
class RateCardPayload(Payload):
    rate_card: RateCard | None = strawberry.field(default=None, description="The rate card; null after an error.")


@strawberry.type
class RateCardMutation:
    @mutation_field(
        scope="catalog:write", action="rate_card.create", description="Make a rate card, with its first rates."
    )
    async def rate_card_create(
        self, info: Info, input: Annotated[RateCardCreateInput, strawberry.argument(description="The new rate card.")]
    ) -> RateCardPayload:
        row = await service.create_rate_card(
            info.context.session,
            name=input.name,
            currency=input.currency,
            description=input.description,
            rates=new_rates(input.rates, path=("input", "rates")),
            aliases=[new_alias(item) for item in input.aliases],
            conversions=conversions_of(input.conversions),
            custom_fields=custom_fields_in(input.custom_fields),
            uniqueness_key=input.uniqueness_key,
            now=info.context.now,
        )
        return RateCardPayload(rate_card=row)  # type: ignore[arg-type]

    @mutation_field(
        scope="catalog:write",
        action="rate_card.add_rates",
        description="Add dated prices to a rate card. They reach every contract on it: drafts change at once, "
        "finalized invoices never do.",
    )
    async def rate_card_add_rates(
        self,
        info: Info,
        id: ID,
        rates_: Annotated[
            list[RateInput],
            strawberry.argument(
                name="rates", description="The prices, at most 1,000; of two that apply, the later one counts."
            ),
        ],
    ) -> RateCardPayload:
        card_id = ids.from_text("rate_card", id, path=("id",))
        session = info.context.session
        await rates.add_rates(session, card_id, new_rates(rates_, path=("rates",)), now=info.context.now)
        return RateCardPayload(rate_card=await reading.get(session, tables.RateCard, card_id))  # type: ignore[arg-type]

    @mutation_field(
        scope="catalog:write",
        action="rate_card.update",
        description="Rename a rate card, describe it, or let it convert more pricing units.",
    )
    async def rate_card_update(
        self,
        info: Info,
        id: ID,
        input: Annotated[RateCardUpdateInput, strawberry.argument(description="What to change.")],
    ) -> RateCardPayload:
        row = await card_changes.update_rate_card(
            info.context.session,
            ids.from_text("rate_card", id, path=("id",)),
            name=input.name,
            description=input.description,
            conversions=conversions_of(input.add_conversions, field="addConversions"),
        )
        return RateCardPayload(rate_card=row)  # type: ignore[arg-type]

    @mutation_field(
        scope="catalog:write",
        action="rate_card.archive",
        description="Offer a rate card to no new contract; contracts that use it go on.",
    )
    async def rate_card_archive(self, info: Info, id: ID) -> RateCardPayload:
        card_id = ids.from_text("rate_card", id, path=("id",))
        row = await service.archive_rate_card(info.context.session, card_id, now=info.context.now)
        return RateCardPayload(rate_card=row)  # type: ignore[arg-type]

    @mutation_field(
        scope="catalog:write",
        action="rate_card.give_alias",
        description="Let an alias point to a card; the card that has it at its start loses it at that instant. "
        "Contracts that were made with it keep their card.",
    )
    async def rate_card_give_alias(
        self,
        info: Info,
        id: ID,
        alias: Annotated[RateCardAliasInput, strawberry.argument(description="The alias, and from when to when.")],
    ) -> RateCardPayload:
        card_id = ids.from_text("rate_card", id, path=("id",))
        row = await aliases.give_alias(info.context.session, card_id, new_alias(alias), now=info.context.now)
        return RateCardPayload(rate_card=row)  # type: ignore[arg-type]

    @mutation_field(
        scope="catalog:write",
        action="rate_card.end_alias",
        description="Take an alias from a card from an hour on. Contracts that were made with it keep their card.",
    )
    async def rate_card_end_alias(
        self,
        info: Info,
        id: ID,
        name: Annotated[str, strawberry.argument(description="The alias.")],
        ending_before: Annotated[
            datetime,
            strawberry.argument(description="First instant after it, a full hour; it may lie before its start."),
        ],
    ) -> RateCardPayload:
        card_id = ids.from_text("rate_card", id, path=("id",))
        row = await aliases.end_alias(info.context.session, card_id, name, ending_before=ending_before)
        return RateCardPayload(rate_card=row)  # type: ignore[arg-type]

    @mutation_field(
        scope="catalog:write",
        action="rate_card.set_product_order",
        description="Replace the order of a card's products, which is that of lines on invoices; drafts change at once.",
    )
    async def rate_card_set_product_order(
        self,
        info: Info,
        id: ID,
        product_ids: Annotated[
            list[strawberry.ID],
            strawberry.argument(description="The whole order; products of the card that it leaves out follow by name."),
        ],
    ) -> RateCardPayload:
        order = [
            ids.from_text("product", item, path=("productIds", str(index))) for index, item in enumerate(product_ids)
        ]
        card_id = ids.from_text("rate_card", id, path=("id",))
        row = await product_order.set_product_order(info.context.session, card_id, order)
        return RateCardPayload(rate_card=row)  # type: ignore[arg-type]

    @mutation_field(
        scope="catalog:write",
        action="rate_card.move_products",
        description="Put products of a card at positions of its order; all others keep their order.",
    )
    async def rate_card_move_products(
        self,
        info: Info,
        id: ID,
        moves: Annotated[
            list[ProductMoveInput], strawberry.argument(description="What goes where; each position once.")
        ],
    ) -> RateCardPayload:
        wanted = [
            (ids.from_text("product", move.product_id, path=("moves", str(index), "productId")), move.position)
            for index, move in enumerate(moves)
        ]
        card_id = ids.from_text("rate_card", id, path=("id",))
        row = await product_order.move_products(info.context.session, card_id, wanted)
        return RateCardPayload(rate_card=row)  # type: ignore[arg-type]
