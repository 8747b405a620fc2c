"""One seller's account at AWS Marketplace: its settings, the buyer's side, regional clients, and calls to them.

Owns what metering and agreements share. Leaves what a call means to them, and how AWS is reached to `aws.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from connectors.aws import REGION, AwsAccess, Refused, call, make_client
from connectors.base import Terminal
from connectors.http import Secret, SettingsTable
from connectors.metering import BatchRefused

METERING, ENTITLEMENT, AGREEMENT = "meteringmarketplace", "marketplace-entitlement", "marketplace-agreement"
REQUESTED_BY = ("agreementId", "variablePaymentTermId")
"""The keys of a customer's side that name what a payment request is made against."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsMarketplaceConfig:
    """One seller account.

    `entitlements`: the product is a contract, so what was bought is read before it is metered. `payment_requests`: customers
    may name an agreement and a term of it, and their scheduled invoices are asked for one by one. `webhook_secrets` are
    what an EventBridge destination sends in `X-Api-Key`; `sns_base` is where a stand-in's certificates lie.
    """

    access: AwsAccess = field(default_factory=AwsAccess)
    unit_price: Decimal = Decimal("0.01")
    dimension: str = "usage_fee"
    entitlements: bool = False
    payment_requests: bool = False
    sns_topics: tuple[str, ...] = ()
    webhook_secrets: tuple[Secret, ...] = ()
    entitlement_endpoint_url: str = ""
    agreement_endpoint_url: str = ""
    sns_base: str = ""

    @classmethod
    def from_table(cls, name: str, table: Mapping[str, Any], environ: Mapping[str, str]) -> AwsMarketplaceConfig:
        """Read `[connections.NAME]`; `SettingsError` with every problem."""
        read = SettingsTable(name, table, environ)
        config = cls(
            access=AwsAccess.read(read),
            unit_price=read.decimal("unit_price", "0.01"),
            dimension=read.text("dimension", "usage_fee", pattern=r"\S{1,255}", like="1 to 255 characters"),
            entitlements=read.flag("entitlements", False),
            payment_requests=read.flag("payment_requests", False),
            sns_topics=read.texts("sns_topics"),
            webhook_secrets=read.secrets("webhook_secrets"),
            entitlement_endpoint_url=read.address("entitlement_endpoint_url", ""),
            agreement_endpoint_url=read.address("agreement_endpoint_url", ""),
            sns_base=read.address("sns_base", ""),
        )
        if config.sns_base and environ.get("METROGRAPH_ENVIRONMENT") != "sandbox":
            read.fault("sns_base", "is for METROGRAPH_ENVIRONMENT=sandbox only")
        read.finish()
        return config


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsCustomer:
    """The buyer, in the style of new products (account and license) or of products from before June 2026.

    Where `agreement_id` and `term_id` (a VariablePaymentTerm) are given, scheduled invoices are payment requests.
    """

    account_id: str = ""
    license_arn: str = ""
    product_code: str = ""
    customer_identifier: str = ""
    region: str = ""
    agreement_id: str = ""
    term_id: str = ""

    @classmethod
    def from_settings(cls, settings: Mapping[str, str]) -> AwsCustomer:
        """Read the customer's side; `SettingsError` with every problem."""
        read = SettingsTable("customer", settings, {})
        customer = cls(
            account_id=read.text("awsCustomerAccountId", "", pattern=r"\d{12}", like="12 digits"),
            license_arn=read.text("licenseArn", "", pattern=r"arn:aws[\w-]*:license-manager:.+", like="a license ARN"),
            product_code=read.text("productCode", "", pattern=r"[-\w=]{1,255}", like="a product code"),
            customer_identifier=read.text("customerIdentifier", "", pattern=r"\S{1,255}", like="AWS's identifier"),
            region=read.text("region", "", pattern=REGION, like="a region such as us-east-1"),
            # The patterns of AgreementId and TermId in the SDK's model of marketplace-agreement, November 2026.
            agreement_id=read.text(
                REQUESTED_BY[0], "", pattern=r"[A-Za-z0-9_/-]{1,64}", like="AWS's id of the agreement"
            ),
            term_id=read.text(
                REQUESTED_BY[1], "", pattern=r"[A-Za-z0-9+=;,.@\-_]{1,256}", like="AWS's id of a VariablePaymentTerm"
            ),
        )
        if bool(customer.agreement_id) != bool(customer.term_id):
            given, missing = REQUESTED_BY if customer.agreement_id else REQUESTED_BY[::-1]
            read.fault(missing, f"is required with {given}: a payment request names both")
        if customer.license_arn and customer.product_code:
            # Both styles for one customer are two slots to AWS, so the same hour would be billed twice.
            read.fault("productCode", "give licenseArn (new products) or productCode (older ones), never both")
        elif customer.license_arn and not customer.account_id:
            read.fault("awsCustomerAccountId", "is required with licenseArn")
        elif not customer.license_arn and not customer.product_code:
            read.fault("licenseArn", "give awsCustomerAccountId and licenseArn, or productCode and customerIdentifier")
        elif customer.product_code and not (customer.customer_identifier or customer.account_id):
            read.fault("customerIdentifier", "is required with productCode")
        read.finish()
        return customer


class AwsAccount:
    """The clients of one connection, a region each, made when they are first needed."""

    def __init__(self, config: AwsMarketplaceConfig) -> None:
        self._config = config
        self._clients: dict[tuple[str, str], Any] = {}
        self._making = asyncio.Lock()

    async def call(
        self,
        service: str,
        region: str,
        operation: str,
        parameters: Mapping[str, Any],
        *,
        bad_record: frozenset[str] = frozenset(),
    ) -> Mapping[str, Any]:
        """One call. Errors: Terminal and Transient; `BatchRefused` for the codes of `bad_record`."""
        try:
            return await self.ask(service, region, operation, parameters, own=bad_record)
        except Refused as error:
            if error.code in bad_record or (bad_record and error.code == "INVALID_PARAMETERS"):
                ids = (error.request_id,) if error.request_id else ()
                raise BatchRefused(error.code, error.message, request_ids=ids) from error
            raise Terminal(error.code, error.message, hint="Correct what AWS names; a repeat will not help.") from error

    async def ask(
        self,
        service: str,
        region: str,
        operation: str,
        parameters: Mapping[str, Any],
        *,
        own: frozenset[str] = frozenset(),
    ) -> Mapping[str, Any]:
        """One call, whose refusals the caller understands. Errors: `Refused`, Terminal and Transient."""
        client = await self._client(service, region)
        return await call(operation, getattr(client, operation), own=own, **parameters)

    async def close(self) -> None:
        """Close the clients."""
        for client in self._clients.values():
            await asyncio.to_thread(client.close)

    async def _client(self, service: str, region: str) -> Any:
        async with self._making:
            if (service, region) not in self._clients:
                access, config = self._config.access, self._config
                own = {ENTITLEMENT: config.entitlement_endpoint_url, AGREEMENT: config.agreement_endpoint_url}
                if service in own:
                    access = replace(access, endpoint_url=own[service])
                made = await asyncio.to_thread(make_client, service, access, region=region)
                self._clients[service, region] = made
            return self._clients[service, region]
