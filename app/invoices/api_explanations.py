"""Why a line is what it is, in GraphQL: in parts, in words, and down to the events.

Owns the types. What made a line is found in `core.explain`, the sentences are made in `core.explain_words`, the events are
read by the usage slice.
"""

from __future__ import annotations

from decimal import Decimal

import strawberry

from app.catalog.api_measuring import QuantityConversion, QuantityRounding, conversion_shown, rounding_shown
from app.catalog.api_prices import Price, shown_price
from app.catalog.api_types import BillableMetric
from app.contracts.api_overrides import Override, PriceChange, change_shown
from app.core import explain, explain_words, grants, lines, terms
from app.grants.api_types import Balance
from app.graphql.connection import After, Connection, First
from app.graphql.context import Info
from app.graphql.fields import object_field
from app.graphql.values import Interval, Money
from app.invoices import api_line_events, api_reversals, api_seen
from app.invoices.api_line_parts import GroupValue, Origin, groups, interval_shown
from app.store import ids


@strawberry.type(description="The dated price on the rate card that a line has.")
class ExplainedRate:
    rate_id: strawberry.ID = strawberry.field(description="Id of the price.")
    interval: Interval | None = strawberry.field(description="When it holds; null: since ever and for good.")
    price: Price = strawberry.field(description="The list price.")
    commit_price: Price | None = strawberry.field(description="The price for what draws on a commit; null: the same.")
    is_commit_price: bool = strawberry.field(description="Whether the line has the commit price.")
    list_unit_price: Decimal | None = strawberry.field(
        description="List price of one unit; null where the list has no one price for the line's units."
    )
    minimum: Decimal | None = strawberry.field(description="What a composite product costs at least; else null.")
    group_values: list[GroupValue] = strawberry.field(description="Values to which the price applies; empty for all.")


@strawberry.type(description="The contract's own change of the list price.")
class ExplainedOverride:
    interval: Interval | None = strawberry.field(description="When it holds; null: since ever and for good.")
    change: PriceChange | None = strawberry.field(description="What it makes of the price; null: it only entitles.")
    commit_specific: bool = strawberry.field(description="Whether it prices only what draws on a commit or credit.")
    found: strawberry.Private[terms.Override]

    @strawberry.field(description="The override as it stands; null in a preview that brings it.")
    async def override(self, info: Info) -> Override | None:
        return await info.context.load("override", self.found.id)


@strawberry.type(description="The segment of a commit or credit that a line is about.")
class ExplainedBalance:
    segment: int = strawberry.field(description="Number of the segment.")
    interval: Interval = strawberry.field(description="When it may be used.")
    granted: Money = strawberry.field(description="What the segment began with.")
    available: Money = strawberry.field(description="What could be drawn from it when the invoice was made.")
    pot: strawberry.Private[grants.Pot]

    @strawberry.field(description="The commit or credit; null in a preview that brings it.")
    async def balance(self, info: Info) -> Balance | None:
        return await info.context.load("commit", self.pot.grant.id)


@strawberry.type(description="How the quantity of a line was measured.")
class ExplainedMeasuring:
    quantity_conversion: QuantityConversion | None = strawberry.field(description="How it was converted; null: not.")
    quantity_rounding: QuantityRounding | None = strawberry.field(
        description="How the statement's quantity was rounded; null: not."
    )
    version: strawberry.Private[terms.ProductVersion]

    @strawberry.field(description="The metric that measured it.")
    async def metric(self, info: Info) -> BillableMetric:
        return await info.context.load("metric", self.version.metric_id)


@strawberry.type(description="Why a line is what it is.")
class LineExplanation:
    in_words: str = strawberry.field(
        description="All of it in a few short sentences, in English; every figure is exact."
    )
    base_products: list[str] = strawberry.field(
        description="Of a percentage: names of the products whose charges it is taken of; else empty."
    )
    reversals: list[api_reversals.OutcomeReversal] = strawberry.field(
        description="Outcomes of the line that were taken back since, in the order of that, at most 100."
    )
    found: strawberry.Private[explain.Explanation]
    origin: strawberry.Private[Origin]

    @object_field(
        scope="catalog:read",
        description="The dated price; null where none was needed, and for tokens of one customer. Scope: catalog:read.",
    )
    async def rate(self, info: Info) -> ExplainedRate | None:
        rate = self.found.rate
        if rate is None or info.context.actor.customer_id is not None:
            return None
        return ExplainedRate(
            rate_id=strawberry.ID(ids.to_text("rate", rate.id)),
            interval=interval_shown(rate.period),
            price=shown_price(rate.rate),
            commit_price=None if rate.commit_rate is None else shown_price(rate.commit_rate),
            is_commit_price=self.found.at_commit_rate,
            list_unit_price=self.found.list_price,
            minimum=rate.minimum,
            group_values=groups(rate.group_values),
        )

    @object_field(
        scope="contracts:read", description="The override; null when the list price holds. Scope: contracts:read."
    )
    async def override(self) -> ExplainedOverride | None:
        found = self.found.override
        if found is None:
            return None
        return ExplainedOverride(
            interval=interval_shown(found.period),
            change=change_shown(found.change),
            commit_specific=found.is_commit_specific,
            found=found,
        )

    @object_field(
        scope="contracts:read",
        description="The balance that pays the line, is bought with it, or of which it bills what is missing; null where "
        "there is none, or its segment was not frozen. Scope: contracts:read.",
    )
    async def balance(self, info: Info) -> ExplainedBalance | None:
        pot = self.found.pot
        if pot is None or await api_seen.is_hidden(info, pot.grant.id):
            return None
        return ExplainedBalance(
            segment=pot.segment.number,
            interval=Interval(
                starting_at=pot.segment.period.starting_at, ending_before=pot.segment.period.ending_before
            ),
            granted=Money.of(pot.segment.amount, pot.grant.unit),
            available=Money.of(pot.available, pot.grant.unit),
            pot=pot,
        )

    @object_field(
        scope="catalog:read",
        description="How usage was measured; null for other lines, and for tokens of one customer. Scope: catalog:read.",
    )
    async def measured(self, info: Info) -> ExplainedMeasuring | None:
        version = self.found.measured
        if version is None or info.context.actor.customer_id is not None:
            return None
        return ExplainedMeasuring(
            quantity_conversion=conversion_shown(version.conversion),
            quantity_rounding=rounding_shown(version.rounding),
            version=version,
        )

    @object_field(
        scope="usage:read",
        description="The stored events that the metric counts in the line's time, with its group values, by time; those "
        "that came after a final invoice are marked. Lines of a tier or of a balance share the events of their time. Empty "
        "where a line is no usage, and in previews of given events. Scope: usage:read.",
    )
    async def events(self, info: Info, first: First = 25, after: After = None) -> Connection[api_line_events.LineEvent]:
        return await api_line_events.events_of(info, self.found, self.origin, first=first, after=after)


async def explained(
    info: Info, line: lines.Line, origin: Origin, since: list[api_reversals.OutcomeReversal]
) -> LineExplanation:
    """The explanation of a line; the seller's name of a metric is not told to tokens of one customer.

    `since` are the reversals of what it bills.
    """
    found = explain.explain(line, origin.terms, origin.pots)
    metric = balance = None
    if found.measured is not None and info.context.actor.customer_id is None:
        metric = (await info.context.load("metric", found.measured.metric_id)).name
    if line.grant_id is not None:
        # One that comes with a preview is stored nowhere.
        balance = getattr(await api_seen.seen_balance(info, line.grant_id), "name", None)
    words = [explain_words.in_words(found, metric=metric, balance=balance)]
    if since:
        words.append(explain_words.reversed_since([reversal.transaction_id for reversal in since]))
    return LineExplanation(
        in_words=" ".join(words),
        reversals=since[: api_reversals.MAX_SHOWN],
        base_products=[product.name for product in found.base],
        found=found,
        origin=origin,
    )
