"""Reconciliation: what an account has for a period, in our books and at the provider, and every difference with its reason.

Owns which of our rows and of the provider's objects belong to a period; what differs is told by
`app/core/reconciliation.py`. It reads on both sides and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from app.core import reconciliation as core
from app.core.period import Period
from app.delivery import calling
from app.delivery import reconciling_invoices as books
from app.delivery import reconciling_usage as days
from app.delivery.reconciliation import Reconciliation, beside, report
from app.delivery.registry import Connection
from app.delivery.states import CREDIT_NEEDED, CREDITED, GONE_AT_PROVIDER, VOIDED_AT_PROVIDER, DeliveryStatus
from app.delivery.tables import Delivery
from app.store.engine import Store
from connectors.base import NOT_SUPPORTED, ProviderEntry, Terminal, Transient, UsageRecord

_NO_SUMS = Terminal(NOT_SUPPORTED, "What it lists cannot be told apart.")
NONE_THERE = "deleted"
MARGIN = timedelta(days=1)
"""Our time of a delivery and the provider's of its object differ a little; at a period's ends both sides look further."""


async def reconcile(
    store: Store, connection: Connection, period: Period, *, clock: Callable[[], datetime]
) -> Reconciliation:
    """Compare one account over a period with an end. A provider that cannot be read now is told as `problem`."""
    assert period.ending_before is not None, "a period to reconcile has an end"
    if connection.capabilities.mode == "invoice":
        return await _invoices(store, connection, period, read=calling.listed, now=clock())
    if not connection.takes_requests:
        return await _usage(store, connection, period, mode=None)
    usage = await _usage(store, connection, period, mode="metering")
    return beside(usage, await _invoices(store, connection, period, read=calling.requested, now=clock()))


async def _invoices(
    store: Store, connection: Connection, period: Period, *, read: calling.Reader, now: datetime
) -> Reconciliation:
    assert period.ending_before is not None
    wide = Period(period.starting_at - MARGIN, period.ending_before + MARGIN)
    entries = await read(connection, wide)
    async with store.transaction() as session:
        ours = await books.deliveries(session, connection, period, mode="invoice")
        if isinstance(entries, Transient | Terminal):
            expected = [books.ours_of(row) for row in ours.values()]
            open_ones = [item for item in expected if item.expected is core.Expected.OPEN]
            return report(connection, period, expected, [], core.discrepancies(open_ones, []), failure=entries)
        our_objects = {row.provider_reference for row in ours.values()}
        within = [
            entry
            for entry in entries
            if _is_within(entry, period) or entry.reference in ours or entry.provider_reference in our_objects
        ]
        strangers = [entry.reference for entry in within if entry.reference is not None and entry.reference not in ours]
        ours |= await books.deliveries_of(session, connection, strangers)
    # An object may be older than the margin, when the delivery took days; it is asked for by its own id.
    seen = {entry.provider_reference for entry in within}
    failure: Transient | Terminal | None = None
    expected: list[core.Ours] = []
    for row in ours.values():
        reference = row.provider_reference
        is_there = row.status == DeliveryStatus.DELIVERED or row.error_code in (CREDIT_NEEDED, CREDITED)
        if is_there and reference is not None and reference not in seen:
            found = await calling.read_back(connection, reference)
            if not isinstance(found, ProviderEntry):
                failure = found
                continue
            # "deleted" is the answer of a provider that has none of that id: nothing says that it ever had.
            within += [found] if found.provider_status != NONE_THERE else []
        elif row.error_code == VOIDED_AT_PROVIDER and reference is not None and reference not in seen:
            # The provider told that it was taken back; what was deleted is not listed any more.
            within.append(
                ProviderEntry(provider_reference=reference, provider_status=row.provider_status or NONE_THERE)
            )
        expected.append(books.ours_of(row))
    theirs = [_theirs(entry, ours, now=now) for entry in within]
    return report(connection, period, expected, theirs, core.discrepancies(expected, theirs), failure=failure)


def _is_within(entry: ProviderEntry, period: Period) -> bool:
    return entry.created_at is None or period.contains(entry.created_at)


def _theirs(entry: ProviderEntry, ours: Mapping[str, Delivery], *, now: datetime) -> core.Theirs:
    by_id = {row.provider_reference: reference for reference, row in ours.items()}
    amount = entry.amount or Decimal(0)
    is_late = entry.due_at is not None and entry.due_at < now
    is_unpaid = is_late and entry.provider_status == "open" and (entry.amount_paid or Decimal(0)) < amount
    return core.Theirs(
        provider_reference=entry.provider_reference,
        reference=entry.reference or by_id.get(entry.provider_reference),
        # What we billed is without tax.
        amount=amount - (entry.tax or Decimal(0)),
        currency=entry.currency,
        is_gone=entry.provider_status in GONE_AT_PROVIDER,
        is_unpaid=is_unpaid,
    )


async def _usage(store: Store, connection: Connection, period: Period, *, mode: str | None) -> Reconciliation:
    """Days of usage where the marketplace shows them, and the invoices of the period that are not covered."""
    listed_as: Callable[[UsageRecord], str] | None = getattr(connection.connector, "listed_as", None)
    entries = await calling.listed(connection, period)
    async with store.transaction() as session:
        rows = await days.slots_of(session, connection.name, period)
        open_ones = [
            books.ours_of(row)
            for row in (await books.deliveries(session, connection, period, mode=mode)).values()
            if row.status in books.OPEN and row.acknowledged < row.total
        ]
    uncovered = core.discrepancies(open_ones, [])
    if isinstance(entries, Transient | Terminal) or listed_as is None:
        failure = entries if isinstance(entries, Transient | Terminal) else _NO_SUMS
        unread = report(connection, period, [], [], uncovered, failure=failure)
        return replace(unread, compared=len(rows), ours=days.worth_of(rows))
    shown = {entry.provider_reference: entry.amount or Decimal(0) for entry in entries}
    expected = days.days_of(rows, shown, listed_as)
    known = {item.reference for item in expected}
    theirs = [
        core.Theirs(reference, reference if reference in known else None, amount, None)
        for reference, amount in shown.items()
    ]
    return report(connection, period, expected, theirs, [*core.discrepancies(expected, theirs), *uncovered])
