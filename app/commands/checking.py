"""`metrograph check`: verifies the books and prints what was verified.

Owns the list of checks. Each is one sentence, one query or one recomputation, and the number of rows that break it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.access.audit import verify_chain
from app.commands.provider_rules import PROVIDER_RULES
from app.commands.shell import Exit, emit, say
from app.contracts.past import misremembered
from app.invoices import due
from app.invoices.balance_books import unbalanced
from app.invoices.books import changed_invoices
from app.invoices.reversal_rating import misgiven
from app.runtime import Runtime
from app.store.ids import to_text


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what holds, and how many rows break it."""

    rule: str
    checked: int
    broken: int
    detail: str = ""


RULES: dict[str, tuple[str, str]] = {
    "the lines of every invoice add up to its total": (
        "select count(*) from invoices",
        "select count(*) from invoices i where i.type <> 'USAGE_CONSOLIDATED' and i.total is distinct from coalesce("
        "(select sum(amount) from invoice_lines l where l.invoice_id = i.id and l.in_total), 0)",
    ),
    "rounding moves half a minor unit at most, once": (
        "select count(*) from invoices",
        "select count(*) from invoices i where abs(i.total - i.subtotal) > 0.5 or "
        "(select count(*) from invoice_lines l where l.invoice_id = i.id and l.type = 'rounding') > 1",
    ),
    "what events at a price per event cost is their quantity at the price of their part": (
        "select count(*) from invoice_lines where per_event is not null",
        # What a balance pays is exact by its amount, from which the quantity follows.
        "select count(*) from invoice_lines where per_event is not null and type = 'usage' and (product_id is null "
        "or quantity is null or (grant_id is null and amount is distinct from quantity * unit_price))",
    ),
    "lifetime billings are what final invoices come to": (
        "select count(*) from lifetime_billings",
        "select count(*) from (select coalesce(p.customer_id, i.customer_id) as customer_id, i.currency, "
        "sum(i.total) as total from invoices i left join contracts p on p.id = i.payer_contract_id "
        "where i.type <> 'USAGE_CONSOLIDATED' "
        "and not exists (select 1 from invoice_voids v where v.invoice_id = i.id) group by 1, 2) s "
        "full join lifetime_billings l using (customer_id, currency) where coalesce(s.total, 0) <> coalesce(l.total, 0)",
    ),
    "a consolidated invoice is what its constituents come to, none of which is void while it counts": (
        "select count(*) from invoices where type = 'USAGE_CONSOLIDATED'",
        "select count(*) from invoices i where i.type = 'USAGE_CONSOLIDATED' and (i.total is distinct from "
        "(select sum(p.total) from invoice_constituents c join invoices p on p.id = c.invoice_id "
        "where c.consolidated_id = i.id) or exists (select 1 from invoice_lines l where l.invoice_id = i.id) "
        "or not exists (select 1 from invoice_voids v where v.invoice_id = i.id) and exists "
        "(select 1 from invoice_constituents c join invoice_voids v on v.invoice_id = c.invoice_id "
        "where c.consolidated_id = i.id))",
    ),
    "a statement goes out once: with one consolidated invoice that counts, or by itself": (
        "select count(*) from invoice_constituents",
        "select count(*) from (select c.invoice_id from invoice_constituents c where not exists "
        "(select 1 from invoice_voids v where v.invoice_id = c.consolidated_id) group by 1 having count(*) > 1 "
        "union select d.invoice_id from deliveries d join invoice_constituents c on c.invoice_id = d.invoice_id "
        "where d.status not in ('SKIPPED', 'CANCELED')) twice",
    ),
    "invoice numbers run from 1 without gaps": (
        "select count(*) from invoices",
        "select abs((select next - 1 from counters where name = 'invoice') - (select count(*) from invoices)) "
        "+ (select coalesce(max(number), 0) - count(*) from invoices)",
    ),
    "every statement is final at most once beside void ones, and statements of a contract do not overlap": (
        "select count(*) from invoices",
        "select count(*) from invoices a join invoices b on a.contract_id = b.contract_id and a.type = b.type "
        "and a.id < b.id and a.starting_at < b.ending_before and b.starting_at < a.ending_before "
        "where not exists (select 1 from invoice_voids v where v.invoice_id in (a.id, b.id))",
    ),
    "every fee and every instalment of a charge is billed at most once": (
        "select count(*) from invoice_lines where type in ('subscription', 'scheduled')",
        "select count(*) from (select 1 from invoice_lines l join invoices i on i.id = l.invoice_id "
        "where l.type in ('subscription', 'scheduled') "
        "and not exists (select 1 from invoice_voids v where v.invoice_id = i.id) "
        "group by l.subscription_id, l.charge_id, "
        "case when l.charge_id is null then l.starting_at else l.charged_at end, l.ordinal having count(*) > 1) twice",
    ),
    "what an invoice takes from each balance is what its lines take off": (
        "select count(*) from transfers where kind = 'AUTOMATED_INVOICE_DEDUCTION'",
        "select count(*) from (select invoice_id, grant_id, segment, sum(amount) as off from invoice_lines "
        "where type = 'applied' group by 1, 2, 3) l full join (select invoice_id, grant_id, segment, sum(amount) as taken "
        "from transfers where kind = 'AUTOMATED_INVOICE_DEDUCTION' group by 1, 2, 3) t "
        "using (invoice_id, grant_id, segment) where coalesce(l.off, 0) + coalesce(t.taken, 0) <> 0",
    ),
    "no invoice draws from a balance what it did not have": (
        "select count(*) from grant_segments",
        "select count(*) from grant_segments s where s.amount + coalesce((select sum(case "
        "when target = 'segment:' || s.grant_id || ':' || s.number then amount "
        "when kind in ('AUTOMATED_INVOICE_DEDUCTION', 'TRUEUP') then -amount else 0 end) "
        "from transfers t where t.grant_id = s.grant_id and t.segment = s.number), 0) < 0",
    ),
    "every purchase of a commit is billed at most once": (
        "select count(*) from invoice_lines where type = 'commit_purchase'",
        "select count(*) from (select 1 from invoice_lines l join invoices i on i.id = l.invoice_id "
        "where l.type = 'commit_purchase' and not exists (select 1 from invoice_voids v where v.invoice_id = i.id) "
        "group by l.grant_id, l.charged_at, l.ordinal having count(*) > 1) twice",
    ),
    "what is drawn is the customer's own, or shared by the parent with the child for which it was drawn": (
        "select count(*) from transfers where kind = 'AUTOMATED_INVOICE_DEDUCTION'",
        "select count(*) from transfers t join invoices i on i.id = t.invoice_id join grants g on g.id = t.grant_id "
        "join contracts c on c.id = i.contract_id where t.kind = 'AUTOMATED_INVOICE_DEDUCTION' and "
        "case when g.contract_id is null then g.customer_id <> i.customer_id "
        "else g.contract_id <> c.id and not (g.contract_id is not distinct from c.parent_id and "
        "(coalesce(g.child_access = 'ALL' or g.child_contract_ids @> to_jsonb(c.id::text), false) "
        "or exists (select 1 from jsonb_array_elements(g.child_access_changes) x "
        "where x ->> 'access' = 'ALL' or x -> 'contract_ids' @> to_jsonb(c.id::text)))) end",
    ),
    "what a child's invoice that counts has drawn lies in a time in which its parent let it": (
        "select count(*) from grants where child_access is not null or child_access_changes <> '[]'",
        "select count(*) from invoice_lines l join invoices i on i.id = l.invoice_id join grants g on g.id = l.grant_id "
        "join contracts c on c.id = i.contract_id and c.parent_id = g.contract_id "
        "where not exists (select 1 from invoice_voids v where v.invoice_id = i.id) and not coalesce((select "
        "x ->> 'access' = 'ALL' or x -> 'contract_ids' @> to_jsonb(c.id::text) "
        "from jsonb_array_elements(g.child_access_changes) with ordinality e(x, place) "
        "where (x ->> 'starting_at')::timestamptz <= l.starting_at "
        "order by (x ->> 'starting_at')::timestamptz desc, place desc limit 1), "
        "g.child_access = 'ALL' or g.child_contract_ids @> to_jsonb(c.id::text), false)",
    ),
    "nothing was drawn from a commit before it was paid": (
        "select count(*) from grants where gate is not null",
        "select count(*) from transfers t join grants g on g.id = t.grant_id where g.gate is not null "
        "and t.kind = 'AUTOMATED_INVOICE_DEDUCTION' "
        "and (g.gate_outcome is distinct from 'PAID' or t.created_at < g.gate_settled_at)",
    ),
    "what asks for a payment that failed is void, and what it would have paid for is canceled": (
        "select count(*) from grants where gate_outcome = 'FAILED'",
        "select count(*) from grants g join grant_segments s on s.grant_id = g.id and s.removed_at is null "
        "where g.gate_outcome = 'FAILED' and (exists (select 1 from invoices i where i.purchase_of = g.id "
        "and not exists (select 1 from invoice_voids v where v.invoice_id = i.id)) "
        "or s.amount + coalesce((select sum(case when target = 'segment:' || g.id || ':' || s.number then amount "
        "else -amount end) from transfers t where t.grant_id = g.id and t.segment = s.number), 0) > 0)",
    ),
    "a void invoice gave back what it took from balances": (
        "select count(*) from invoice_voids",
        "select count(*) from invoice_voids v where "
        "(select coalesce(sum(amount), 0) from transfers where target = 'invoice:' || v.invoice_id) <> "
        "(select coalesce(sum(amount), 0) from transfers where source = 'invoice:' || v.invoice_id)",
    ),
    "an alert stands where its last change left it": (
        "select count(*) from alert_states",
        "select count(*) from alert_states s where s.state is distinct from (select t.after from alert_transitions t "
        "where t.alert_id = s.alert_id and t.customer_id = s.customer_id and t.subject = s.subject "
        "order by t.id desc limit 1)",
    ),
    "every change of an alert that was to be told is told once": (
        "select count(*) from alert_transitions",
        "select count(*) from alert_transitions t where t.told is not null "
        "and not exists (select 1 from notices n where n.once = 'alert:' || t.id)",
    ),
    "what rolled over left one balance and came into one other, in the same amount": (
        "select count(*) from transfers where kind = 'ROLLOVER'",
        "select count(*) from (select source, target, sum(amount) as gone from transfers where kind = 'ROLLOVER' "
        "group by 1, 2) t full join (select 'segment:' || g.rolled_from_id || ':' || g.rolled_from_segment as source, "
        "'segment:' || g.id || ':' || s.number as target, s.amount as come from grants g "
        "join grant_segments s on s.grant_id = g.id where g.rolled_from_id is not null) r using (source, target) "
        "where coalesce(t.gone, 0) <> coalesce(r.come, 0)",
    ),
    "every event has one id, and every id one event, stored or taken back": (
        "select count(*) from event_ids",
        "with kept as (select id from events union all select id from voided_events) "
        "select abs((select count(*) from event_ids) - (select count(*) from kept)) "
        "+ (select count(*) from event_ids i where not exists (select 1 from kept k where k.id = i.id))",
    ),
    "received usage equals what the ingest log accepted": (
        "select count(*) from ingest_batches",
        "select abs(coalesce((select sum(accepted) from ingest_batches), 0) "
        "- (select count(*) from events) - (select count(*) from voided_events))",
    ),
    "no delivery is acknowledged above its invoice": (
        "select count(*) from deliveries",
        "select count(*) from deliveries where total >= 0 and acknowledged > total + 0.005",
    ),
    # Stripe counts three-decimal currencies in steps of ten of their smallest parts, hence the tolerance.
    "a delivered invoice is acknowledged in full": (
        "select count(*) from deliveries where status = 'DELIVERED'",
        "select count(*) from deliveries where status = 'DELIVERED' and abs(acknowledged - total) > 0.005",
    ),
    "every metering slot has a positive whole quantity, and an answer when it is closed": (
        "select count(*) from metering_slots",
        "select count(*) from metering_slots s where quantity <= 0 or quantity <> trunc(quantity) or "
        "(status = 'ACCEPTED' and not exists (select 1 from metering_receipts r where r.slot_id = s.id))",
    ),
    "no usage is planned for a buyer whose agreement has had its last call": (
        "select count(*) from marketplace_subscriptions",
        "select count(*) from metering_slots s join marketplace_subscriptions m using (billing_configuration_id) "
        "where m.state = 'ENDED' and s.created_at >= m.metering_until and not exists (select 1 from "
        "marketplace_subscriptions n where n.billing_configuration_id = m.billing_configuration_id and n.id > m.id)",
    ),
    "no invoice-mode delivery was accepted twice": (
        "select count(*) from deliveries",
        "select count(*) from (select a.delivery_id from delivery_attempts a join delivery_receipts r "
        "on r.attempt_id = a.id where r.outcome = 'ACCEPTED' group by 1 having count(*) > 1) twice",
    ),
    **PROVIDER_RULES,
}


async def check(runtime: Runtime, *, as_json: bool) -> Exit | None:
    """Run every check; any broken row ends with exit code 1."""
    async with runtime.store.transaction() as session:
        findings = [await _counted(session, rule, *queries) for rule, queries in RULES.items()]
        for dated in (_balances, _due):
            findings.append(await dated(session, now=runtime.clock.now()))
        for more in (_contents, _histories, _reversals, _chain):
            findings.append(await more(session))
    broken = [finding for finding in findings if finding.broken]
    if as_json:
        emit(
            {
                "ok": not broken,
                "checks": [
                    {"rule": item.rule, "checked": item.checked, "broken": item.broken, "detail": item.detail}
                    for item in findings
                ],
            }
        )
    else:
        for item in findings:
            mark = "BROKEN" if item.broken else "ok"
            say(
                f"{mark:7} {item.rule} ({item.checked} checked{f', {item.broken} broken' if item.broken else ''}) {item.detail}"
            )
    return Exit.FAILED if broken else None


async def _counted(session: AsyncSession, rule: str, how_many: str, how_many_broken: str) -> Finding:
    checked = int((await session.execute(text(how_many))).scalar_one())
    return Finding(rule, checked, int((await session.execute(text(how_many_broken))).scalar_one()))


async def _balances(session: AsyncSession, *, now: datetime) -> Finding:
    rule = "what every balance was granted is drawn, expired, canceled, rolled over or left, from both sides"
    checked, wrong = await unbalanced(session, now=now)
    return Finding(rule, checked, len(wrong), ", ".join(wrong[:5]))


async def _contents(session: AsyncSession) -> Finding:
    checked, changed = await changed_invoices(session)
    return Finding("every invoice still has the content that was hashed", checked, len(changed), ", ".join(changed[:5]))


async def _histories(session: AsyncSession) -> Finding:
    checked, wrong = await misremembered(session)
    return Finding("the terms of every contract follow from its history", checked, len(wrong), ", ".join(wrong[:5]))


async def _reversals(session: AsyncSession) -> Finding:
    rule = "every outcome reversal gave back what its statements had asked for too much, by what was frozen with them"
    checked, wrong = await misgiven(session)
    return Finding(rule, checked, len(wrong), ", ".join(wrong[:5]))


async def overlooked(session: AsyncSession, *, now: datetime) -> list[str]:
    """Contracts with something due that the billing run would not look at, by id."""
    looked_at = set(await due.due_contracts(session, as_of=now))
    found = await due.due_among(session, None, as_of=now)
    return [to_text("contract", contract_id) for contract_id in found if contract_id not in looked_at]


async def _due(session: AsyncSession, *, now: datetime) -> Finding:
    rule = "the billing run looks at every contract of which something is due"
    checked = int((await session.execute(text("select count(*) from contracts"))).scalar_one())
    wrong = await overlooked(session, now=now)
    return Finding(rule, checked, len(wrong), ", ".join(wrong[:5]))


async def _chain(session: AsyncSession) -> Finding:
    report = await verify_chain(session)
    return Finding(
        "the audit chain is intact", report.entries, 0 if report.problem is None else 1, report.problem or ""
    )


async def doctor(runtime: Runtime, *, as_json: bool) -> Exit | None:
    """Look at what a deployment needs, one line each, with the cure for what is missing."""
    async with runtime.store.transaction() as session:
        server = (await session.execute(text("select version(), current_setting('fsync'), now()"))).one()
        keys = (await session.execute(text("select count(*) from api_keys where revoked_at is null"))).scalar_one()
        stalled = (
            await session.execute(text("select count(*) from procrastinate_jobs where status = 'failed'"))
        ).scalar_one()
    settings = runtime.settings
    skew = abs((runtime.clock.now() - server[2]).total_seconds())
    lines = [
        ("database", server[0].split(" on ")[0], True),
        ("durability", f"fsync is {server[1]}", server[1] == "on"),
        ("clock", "test clock" if not runtime.clock.is_real else f"{skew:.1f} s from the database's", skew < 5 or not runtime.clock.is_real),
        ("secret key", "set" if settings.secret_key else "missing: set METROGRAPH_SECRET_KEY", settings.secret_key is not None),
        ("keys", f"{keys} usable" if keys else "none: metrograph keys create --name … --scope admin", bool(keys or settings.bootstrap_key)),
        ("failed jobs", str(stalled), not stalled),
        ("connections", ", ".join(item.name for item in runtime.connections.all()) or "none: set METROGRAPH_CONNECTIONS", bool(runtime.connections.all())),
    ]  # fmt: skip
    if as_json:
        emit({"ok": all(fine for *_, fine in lines), "checks": [{"name": n, "says": s, "ok": f} for n, s, f in lines]})
    else:
        for name, says, fine in lines:
            say(f"{'ok' if fine else 'LOOK':5} {name}: {says}")
    return None if all(fine for *_, fine in lines) else Exit.FAILED
