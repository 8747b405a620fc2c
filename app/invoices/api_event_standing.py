"""How far events have come, for the API: a loader under the name that the usage slice asks for."""

from __future__ import annotations

from collections.abc import Sequence

from app.graphql.context import Context
from app.graphql.nodes import LOADERS
from app.invoices.event_standing import standings_of
from app.usage.event_states import AskedEvent, Standing


async def _standings(context: Context, keys: Sequence[AskedEvent]) -> Sequence[Standing]:
    return await standings_of(context.session, keys, now=context.now)


LOADERS["usage.standing"] = _standings
