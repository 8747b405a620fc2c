"""Which fees, charges and purchases an invoice bills, as it is frozen beside the terms that say what each costs.

Owns the JSON form. It may grow and never changes its meaning.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from app.clock import parse_instant
from app.core.fees import ItemKey, ItemKind
from app.core.items import key_of
from app.core.lines import Line

ITEMS = "items"
"""Under this name among the terms; terms that were frozen by an earlier release lack it."""
IMPORTED = "imported"
"""Under this name among the terms of a historical invoice, whose usage was given and is stored nowhere else."""


def items_to_json(items: Iterable[Line]) -> list[list[object]]:
    """The key of each, and when it fell due; in the order of keys."""
    dates = sorted((key_of(item), item.charged_at) for item in items)
    return [[key.kind, str(key.source_id), _instant(key.at), key.ordinal, _instant(at)] for key, at in dates]


def items_from_json(terms: Mapping[str, Any]) -> dict[ItemKey, datetime] | None:
    """Which fees, charges and purchases an invoice bills, and when each fell due; None where that was not kept yet."""
    if ITEMS not in terms:
        return None
    return {
        ItemKey(ItemKind(kind), UUID(source), parse_instant(at), ordinal): parse_instant(charged_at)
        for kind, source, at, ordinal, charged_at in terms[ITEMS]
    }


def _instant(instant: datetime | None) -> str:
    assert instant is not None, "an item has a date"
    return instant.isoformat().replace("+00:00", "Z")
