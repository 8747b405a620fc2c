"""Invoices that a person brings to the customer: nothing is called.

Owns the provider without a provider. The delivery freezes the document as for all others and is done at once, so that
lists, reconciliation and voids treat such an invoice like any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from app.core.period import Period
from connectors.base import (
    Capabilities,
    Clock,
    Document,
    InvoiceDocument,
    Notification,
    Outcome,
    OutcomeStatus,
    Problem,
    ProviderEntry,
    Receipt,
    not_supported,
)
from connectors.http import SettingsTable, problems_of

_HANDED_OVER, _VOIDED = "handed over", "voided"


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualConfig:
    """Nothing is configured; the table stands for itself."""

    @classmethod
    def from_table(cls, name: str, table: Mapping[str, Any], environ: Mapping[str, str]) -> ManualConfig:
        """Read `[connections.NAME]`; `SettingsError` for any key but `provider`."""
        SettingsTable(name, table, environ).finish()
        return cls()


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualCustomer:
    """How the customer gets invoices, for the person who sends them: an address, a purchase order."""

    note: str = ""

    @classmethod
    def from_settings(cls, settings: Mapping[str, str]) -> ManualCustomer:
        """Read the customer's side; `SettingsError` with every problem."""
        read = SettingsTable("customer", settings, {})
        customer = cls(note=read.text("note", "", pattern=r"[^\x00]{0,1000}", like="up to 1,000 characters"))
        read.finish()
        return customer


class ManualConnector:
    """Takes every invoice and calls nobody."""

    name: ClassVar[str] = "manual"
    capabilities: ClassVar[Capabilities] = Capabilities(mode="invoice", batch_size=1, accepts_negative=True)
    Config: ClassVar[type[Any]] = ManualConfig
    CustomerConfig: ClassVar[type[Any]] = ManualCustomer

    def __init__(self, config: ManualConfig, clock: Clock) -> None:
        self._clock = clock

    @staticmethod
    def validate_customer(settings: Mapping[str, str]) -> list[Problem]:
        """Every problem of the customer's side, which may be empty."""
        return problems_of(ManualCustomer.from_settings, settings)

    async def deliver(self, document: Document, key: str) -> list[Outcome]:
        """Done at once; the reference at the provider is the invoice's number, which a payment will name."""
        assert isinstance(document, InvoiceDocument), "an invoice is handed over"
        return [
            Outcome(
                reference=document.reference, status=OutcomeStatus.ACCEPTED, acknowledged=document.total,
                provider_reference=document.number, provider_status=_HANDED_OVER,
            )
        ]  # fmt: skip

    async def find(self, document: Document) -> Outcome | None:
        """Nothing is there before it is delivered, and nothing outside of us afterwards."""
        return None

    async def void(self, receipt: Receipt) -> Outcome:
        """Done at once; whoever handed the invoice over takes it back."""
        return Outcome(
            reference=receipt.reference, status=OutcomeStatus.ACCEPTED,
            provider_reference=receipt.provider_reference, provider_status=_VOIDED,
        )  # fmt: skip

    async def list(self, period: Period) -> Sequence[ProviderEntry]:
        """Not supported: nobody can be asked."""
        raise not_supported(self.name, "a person hands invoices over; compare with the ledger")

    async def status(self, provider_reference: str) -> ProviderEntry:
        """Not supported: nobody can be asked."""
        raise not_supported(self.name, "a person hands invoices over; nobody can be asked")

    def parse_webhook(self, headers: Mapping[str, str], body: bytes) -> Notification:
        """Not supported: nobody sends notices."""
        raise not_supported(self.name, "nobody sends notices")

    async def close(self) -> None:
        """Nothing is open."""
