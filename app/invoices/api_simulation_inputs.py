"""What callers send to preview invoices: the change, the time, and the usage.

Owns the inputs; `api_simulation_changes.py` makes changes of them that the services carry out.
"""

from __future__ import annotations

import strawberry

from app.catalog.api_card_inputs import RateInput
from app.contracts.api_inputs import ContractCreateInput
from app.graphql.values import IntervalInput
from app.invoices.api_contract_edits import ContractEditInput
from app.usage.api_preview_inputs import SimulatedUsageInput


@strawberry.input(description="An edit that is not carried out.")
class EditPreviewInput:
    contract_id: strawberry.ID = strawberry.field(description="The contract.")
    edit: ContractEditInput = strawberry.field(description="What would change.")


@strawberry.input(description="Other prices for a contract: another rate card, prices on its card, or both.")
class PricesPreviewInput:
    contract_id: strawberry.ID = strawberry.field(description="The contract.")
    rate_card_id: strawberry.ID | None = strawberry.field(default=None, description="The card it would use.")
    rates: list[RateInput] = strawberry.field(
        default_factory=list, description="Prices that would be added to its card, as rateCardAddRates takes them."
    )


@strawberry.input(one_of=True, description="What would be otherwise: give exactly one.")
class InvoiceChangeInput:
    contract: ContractCreateInput | None = strawberry.field(
        default=strawberry.UNSET, description="A contract that is not made; it may begin in the past."
    )
    edit: EditPreviewInput | None = strawberry.field(default=strawberry.UNSET, description="An edit.")
    prices: PricesPreviewInput | None = strawberry.field(default=strawberry.UNSET, description="Other prices.")
    none_of: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="Nothing of this contract; for other usage alone."
    )


@strawberry.input(description="Which invoices to preview, and what would be otherwise.")
class InvoicePreviewInput:
    change: InvoiceChangeInput = strawberry.field(description="What would be otherwise.")
    interval: IntervalInput | None = strawberry.field(
        default=None,
        description="Invoices whose period overlaps it, past or coming, at most 400 days; default: the current ones.",
    )
    usage: SimulatedUsageInput | None = strawberry.field(
        default=None, description="Usage that nobody sent; default: what is stored."
    )
