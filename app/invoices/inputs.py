"""What an invoice was computed from, as it is frozen with it: terms, hourly usage, balances, and their digest.

Owns the stored form. With it an invoice can be computed again to the same bytes, when the events are gone and the terms
have changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from importlib.metadata import version

from app.contracts.frozen import terms_to_json
from app.core.money import canonical
from app.core.pots import pots_to_json
from app.core.quantities import usage_to_json
from app.core.rating import Unrated
from app.invoices.drafts import RatedStatement
from app.invoices.frozen_fields import FIELDS, Fields
from app.invoices.frozen_items import IMPORTED, ITEMS, items_to_json
from app.invoices.putting_together import CONSTITUENTS, constituents_to_json
from app.invoices.tables import InvoiceInputs
from app.store.bulk import JsonText

RELEASE = version("metrograph")
"""Read once: the installed package's own description is parsed for it."""


def inputs_columns(
    rated: RatedStatement, *, fields: Fields, ingest_batch: int, is_imported: bool = False
) -> dict[str, object]:
    """Everything that it was computed from, custom fields as they are shown with it, and the digest of all, by column.

    `is_imported` marks usage that was given, not read. Of a consolidated invoice that is its constituents alone.
    """
    terms = {CONSTITUENTS: constituents_to_json(rated)} if rated.parts else terms_to_json(rated.terms)
    parts = [
        {
            **terms,
            **({} if rated.parts else {ITEMS: items_to_json(rated.items)}),
            FIELDS: fields,
            **({IMPORTED: True} if is_imported else {}),
        },
        usage_to_json(rated.usage),
        pots_to_json(rated.pots),
        RELEASE,
    ]
    # What is hashed is what is stored, so it is written once.
    texts = [_text(part) for part in parts]
    return {
        "invoice_id": rated.statement.id,
        "terms": JsonText(texts[0]),
        "usage": JsonText(texts[1]),
        "unrated": [unrated_to_json(item) for item in rated.unrated],
        "pots": JsonText(texts[2]),
        "ingest_batch": ingest_batch,
        "release": parts[3],
        "digest": _digest(texts),
    }


def digest_of(inputs: InvoiceInputs) -> str:
    """SHA-256 of frozen inputs, as 64 hexadecimal digits: of what the row says now, stored or not."""
    return _digest([_text(part) for part in (inputs.terms, inputs.usage, inputs.pots, inputs.release)])


_text = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
"""The one way in which frozen inputs are written."""


def _digest(texts: Sequence[str]) -> str:
    """Of the parts as one JSON list."""
    return hashlib.sha256(f"[{','.join(texts)}]".encode()).hexdigest()


def unrated_to_json(item: Unrated) -> dict[str, object]:
    """Usage without a price, as it is kept and shown."""
    return {
        "product": str(item.key.product_id),
        "pricing": dict(item.key.pricing),
        "presentation": dict(item.key.presentation),
        "quantity": canonical(item.quantity),
    }
