"""The invoice by hour and day: its windows add up to it, drafts and final ones alike."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.api.conftest import Api
from tests.api.test_invoices import app, drafts_of, finalized, seller

__all__ = ["app"]  # the fixture of the invoices' tests serves these too

WINDOWS = """
query ($id: ID!, $size: BreakdownWindowSize!, $first: Int!, $after: String) { invoice(id: $id) {
  total { amount }
  breakdowns(windowSize: $size, first: $first, after: $after) {
    nodes { window { startingAt endingBefore } total { amount } lines { quantity amount { amount } type } }
    pageInfo { hasNextPage endCursor } totalCount } } }
"""


async def all_windows(api: Api, invoice: str, size: str) -> tuple[Decimal, list[dict[str, Any]]]:
    """The invoice's total, and its windows over all pages."""
    found: list[dict[str, Any]] = []
    after = None
    while True:
        shown = (await api(WINDOWS, id=invoice, size=size, first=1, after=after))["invoice"]
        found += shown["breakdowns"]["nodes"]
        if not shown["breakdowns"]["pageInfo"]["hasNextPage"]:
            assert len(found) == shown["breakdowns"]["totalCount"]
            return Decimal(shown["total"]["amount"]), found
        after = shown["breakdowns"]["pageInfo"]["endCursor"]


@pytest.mark.parametrize("size", ["HOUR", "DAY"])
@pytest.mark.parametrize("final", [False, True])
async def test_windows_add_up_to_the_invoice(api: Api, size: str, final: bool) -> None:
    made = await seller(api)
    [october, _november] = await drafts_of(api, customer=made["customer"]["id"])
    if final:
        await finalized(api, october["id"])
    total, windows = await all_windows(api, october["id"], size)
    assert len(windows) > 1
    assert sum(Decimal(window["total"]["amount"]) for window in windows) == total
    starts = [window["window"]["startingAt"] for window in windows]
    assert starts == sorted(set(starts))
    kinds = {line["type"] for window in windows for line in window["lines"]}
    assert ("ROUNDING" in kinds) is final
