"""`metrograph invoices finalize --dry-run`: what a billing run would make, with totals; nothing is stored."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from app.commands.billing_run import listed, texts, until
from app.commands.shell import Exit, emit, note, progress, say
from app.core.money import canonical
from app.invoices.dry_run import rehearse
from app.invoices.tables import Invoice
from app.runtime import Runtime
from app.store.ids import to_text


async def show(runtime: Runtime, *, as_of: datetime | None, as_json: bool) -> Exit | None:
    """Show what would become final."""
    now = runtime.clock.now()
    as_of = until(as_of, now=now)
    with progress() as bar:
        task = bar.add_task("dry run", total=None, rate="")
        found = await rehearse(
            runtime.store, as_of=as_of, now=now,
            on_customer=lambda done, total: bar.update(task, completed=done, total=total),
        )  # fmt: skip
    for contract_id, reason in found.failures:
        note(f"{to_text('contract', contract_id)}: {reason}")
    if as_json:
        emit(
            {
                "dueContracts": [to_text("contract", item) for item in found.contracts],
                "invoices": [_shown(invoice) for invoice in found.invoices],
                "totals": texts(found.totals),
                "failures": len(found.failures),
            }
        )
    else:
        for invoice in found.invoices:
            row = _shown(invoice)
            end = "" if row["endingBefore"] is None else f"…{row['endingBefore'][:10]}"
            say(
                f"{row['invoice']}  {row['type']:9}  {row['startingAt'][:10]}{end:11}  {row['total']} {row['currency']}"
            )
        say(f"{len(found.invoices)} would be final " + listed(found.totals))
    return Exit.DONE_WITH_FAILURES if found.failures else None


def _shown(invoice: Invoice) -> dict[str, Any]:
    end = invoice.ending_before
    return {
        "invoice": to_text("invoice", invoice.id),
        "contract": to_text("contract", invoice.contract_id),
        "customer": to_text("customer", invoice.customer_id),
        "type": str(invoice.type),
        "startingAt": invoice.starting_at.isoformat(),
        "endingBefore": None if end is None else end.isoformat(),
        "issuedAt": invoice.issued_at.isoformat(),
        "total": canonical(invoice.total),
        "currency": invoice.currency,
    }
