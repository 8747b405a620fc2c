"""Usage over time in GraphQL: what is asked, and how the answer is shown.

Owns the input and the types; the fields that use them are in `api_reading.py`, limits and meaning are the services'.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID

import strawberry

from app.catalog.api_types import BillableMetric
from app.core import windows
from app.errors import ErrorCode, InvalidInput
from app.graphql import connection as pages
from app.graphql.context import Context, Info
from app.graphql.fields import object_field
from app.graphql.values import Interval, IntervalInput, described_enum
from app.store import ids
from app.usage.queries import UsageAnswer, query_usage

UsageWindow = described_enum(
    windows.UsageWindow,
    description="How long the windows of a usage query are.",
    sentences={
        windows.UsageWindow.HOUR: "Full hours.",
        windows.UsageWindow.DAY: "Calendar days, UTC; the first and last may be shorter.",
        windows.UsageWindow.NONE: "The interval whole.",
    },
)


@strawberry.input(description="Values of a property that count.")
class UsageFilterValuesInput:
    property: str = strawberry.field(description="The property, which a group key of the metric must offer.")
    in_: list[str] = strawberry.field(name="in", description="Its values that count, at most 200.")


@strawberry.input(description="What to ask of a metric.")
class UsageQueryInput:
    metric_id: strawberry.ID = strawberry.field(description="The metric.")
    interval: IntervalInput = strawberry.field(
        description="From when to when, on full hours, with an end; at most 1,000 hours or days as windows."
    )
    window: UsageWindow = strawberry.field(  # type: ignore[valid-type]
        default=windows.UsageWindow.DAY, description="How long the windows are."
    )
    group_by: list[str] = strawberry.field(
        default_factory=list,
        description="Properties by whose values to split; with those of filters they lie in one group key of the metric.",
    )
    filters: list[UsageFilterValuesInput] = strawberry.field(
        default_factory=list,
        description="Values that count. When they name values for all of groupBy, each of their combinations is "
        "answered in every window, with null where nothing counted.",
    )


@strawberry.type(description="A property and its value in a group.")
class UsageGroupValue:
    property: str = strawberry.field(description="The property.")
    value: str | None = strawberry.field(description="Its value; null where events lack it.")


@strawberry.type(description="The value of a metric in one window and group.")
class UsageEntry:
    interval: Interval = strawberry.field(description="The window.")
    group: list[UsageGroupValue] = strawberry.field(description="Values of groupBy, by property; empty without.")
    value: Decimal | None = strawberry.field(
        description="What a statement over this window alone would measure. Only sums and counts may be added over "
        "windows; null for a group that was named and had nothing."
    )


@strawberry.type(description="Usage of one customer, measured by one metric.")
class UsageSeries:
    answer: strawberry.Private[UsageAnswer]

    @strawberry.field(
        description="Whether there were more than 200 groups, of which the first by their text are given."
    )
    def is_truncated(self) -> bool:
        return self.answer.is_truncated

    @strawberry.field(description="Windows and groups in which something counted, by window and group.")
    def entries(self, first: pages.First = 100, after: pages.After = None) -> pages.Connection[UsageEntry]:
        shown = [
            UsageEntry(
                interval=Interval(starting_at=item.period.starting_at, ending_before=item.period.ending_before),
                group=[UsageGroupValue(property=name, value=value) for name, value in item.group],
                value=item.value,
            )
            for item in self.answer.entries
        ]
        return pages.list_connection(shown, key=_place, first=first, after=after)

    @object_field(scope="catalog:read", description="The metric; null for tokens of one customer. Scope: catalog:read.")
    async def metric(self, info: Info) -> BillableMetric | None:
        return None if info.context.actor.customer_id is not None else self.answer.metric  # type: ignore[return-value]


async def series_of(context: Context, customer_id: UUID, asked: UsageQueryInput) -> UsageSeries:
    """The answer to a query."""
    only: dict[str, Sequence[str]] = {item.property: item.in_ for item in asked.filters}
    if len(only) < len(asked.filters):
        raise InvalidInput(ErrorCode.INVALID, "Two filters name one property.", path=("input", "filters"))
    answer = await query_usage(
        context.session,
        customer_id=customer_id,
        metric_id=ids.from_text("metric", asked.metric_id, path=("input", "metricId")),
        starting_at=asked.interval.starting_at,
        ending_before=asked.interval.ending_before,
        size=asked.window,
        by=asked.group_by,
        only=only,
    )
    return UsageSeries(answer=answer)


def _place(entry: UsageEntry) -> str:
    values = [[item.property, item.value] for item in entry.group]
    return f"{entry.interval.starting_at.isoformat()} {values}"
