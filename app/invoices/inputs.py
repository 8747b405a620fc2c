"""What an invoice was computed from, as it is frozen with it: terms, hourly usage, balances, and their digest.

Owns the stored form. With it an invoice can be computed again to the same bytes, when the events are gone and the terms
have changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from importlib.metadata import version

from app.contracts.frozen import own_terms_to_json, product_to_json, rates_to_json
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


class SharedTexts:
    """The texts of values that invoices made together share, such as the prices of a rate card: each is written once."""

    def __init__(self) -> None:
        # Found by identity, since comparing values costs as much as writing them. Each is held beside its text, so no
        # other can take its place in memory.
        self._found: dict[int, tuple[object, str]] = {}

    def of(self, value: object, to_json: Callable[..., object]) -> str:
        """The text of the JSON form of a value, always by the same function."""
        found = self._found.get(id(value))
        if found is None:
            found = self._found[id(value)] = (value, _text(to_json(value)))
        return found[1]


def inputs_columns(
    rated: RatedStatement, *, fields: Fields, ingest_batch: int, shared: SharedTexts, is_imported: bool = False
) -> dict[str, object]:
    """Everything that it was computed from, custom fields as they are shown with it, and the digest of all, by column.

    `is_imported` marks usage that was given, not read. Of a consolidated invoice that is its constituents alone.
    """
    # What is hashed is what is stored, so it is written once.
    texts = [
        _terms_text(rated, fields, shared, is_imported=is_imported),
        _text(usage_to_json(rated.usage)),
        _text(pots_to_json(rated.pots)),
        _text(RELEASE),
    ]
    return {
        "invoice_id": rated.statement.id,
        "terms": JsonText(texts[0]),
        "usage": JsonText(texts[1]),
        "unrated": [unrated_to_json(item) for item in rated.unrated],
        "pots": JsonText(texts[2]),
        "ingest_batch": ingest_batch,
        "release": RELEASE,
        "digest": _digest(texts),
    }


def _terms_text(rated: RatedStatement, fields: Fields, shared: SharedTexts, *, is_imported: bool) -> str:
    """As `_text` would write the terms with what stands beside them."""
    beside = {FIELDS: fields, **({IMPORTED: True} if is_imported else {})}
    if rated.parts:
        return _text({CONSTITUENTS: constituents_to_json(rated), **beside})
    own = {**own_terms_to_json(rated.terms), ITEMS: items_to_json(rated.items), **beside}
    texts = {name: _text(value) for name, value in own.items()}
    # One tuple of rates for all contracts on a card, and one of products for each contract.
    texts["products"] = f"[{','.join(shared.of(product, product_to_json) for product in rated.terms.products)}]"
    texts["rates"] = shared.of(rated.terms.rates, rates_to_json)
    return "{" + ",".join(f'"{name}":{texts[name]}' for name in sorted(texts)) + "}"


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
