"""The kinds and states of commits and credits in GraphQL, and how amounts recur.

Owns their enums, which types and inputs share.
"""

from __future__ import annotations

from app.core import fees, grants, ledger
from app.core.terms import RateTarget
from app.graphql.values import described_enum

BalanceKind = described_enum(
    grants.GrantType,
    name="BalanceKind",
    description="What a balance is.",
    sentences={
        grants.GrantType.PREPAID: "A commit that is paid for in advance.",
        grants.GrantType.POSTPAID: "A commit that usage counts towards; what is missing is billed at the end.",
        grants.GrantType.CREDIT: "A gift.",
    },
)
BalanceStatus = described_enum(
    ledger.GrantStatus,
    name="BalanceStatus",
    description="Where a balance stands.",
    sentences={
        ledger.GrantStatus.ACTIVE: "A segment can be used now.",
        ledger.GrantStatus.UPCOMING: "A segment is still to begin, and none can be used now.",
        ledger.GrantStatus.PENDING: "It waits to be paid.",
        ledger.GrantStatus.EXPIRED: "Every segment has ended.",
        ledger.GrantStatus.VOIDED: "It is archived, or its payment failed.",
    },
)
BalanceRateType = described_enum(
    RateTarget,
    name="BalanceRateType",
    description="Which price usage has that draws on a balance.",
    sentences={
        RateTarget.LIST_RATE: "The list price.",
        RateTarget.COMMIT_RATE: "The commit price, where a product has one.",
    },
)
PaymentGate = described_enum(
    grants.PaymentGate,
    name="PaymentGate",
    description="Who collects a payment without which nothing can be used of a commit.",
    sentences={
        grants.PaymentGate.STRIPE: "Stripe; it is asked for the outcome. A first try that fails has failed.",
        grants.PaymentGate.EXTERNAL: "You; tell the outcome by commitRelease. Nothing is sent to a provider.",
    },
)
PaymentGateStatus = described_enum(
    grants.GateStatus,
    name="PaymentGateStatus",
    description="What became of a payment for which a commit waits.",
    sentences={
        grants.GateStatus.PENDING: "It is awaited.",
        grants.GateStatus.PAID: "It was made; the commit can be used.",
        grants.GateStatus.FAILED: "It failed: the commit never can be used, and its invoice is void.",
    },
)
AmountDistribution = described_enum(
    fees.Distribution,
    name="AmountDistribution",
    description="What a recurring charge takes at each of its dates.",
    sentences={
        fees.Distribution.EACH: "The whole amount each time.",
        fees.Distribution.DIVIDED: "Its part of the amount, divided at 12 places; the last takes the remainder.",
        fees.Distribution.DIVIDED_ROUNDED: "Its part in whole smallest units, rounded down; the last takes the remainder.",
    },
)
