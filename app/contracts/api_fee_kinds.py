"""The kinds of fees and charges in GraphQL: when, how and where they are billed.

Owns their enums, which types and inputs share.
"""

from __future__ import annotations

from app.core import fees
from app.graphql.values import described_enum

CollectionTiming = described_enum(
    fees.Collection,
    name="CollectionTiming",
    description="When the fee of a billing period is charged.",
    sentences={fees.Collection.ADVANCE: "At its start.", fees.Collection.ARREARS: "At its end."},
)
FeePlacement = described_enum(
    fees.FeePlacement,
    name="FeePlacement",
    description="Which invoice carries a fee.",
    sentences={
        fees.FeePlacement.ON_USAGE_INVOICE: "The usage statement that ends on its day, or around it when it is charged "
        "in arrears; where there is none, an invoice of its own.",
        fees.FeePlacement.ON_SCHEDULED_INVOICE: "Always an invoice of its own.",
    },
)
IncreaseBilling = described_enum(
    fees.IncreaseBilling,
    name="IncreaseBilling",
    description="When an increase in mid-period is charged, where fees are collected in advance.",
    sentences={
        fees.IncreaseBilling.BILL_IMMEDIATELY: "On its own date.",
        fees.IncreaseBilling.BILL_ON_NEXT_COLLECTION_DATE: "With the fee of the next period.",
    },
)
FeeRoundingMethod = described_enum(
    fees.FeeRoundingMethod,
    name="FeeRoundingMethod",
    description="Where a prorated fee between two steps goes.",
    sentences={
        fees.FeeRoundingMethod.HALF_UP: "To the nearer one; a half goes up.",
        fees.FeeRoundingMethod.FLOOR: "Down.",
        fees.FeeRoundingMethod.CEILING: "Up.",
    },
)
