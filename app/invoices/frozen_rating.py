"""From the frozen inputs of an invoice to what it says.

Owns the way back to core values, which reads no terms, usage or balances of today; nothing here touches the database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from app.contracts.frozen import terms_from_json
from app.core import grants, items, ledger, money, rating
from app.core.invoice import FinalInvoice, InvoiceType, assemble, finalize, put_together
from app.core.lines import Line
from app.core.pots import pots_from_json
from app.core.quantities import Usage, usage_from_json
from app.core.terms import Terms
from app.invoices.books import period_of
from app.invoices.frozen_items import items_from_json
from app.invoices.putting_together import constituents_from_json
from app.invoices.tables import Invoice, InvoiceInputs


class NotRecomputable(Exception):
    """What was frozen is sound, and not enough to compute the invoice from; the text says why."""


def rated_again(
    invoice: Invoice, frozen: InvoiceInputs, *, parts: Mapping[UUID, tuple[Invoice, FinalInvoice]]
) -> tuple[FinalInvoice, Sequence[rating.Unrated]]:
    """What an invoice says by its frozen inputs alone, and its usage without a price.

    Of the invoice itself only type, period and currency count, which are in its id and content hash. A consolidated one
    is made of those `parts` that its inputs name, which must be what they were. Errors:
    `NotRecomputable`; `BillingError` of a rater that is not there; any other when the inputs are not what was written.
    """
    named = constituents_from_json(frozen.terms)
    if named is not None:
        assert all(parts[key][0].content_hash == text for key, text in named.items()), (
            "its constituents are what they were"
        )
        return put_together([(key, parts[key][1]) for key in named]), ()
    pots = pots_from_json(frozen.pots)
    if invoice.type == InvoiceType.TRUEUP:
        if not pots:
            raise NotRecomputable("it was made by a release that did not freeze what was missing of the commit")
        [pot] = pots
        return finalize(assemble([ledger.true_up_line(pot.grant, pot.available)], money.fiat(invoice.currency))), ()
    terms = terms_from_json(frozen.terms)
    if invoice.type == InvoiceType.SCHEDULED:
        fees, charges = items.fees_and_charges(_items(frozen, terms))
        rated = rating.rate_fees(terms, fees, pots=pots)
        return finalize(assemble([*rated.lines, *charges], money.fiat(invoice.currency))), rated.unrated
    rated = rated_with(invoice, frozen, usage_from_json(frozen.usage), terms=terms, pots=pots)
    return finalize(assemble(rated.lines, terms.unit)), rated.unrated


def rated_with(
    invoice: Invoice, frozen: InvoiceInputs, usage: Usage, *, terms: Terms, pots: Sequence[grants.Pot]
) -> rating.Rating:
    """A usage statement with this usage, and the fees and charges that it bills; before its rounding.

    `terms` and `pots` are those that were frozen. Errors: as of `rated_again`.
    """
    assert invoice.type == InvoiceType.USAGE, "only usage is rated"
    fees, charges = items.fees_and_charges(_items(frozen, terms))
    rated = rating.rate_statement(terms, period_of(invoice), usage, pots=pots, fees=fees)
    return replace(rated, lines=(*rated.lines, *charges))


def _items(frozen: InvoiceInputs, terms: Terms) -> Sequence[Line]:
    """The fees, charges and purchases of an invoice, worked out from its terms."""
    keys = items_from_json(frozen.terms)
    if keys is None:
        if terms.subscriptions or terms.scheduled_charges:
            raise NotRecomputable("it was made by a release that did not freeze which fees and charges it bills")
        return ()
    if not keys:
        return ()
    until = max(*keys.values(), *(key.at for key in keys))
    return items.item_lines((item for item in items.items_due(terms, until=until) if item.key in keys), terms)
