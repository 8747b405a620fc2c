"""Recompute: a final invoice is rated again from what was frozen with it, and must give the same bytes.

Owns the comparison and the verdict; the way from the inputs to an invoice is in `frozen_rating.py`. The digest of the inputs
is proven as well, so neither side can be changed unseen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from types import MappingProxyType
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.core.invoice import FinalInvoice, canonical_content, fingerprint
from app.core.lines import Line
from app.errors import BillingError, NotFound
from app.invoices import books, content_differences, inputs, putting_together
from app.invoices.frozen_rating import NotRecomputable, rated_again
from app.invoices.tables import Invoice, InvoiceInputs
from app.store.ids import to_text

PAGE = 100
"""How many invoices are read at once."""
MAX_DIFFERENCES = 100
"""How many differences of one invoice are told."""


class Outcome(StrEnum):
    """What came of recomputing an invoice."""

    SAME = "SAME"
    DIFFERENT = "DIFFERENT"
    NOT_RECOMPUTABLE = "NOT_RECOMPUTABLE"


@dataclass(frozen=True, slots=True)
class Recomputed:
    """The verdict on one invoice: what differs, or why it could not be computed."""

    invoice_id: UUID
    outcome: Outcome
    differences: Sequence[content_differences.Difference] = ()
    reason: str | None = None


async def recompute(session: AsyncSession, identifiers: Sequence[UUID]) -> list[Recomputed]:
    """Rate final invoices again from their frozen inputs, in the order given. `NotFound` when there is no such invoice.

    At most a page of them: all are held at once.
    """
    assert len(identifiers) <= PAGE, "invoices are recomputed by the page"
    found = await session.execute(select(Invoice).where(col(Invoice.id).in_(identifiers)))
    invoices = {row.id: row for row in found.scalars()}
    for identifier in identifiers:
        if identifier not in invoices:
            raise NotFound("Invoice", to_text("invoice", identifier), path=("id",))
    kept = await session.execute(select(InvoiceInputs).where(col(InvoiceInputs.invoice_id).in_(identifiers)))
    frozen = {row.invoice_id: row for row in kept.scalars()}
    lines = await books.lines_of_invoices(session, identifiers)
    parts = await putting_together.parts_of_inputs(session, list(frozen.values()))
    return [compared(invoices[one], lines[one], frozen.get(one), parts=parts) for one in identifiers]


async def page_after(session: AsyncSession, last: UUID | None) -> list[UUID]:
    """The ids of the next page of final invoices, void ones among them, in the order of ids; empty at the end."""
    query = select(Invoice.id).order_by(col(Invoice.id)).limit(PAGE)
    rows = await session.execute(query if last is None else query.where(col(Invoice.id) > last))
    return list(rows.scalars())


def compared(
    invoice: Invoice,
    lines: Sequence[Line],
    frozen: InvoiceInputs | None,
    *,
    parts: Mapping[UUID, tuple[Invoice, FinalInvoice]] = MappingProxyType({}),
) -> Recomputed:
    """One invoice as it is stored beside what its frozen inputs give; `parts` are the invoices that those may name."""
    if frozen is None:
        return _different(invoice, [content_differences.Difference("inputs", None, "terms, usage and balances")])
    found: list[content_differences.Difference] = []
    digest = inputs.digest_of(frozen)
    if digest != frozen.digest:
        found.append(content_differences.Difference("inputs.digest", frozen.digest, digest))
    header = books.header_of(invoice)
    try:
        computed, unrated = rated_again(invoice, frozen, parts=parts)
        bytes_computed, content_hash = canonical_content(header, computed), fingerprint(header, computed)
    except NotRecomputable as error:
        return _different(invoice, found) if found else _not_recomputable(invoice, str(error))
    except BillingError as error:
        # A rater that is not installed any more is no fault of the books.
        return _different(invoice, found) if found else _not_recomputable(invoice, f"{error.code}: {error.message}")
    except Exception as error:
        # Inputs that were changed may break anything. It is this invoice's difference; the others are still computed.
        return _different(
            invoice, [*found, content_differences.Difference("inputs", "frozen", f"{type(error).__name__}: {error}")]
        )
    told = content_differences.differences(canonical_content(header, books.final_of(invoice, lines)), bytes_computed)
    found += islice(told, MAX_DIFFERENCES)
    if content_hash != invoice.content_hash:
        found.append(content_differences.Difference("content_hash", invoice.content_hash, content_hash))
    forms = [inputs.unrated_to_json(item) for item in unrated]
    if forms != frozen.unrated:
        found.append(content_differences.Difference("inputs.unrated", frozen.unrated, forms))
    return _different(invoice, found) if found else Recomputed(invoice.id, Outcome.SAME)


def _different(invoice: Invoice, found: Sequence[content_differences.Difference]) -> Recomputed:
    return Recomputed(invoice.id, Outcome.DIFFERENT, found)


def _not_recomputable(invoice: Invoice, reason: str) -> Recomputed:
    return Recomputed(invoice.id, Outcome.NOT_RECOMPUTABLE, (), reason)
