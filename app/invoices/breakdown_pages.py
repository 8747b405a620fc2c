"""Breakdowns of many invoices at once: those of a customer or a contract, window after window, in pages.

Owns how many invoices are rated for one answer; which they are is told by `breakdown_query.py`, what their windows say by
`breakdowns.py`. An invoice is rated for each page that shows some of it, so pages are short.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.breakdown import WindowPair, WindowSize, without_zeros
from app.invoices.balances import Books
from app.invoices.breakdown_query import BreakdownQuery, Position, final_asked, open_asked, place_of
from app.invoices.breakdowns import break_down_invoice
from app.invoices.drafts import RatedStatement
from app.invoices.statements import Statement
from app.invoices.tables import Invoice

MAX_WINDOWS = {WindowSize.DAY: 35, WindowSize.HOUR: 24}
"""Windows of one page (semantics 6.7)."""
MAX_INVOICES = 36
"""Invoices that are rated for one page; one in which nothing is gives no window and counts all the same."""
ALL_SEEN = {False: datetime.max.replace(tzinfo=UTC), True: datetime.min.replace(tzinfo=UTC)}
"""Behind every window of an invoice, whether windows descend or not."""


@dataclass(frozen=True, slots=True)
class InvoiceWindow:
    """A window of an invoice or draft, and its position."""

    invoice: Invoice | RatedStatement
    window: WindowPair
    position: Position


@dataclass(frozen=True, slots=True)
class BreakdownPage:
    """Windows in order. `end` is where the page ends; more may follow when `has_next`, even after an empty page."""

    windows: Sequence[InvoiceWindow]
    has_next: bool
    end: Position | None


async def breakdown_page(
    session: AsyncSession, query: BreakdownQuery, *, first: int, after: Position | None, now: datetime
) -> BreakdownPage:
    """The next `first` windows, at most 35 days or 24 hours, by the issue time of their invoice."""
    first = min(first, MAX_WINDOWS[query.size])
    found = [
        *await final_asked(session, query, after, limit=MAX_INVOICES + 1),
        *await open_asked(session, query, after, now=now),
    ]
    found.sort(key=place_of, reverse=query.descending)
    books, windows, end = Books(session, now=now), list[InvoiceWindow](), after
    for item in found[:MAX_INVOICES]:
        invoice = await books.rate(item) if isinstance(item, Statement) else item
        place = place_of(item)
        for window in await windows_of(session, query, invoice):
            position = (*place, window.period.starting_at)
            if after is not None and (position >= after if query.descending else position <= after):
                continue
            if len(windows) == first:
                return BreakdownPage(windows, True, end)
            windows.append(InvoiceWindow(invoice, window, position))
            end = position
        end = (*place, ALL_SEEN[query.descending])
    return BreakdownPage(windows, len(found) > MAX_INVOICES, end)


async def windows_of(
    session: AsyncSession, query: BreakdownQuery, invoice: Invoice | RatedStatement
) -> list[WindowPair]:
    """The windows of one invoice that are asked for, in order."""
    if isinstance(invoice, RatedStatement) and invoice.is_nothing:
        return []
    windows = await break_down_invoice(session, invoice, size=query.size, with_empty=not query.skip_zero)
    shown = [window for window in windows if query.shows(window)]
    if query.skip_zero:
        less = (WindowPair(without_zeros(window.billed), without_zeros(window.with_late)) for window in shown)
        shown = [window for window in less if window.billed.lines or window.with_late.lines]
    return shown[::-1] if query.descending else shown
