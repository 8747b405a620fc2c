"""What an invoice was computed from, as it is frozen with it: terms, hourly usage, balances, and their digest.

Owns the stored form. With it an invoice can be computed again to the same bytes, when the events are gone and the terms
have changed.
"""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from typing import Any

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


def inputs_row(rated: RatedStatement, *, fields: Fields, ingest_batch: int, is_imported: bool = False) -> InvoiceInputs:
    """Everything that it was computed from, custom fields as they are shown with it, and the digest of all.

    `is_imported` marks usage that was given, not read. Of a consolidated invoice that is its constituents alone.
    """
    terms = {CONSTITUENTS: constituents_to_json(rated)} if rated.parts else terms_to_json(rated.terms)
    row = InvoiceInputs(
        invoice_id=rated.statement.id,
        terms={
            **terms,
            **({} if rated.parts else {ITEMS: items_to_json(rated.items)}),
            FIELDS: fields,
            **({IMPORTED: True} if is_imported else {}),
        },
        usage=usage_to_json(rated.usage),
        unrated=[unrated_to_json(item) for item in rated.unrated],
        pots=pots_to_json(rated.pots),
        ingest_batch=ingest_batch,
        release=version("metrograph"),
        digest="",
    )
    row.digest = digest_of(row)
    return row


def digest_of(inputs: InvoiceInputs) -> str:
    """SHA-256 of frozen inputs, as 64 hexadecimal digits: of what the row says now, stored or not."""
    parts = [inputs.terms, inputs.usage, inputs.pots, inputs.release]
    content = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(content.encode()).hexdigest()


def unrated_to_json(item: Unrated) -> dict[str, Any]:
    """Usage without a price, as it is kept and shown."""
    return {
        "product": str(item.key.product_id),
        "pricing": dict(item.key.pricing),
        "presentation": dict(item.key.presentation),
        "quantity": canonical(item.quantity),
    }
