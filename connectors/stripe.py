"""Finalized invoices become Stripe invoices: one for each, whatever breaks in between.

Owns the calls, their order and their keys. Leaves amounts, dates and lines to `stripe_invoice`, failures and notices
to `stripe_calls`. Every delivery first looks our invoice id up and goes on from the state it finds, because Stripe's
memory of idempotency keys ends after a day and ours does not.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any, ClassVar

import stripe

from app.core import money
from app.core.period import Period
from connectors import base, pace, stripe_fields, stripe_invoice, stripe_totals
from connectors.base import Outcome, OutcomeStatus, Terminal
from connectors.http import Secret, SettingsTable
from connectors.stripe_calls import (
    MAX_PAGES,
    PacedClient,
    ServerError,
    all_events,
    all_invoices,
    call,
    checked,
    instant_of,
    metadata_of,
    verified_notice,
)
from connectors.stripe_invoice import InvoiceOptions, Plan, plan_invoice
from connectors.stripe_undo import take_back

log = logging.getLogger("metrograph.connectors.stripe")

# Chunks stay below the 250 items of an invoice; Stripe states no limit of its own for one call.
LINES_PER_CALL = 100
# Stripe keeps a 500 under its key for a day, so a repeat needs a new key; three are enough to pass a bad minute.
REVISIONS = 3
# At most 20 kinds may be asked for at once (docs.stripe.com/api/events/list, November 2026). Each change of an invoice
# has one of these; whatever the kind, the invoice is read back.
EVENT_KINDS = (
    *("invoice.created", "invoice.updated", "invoice.finalized", "invoice.finalization_failed", "invoice.sent"),
    *("invoice.paid", "invoice.payment_failed", "invoice.payment_action_required", "invoice.overdue"),
    *("invoice.overpaid", "invoice.voided", "invoice.marked_uncollectible", "invoice.deleted"),
    *("invoice_payment.paid", "credit_note.created", "credit_note.updated", "credit_note.voided"),
)
_API_BASE = "https://api.stripe.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class StripeConfig:
    """One Stripe account."""

    api_key: Secret
    webhook_secrets: tuple[Secret, ...] = ()
    options: InvoiceOptions = field(default_factory=InvoiceOptions)
    api_base: str = _API_BASE
    timeout_seconds: int = 30
    network_retries: int = 2
    requests_per_second: int = 20
    credit_paid: bool = False
    fields: stripe_fields.FieldRules = stripe_invoice.NO_RULES
    seller: str = ""

    @classmethod
    def from_table(cls, name: str, table: Mapping[str, Any], environ: Mapping[str, str]) -> StripeConfig:
        """Read `[connections.NAME]`; `SettingsError` with every problem."""
        variables = {"api_base": "METROGRAPH_STRIPE_API_BASE", "seller": "METROGRAPH_SELLER_NAME"}
        read = SettingsTable(name, table, environ, defaults=variables)
        config = cls(
            api_key=read.secret("api_key") or Secret(""),
            webhook_secrets=read.secrets("webhook_secrets"),
            options=stripe_invoice.read_options(read, InvoiceOptions()),
            api_base=read.address("api_base", _API_BASE),
            timeout_seconds=read.whole("timeout_seconds", 30, least=1, most=300),
            network_retries=read.whole("network_retries", 2, least=0, most=5),
            # docs.stripe.com/rate-limits, November 2026: 25 a second in a sandbox and for one endpoint, 100 live.
            requests_per_second=read.whole("requests_per_second", 20, least=1, most=100),
            credit_paid=read.flag("credit_paid", False),
            fields=stripe_fields.read_rules(read),
            seller=read.text("seller", "", pattern=r"[^\r\n]{0,200}", like="a name of up to 200 characters"),
        )
        read.finish()
        return config


class StripeConnector:
    """Stripe invoices over the SDK's async client."""

    name: ClassVar[str] = "stripe"
    # docs.stripe.com/api/invoices/add_lines (250 items), docs.stripe.com/currencies and docs.stripe.com/api/events
    # (30 days), November 2026.
    capabilities: ClassVar[base.Capabilities] = base.Capabilities(
        mode="invoice", batch_size=1, max_lines=stripe_invoice.MAX_LINES, accepts_negative=True,
        notices_kept=timedelta(days=30), customer_named_by=("stripeCustomerId",),
    )  # fmt: skip
    Config: ClassVar[type[Any]] = StripeConfig
    CustomerConfig: ClassVar[type[Any]] = stripe_invoice.CustomerConfig

    def __init__(self, config: StripeConfig, clock: base.Clock) -> None:
        self._config = config
        self._clock = clock
        self._http = PacedClient(config.requests_per_second, timeout=config.timeout_seconds)
        # The client class makes no retries unless told to, whatever the module default says (SDK 16.1, measured).
        self._client = stripe.StripeClient(
            config.api_key.reveal(),
            http_client=self._http,
            max_network_retries=config.network_retries,
            base_addresses={"api": config.api_base},
        )

    @property
    def calls_per_second(self) -> int:
        """`requests_per_second` of the account. Stripe's own limits: docs.stripe.com/rate-limits, November 2026."""
        return self._config.requests_per_second

    def use_turns(self, turns: pace.Turns) -> None:
        """See `connectors.pace.Paced`."""
        self._http.turns = turns

    @staticmethod
    def validate_customer(settings: Mapping[str, str]) -> list[base.Problem]:
        """Every problem of the customer's side: stripeCustomerId, collectionMethod and the overrides."""
        return stripe_invoice.customer_problems(settings)

    def _plan(self, document: base.InvoiceDocument) -> Plan:
        config = self._config
        return plan_invoice(document, config.options, config.fields, seller=config.seller)

    async def deliver(self, document: base.Document, key: str) -> list[Outcome]:
        """One invoice at Stripe for the document: look up, create, fill, compare, finalize; safe at every break.

        After a 5xx the state is read again before the next revision of the key is used.
        """
        assert isinstance(document, base.InvoiceDocument), "Stripe takes invoices"
        plan = self._plan(document)
        if plan.is_skipped:
            text = "The total is zero or below the minimum charge, and the settings say to skip such invoices."
            return [
                Outcome(
                    reference=document.reference,
                    status=OutcomeStatus.ACCEPTED,
                    acknowledged=Decimal(0),
                    code=base.SKIPPED,
                    message=text,
                )
            ]
        failure = ServerError("Stripe was not asked")
        for revision in range(1, REVISIONS + 1):
            run = _Run(self._client, plan, key if revision == 1 else f"{key}:r{revision}")
            try:
                return [await run.advance()]
            except ServerError as error:
                failure = error
                log.warning("stripe failed on %s, revision %d: %s", document.reference, revision, error.message)
        raise failure

    async def find(self, document: base.Document) -> Outcome | None:
        """The Stripe invoice that carries our id; UNKNOWN with code INCOMPLETE for a draft that is not filled yet."""
        assert isinstance(document, base.InvoiceDocument), "Stripe takes invoices"
        run = _Run(self._client, self._plan(document), "")
        invoice = await run.look_up()
        return None if invoice is None else await run.judge(invoice)

    async def void(self, receipt: base.Receipt) -> Outcome:
        """Delete a draft, void an open or uncollectible invoice, credit a paid one where `credit_paid` says so."""
        return await take_back(self._client, receipt, credit_paid=self._config.credit_paid)

    async def list(self, period: Period) -> Sequence[base.ProviderEntry]:
        """Every invoice created in the period, oldest first; those without our id have no reference."""
        found = await all_invoices(self._client, {"created": _within(period)})
        return [await stripe_totals.entry_of(self._client, invoice) for invoice in reversed(found)]

    async def status(self, provider_reference: str) -> base.ProviderEntry:
        """The invoice as Stripe shows it now; `deleted` when Stripe has none of that id, which tells of no payment."""
        request = self._client.v1.invoices.retrieve_async(provider_reference)
        try:
            found = await call("retrieve", request, writes=False)
        except Terminal as failure:
            if failure.code != "RESOURCE_MISSING":
                raise
            found = None
        if found is None or getattr(found, "deleted", False):
            return base.ProviderEntry(provider_reference=provider_reference, provider_status="deleted")
        return await stripe_totals.entry_of(self._client, checked(found))

    def parse_webhook(self, headers: Mapping[str, str], body: bytes) -> base.Notification:
        """Verify `Stripe-Signature` over the raw body and name the invoice to read again.

        Any configured secret and any v1 value may match (rotation); the time may be 300 s off in either direction,
        which the SDK checks for the past only. Source: docs.stripe.com/webhooks/signature, November 2026.
        """
        return verified_notice(headers, body, secrets=self._config.webhook_secrets, now=self._clock())

    async def notices(self, period: Period) -> Sequence[base.Notification]:
        """The events of a period that concern invoices, as webhooks would have told them; Stripe lists 30 days."""
        found = await all_events(self._client, {"created": _within(period), "types": list(EVENT_KINDS)})
        return found[::-1]

    async def close(self) -> None:
        """Close the HTTP client."""
        await self._http.close_async()


def _within(period: Period) -> dict[str, int]:
    """Whole seconds, as Stripe's times of creation are."""
    created = {"gte": int(period.starting_at.timestamp())}
    if period.ending_before is not None:
        created["lt"] = int(period.ending_before.timestamp())
    return created


class _Run:
    """One attempt at one invoice: its plan, its key, and the request ids that Stripe gave on the way."""

    def __init__(self, client: stripe.StripeClient, plan: Plan, key: str) -> None:
        self._client = client
        self._invoices = client.v1.invoices
        self._plan = plan
        self._key = key
        self._request_ids: list[str] = []

    async def advance(self) -> Outcome:
        """Take the invoice from whatever state it is in to the last one."""
        found = await self.look_up()
        if found is not None and (found.status != "draft" or not self._is_ours(found)):
            return await self.judge(found)
        invoice = await self._fill(found or await self._create(), is_new=found is None)
        await self._compare(invoice)
        options = self._plan.customer.options
        if not options.leave_in_draft:
            invoice = await (self._leave_to_stripe(invoice) if options.tax.is_external else self._finalize(invoice))
        return await self._told(invoice, OutcomeStatus.ACCEPTED)

    async def _finalize(self, invoice: stripe.Invoice) -> stripe.Invoice:
        key = self._options(f"{invoice.id}:finalize")
        request = self._invoices.finalize_invoice_async(str(invoice.id), {"auto_advance": True}, key)
        return self._seen(await call("finalize", request))

    async def _leave_to_stripe(self, invoice: stripe.Invoice) -> stripe.Invoice:
        """Stripe finalizes it in about an hour (providers 1.2); tax software adds its lines before."""
        key = self._options(f"{invoice.id}:advance")
        return self._seen(
            await call("advance", self._invoices.update_async(str(invoice.id), {"auto_advance": True}, key))
        )

    async def look_up(self) -> stripe.Invoice | None:
        """The customer's invoice with our id in its metadata, a voided one only when there is no other.

        Lists, because Stripe's search is eventually consistent and must not be used for read-after-write.
        """
        reference = self._plan.document.reference
        customer = {"customer": self._plan.customer.stripe_customer_id}
        found = [
            one
            for one in await all_invoices(self._client, customer)
            if metadata_of(one, stripe_invoice.INVOICE_KEY) == reference
        ]
        living = [invoice for invoice in found if invoice.status != "void"]
        if len(living) > 1:
            names = ", ".join(str(invoice.id) for invoice in living)
            raise Terminal("TWICE_AT_PROVIDER", f"{reference} is at Stripe as {names}.", hint="Void all but one there.")
        return living[0] if living else found[0] if found else None

    async def judge(self, invoice: stripe.Invoice) -> Outcome:
        """What an invoice that stands at Stripe means for this document."""
        status, code, message, hint = OutcomeStatus.UNKNOWN, "INCOMPLETE", "The draft is not finished yet.", None
        is_equal, is_done = await self._counted(invoice) == self._plan.total, self._is_done(invoice)
        if not self._is_ours(invoice):
            status, code = OutcomeStatus.COLLISION, "OTHER_CONTENT"
            message = "Stripe holds an invoice with our id and other content."
            hint = "Void that invoice in Stripe first."
        elif invoice.status == "void":
            status, code = OutcomeStatus.REFUSED, "VOIDED_AT_PROVIDER"
            message, hint = "The invoice was voided in Stripe.", "Void it here too, or regenerate it."
        elif is_equal and is_done:
            status, code, message = OutcomeStatus.DUPLICATE, None, None
        elif invoice.status != "draft":
            status, code = OutcomeStatus.COLLISION, "TOTAL_DRIFT"
            message, hint = "The invoice at Stripe has another total.", "Compare the two invoices line by line."
        return await self._told(invoice, status, code=code, message=message, hint=hint)

    async def _create(self) -> stripe.Invoice:
        parameters: Any = self._plan.create
        request = self._invoices.create_async(parameters, self._options("create"))
        invoice = self._seen(await call("create", request))
        if invoice.last_response is not None and invoice.last_response.headers.get("idempotent-replayed") == "true":
            # The look-up did not see what the key remembers: deleted since, or the list lags behind.
            invoice = await self._reread(str(invoice.id))
        return invoice

    async def _reread(self, identifier: str) -> stripe.Invoice:
        try:
            return self._seen(await call("retrieve", self._invoices.retrieve_async(identifier), writes=False))
        except Terminal as error:
            raise ServerError(f"{identifier} was deleted at Stripe; its key is spent") from error

    async def _fill(self, invoice: stripe.Invoice, *, is_new: bool) -> stripe.Invoice:
        """Add the lines that the draft lacks, told by their place in the metadata."""
        present = set[str]() if is_new else await self._present(str(invoice.id))
        missing = [line for line in self._plan.lines if line["metadata"][stripe_invoice.LINE_KEY] not in present]
        for start in range(0, len(missing), LINES_PER_CALL):
            lines: Any = missing[start : start + LINES_PER_CALL]
            first, last = (line["metadata"][stripe_invoice.LINE_KEY] for line in (lines[0], lines[-1]))
            key = self._options(f"{invoice.id}:lines:{first}-{last}-{len(lines)}")
            request = self._invoices.add_lines_async(str(invoice.id), {"lines": lines}, key)
            invoice = self._seen(await call("add_lines", request))
        return invoice

    async def _present(self, identifier: str) -> set[str]:
        places = set[str]()
        after: dict[str, Any] = {}
        for _ in range(MAX_PAGES):
            parameters: Any = {"limit": 100, **after}
            page = await call("lines", self._invoices.line_items.list_async(identifier, parameters), writes=False)
            places |= {str(metadata_of(line, stripe_invoice.LINE_KEY)) for line in page.data}
            if not page.has_more:
                break
            after = {"starting_after": page.data[-1].id}
        return places

    async def _compare(self, invoice: stripe.Invoice) -> None:
        """Stripe's total against ours, before anything is final. The draft stays for a person to look at."""
        theirs = await self._counted(invoice)
        if theirs == self._plan.total:
            return
        currency = self._plan.document.currency
        ours, other = (money.canonical(stripe_invoice.major_units(n, currency)) for n in (self._plan.total, theirs))
        raise Terminal(
            "TOTAL_DRIFT",
            f"Stripe computes {other} {currency} for {invoice.id}, we billed {ours}.",
            hint="Look for foreign lines, discounts or taxes on the draft, delete it and retry.",
        )

    async def _counted(self, invoice: stripe.Invoice) -> int:
        """What is to equal our total. Where no tax is asked for, any that is there is a difference."""
        return (
            invoice.total
            if self._plan.customer.options.tax.way == "off"
            else await stripe_totals.billed(self._client, invoice)
        )

    def _is_done(self, invoice: stripe.Invoice) -> bool:
        options = self._plan.customer.options
        is_left = options.leave_in_draft or (options.tax.is_external and bool(invoice.auto_advance))
        return invoice.status != "draft" or is_left

    def _is_ours(self, invoice: stripe.Invoice) -> bool:
        return metadata_of(invoice, stripe_invoice.DIGEST_KEY) in (self._plan.digest, None)

    def _options(self, step: str) -> stripe.RequestOptions:
        return {"idempotency_key": f"{self._key}:{step}"}

    def _seen(self, invoice: object) -> stripe.Invoice:
        seen = checked(invoice)
        if seen.last_response is not None and seen.last_response.request_id:
            self._request_ids.append(seen.last_response.request_id)
        return seen

    async def _told(
        self,
        invoice: stripe.Invoice,
        status: OutcomeStatus,
        *,
        code: str | None = None,
        message: str | None = None,
        hint: str | None = None,
    ) -> Outcome:
        currency = self._plan.document.currency
        return Outcome(
            reference=self._plan.document.reference,
            status=status,
            acknowledged=stripe_invoice.major_units(await self._counted(invoice), currency),
            provider_reference=invoice.id,
            provider_status=invoice.status,
            code=code,
            message=message,
            hint=hint,
            request_ids=tuple(self._request_ids),
            effective_at=instant_of(invoice.effective_at),
        )
