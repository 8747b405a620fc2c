"""`metrograph demo`: the whole product on one machine, from nothing, in one command.

Owns the demo's folder, its keys and its summary. A demo keeps its settings beside its database, so that later commands
on the same folder find its day, its keys and its stand-ins.
"""

from __future__ import annotations

import contextlib
import secrets
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlmodel import col, select

from app import settings as settings_module
from app.clock import Clock
from app.commands import serve as serving
from app.commands import shell
from app.contracts.tables import Contract
from app.core.money import canonical
from app.delivery.tables import Delivery
from app.demo import story
from app.invoices.drafts import open_statements
from app.invoices.tables import Invoice
from app.runtime import DATABASE, Runtime
from app.settings import DEMO_FILE, Settings
from app.store import embedded
from app.store.ids import to_text


def demo(*, no_serve: bool, as_json: bool, scale: str, seed: int, host: str, port: int) -> None:
    """Live through the demo's months, print the summary, and serve unless told not to."""
    started = time.perf_counter()
    with _folder() as folder:
        settings = _settings(folder)

        async def work(runtime: Runtime) -> None:
            with shell.progress() as bar:
                task = bar.add_task("living through two months", total=None, rate="")
                usage = await story.live(
                    runtime, clock_file=folder / "clock", today=Clock().now(), scale=scale, seed=seed,
                    on_day=lambda done, total: bar.update(task, completed=done, total=total),
                )  # fmt: skip
            summary = await _summary(runtime, usage, seconds=round(time.perf_counter() - started, 1))
            shell.emit(summary) if as_json else _print(summary)
            if not no_serve:
                shell.note(f"API key: {settings.bootstrap_key}")
                shell.note(f"GraphiQL: http://{host}:{port}/graphql   Ctrl-C ends the demo")
                await serving.serve(runtime, host=host, port=port, with_worker=True)

        shell.run(work, settings=settings)


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """The folder of METROGRAPH_DATA_DIR, emptied of an earlier demo, or a temporary one."""
    chosen = settings_module.data_dir_from_environment()
    if chosen is None:
        with tempfile.TemporaryDirectory(prefix="metrograph-demo-", ignore_cleanup_errors=True) as name:
            Path(name).chmod(0o711)
            yield Path(name)
        return
    chosen.mkdir(parents=True, exist_ok=True)
    _empty(chosen)
    yield chosen


def _empty(folder: Path) -> None:
    """Drop the database of an earlier demo; refuse to touch one that is not a demo's."""
    cluster = embedded.start(folder)
    try:
        if cluster.has_database(DATABASE):
            if not (folder / DEMO_FILE).exists():
                shell.fail(f"{folder} holds a database that is no demo's. Point METROGRAPH_DATA_DIR somewhere else.")
            cluster.drop_database(DATABASE)
    finally:
        cluster.stop()


def _settings(folder: Path) -> Settings:
    """Make the demo's settings, and keep them beside its database."""
    base = shell.load_settings()
    clock_file = folder / "clock"
    story.set_clock(clock_file, Clock().now())
    key = base.bootstrap_key or f"mg_{secrets.token_urlsafe(32)}"
    secret = base.secret_key or secrets.token_urlsafe(48)
    kept = {
        "METROGRAPH_ENVIRONMENT": "sandbox",
        "METROGRAPH_CLOCK": str(clock_file),
        "METROGRAPH_BOOTSTRAP_KEY": key,
        "METROGRAPH_SECRET_KEY": secret,
    }
    file = folder / DEMO_FILE
    file.touch(mode=0o600)
    file.write_text("".join(f'{name} = "{value}"\n' for name, value in kept.items()), encoding="utf-8")
    return replace(
        base, environment="sandbox", database_url=None, data_dir=folder, clock_source=str(clock_file),
        bootstrap_key=key, secret_key=secret, connections_file=None, demo=True,
    )  # fmt: skip


async def _summary(runtime: Runtime, usage: story.Usage, *, seconds: float) -> dict[str, Any]:
    async with runtime.store.transaction() as session:
        counts = (
            await session.execute(
                text(
                    "select (select count(*) from customers), (select count(*) from contracts),"
                    " (select count(*) from invoices)"
                )
            )
        ).one()
        contracts = (await session.execute(select(Contract))).scalars().all()
        drafts = len(await open_statements(session, contracts, now=runtime.clock.now()))
        found = await session.execute(
            select(Delivery, Invoice)
            .join(Invoice, col(Delivery.invoice_id) == Invoice.id)
            .order_by(col(Invoice.number))
        )
        deliveries = [_delivery(delivery, invoice) for delivery, invoice in found]
    return {
        "customers": counts[0],
        "contracts": counts[1],
        "events": {"accepted": usage.accepted, "duplicates": usage.duplicates, "conflicts": usage.conflicts},
        "invoices": {"draft": drafts, "finalized": counts[2], "void": 0},
        "deliveries": deliveries,
        "seconds": seconds,
    }


def _delivery(delivery: Delivery, invoice: Invoice) -> dict[str, Any]:
    return {
        "provider": delivery.provider,
        "contract": to_text("contract", invoice.contract_id),
        "customer": to_text("customer", invoice.customer_id),
        "invoice": to_text("invoice", invoice.id),
        "status": delivery.status.lower(),
        "total": canonical(delivery.total),
        "currency": delivery.currency,
        "acknowledged": canonical(delivery.acknowledged),
        "effectiveAt": _instant(delivery.effective_at),
        "servicePeriodEnd": _instant(invoice.ending_before),
    }


def _instant(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat().replace("+00:00", "Z")


def _print(summary: dict[str, Any]) -> None:
    events, invoices = summary["events"], summary["invoices"]
    shell.say(f"{summary['customers']} customers, {summary['contracts']} contracts")
    shell.say(
        f"{events['accepted']} events accepted, {events['duplicates']} duplicates, {events['conflicts']} conflicts"
    )
    shell.say(f"{invoices['finalized']} invoices final, {invoices['draft']} drafts")
    for item in summary["deliveries"]:
        dated = f", dated {item['effectiveAt']}" if item["effectiveAt"] else ""
        shell.say(f"  {item['provider']:18} {item['total']:>12} {item['currency']}  {item['status']}{dated}")
    shell.say(f"done in {summary['seconds']} s")
