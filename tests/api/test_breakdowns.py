"""The invoice by hour and day: its windows add up to it, drafts and final ones alike."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests import builders
from tests.api.conftest import Api
from tests.api.test_invoice_voids import late
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


MANY = """
query ($input: BreakdownInput!, $first: Int! = 35, $after: String, $by: [String!]! = []) {
  breakdowns(input: $input, first: $first, after: $after) {
    nodes { window { startingAt } isFinal invoice { id } total { amount } lateAmount { amount }
      groups(by: $by, byProduct: true) { productName product { id } values { key value } quantity total { amount } } }
    pageInfo { hasNextPage endCursor } totalCount } }
"""
AUTUMN = builders.interval("2026-10-01T00:00:00Z", "2026-12-01T00:00:00Z")


async def many(api: Api, *, first: int = 35, by: list[str] | None = None, **asked: Any) -> list[dict[str, Any]]:
    """All windows that an input asks for, over all pages."""
    found: list[dict[str, Any]] = []
    after = None
    while True:
        asked_for = {"interval": AUTUMN, **asked}
        page = (await api(MANY, input=asked_for, first=first, after=after, by=by or []))["breakdowns"]
        assert (page["totalCount"], len(page["nodes"]) <= first) == (None, True)
        found += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            return found
        after = page["pageInfo"]["endCursor"]


def spelled(windows: list[dict[str, Any]]) -> list[str]:
    """day hour: total, and what came late"""
    return [
        f"{w['window']['startingAt'][5:13]} {w['total']['amount']}"
        + (f" late {w['lateAmount']['amount']}" if w["lateAmount"]["amount"] != "0" else "")
        for w in windows
    ]


OCTOBER = ["10-05T00 0.25295", "10-06T00 1", "10-31T00 -0.00295"]


async def test_usage_that_came_late_stands_apart(api: Api) -> None:
    final, november = await late(api)
    total, windows = await all_windows(api, final["id"], "DAY")
    assert total == sum(Decimal(window["total"]["amount"]) for window in windows)
    found = await many(api, customerId=final["customer"]["id"])
    # Of a day on which nothing was billed only what came late is there; the last hour rounds another amount then.
    assert spelled(found) == [*OCTOBER[:2], "10-20T00 0 late 1.5", OCTOBER[2], "11-01T00 0.5"]
    assert {(one["isFinal"], one["invoice"]["id"]) for one in found} == {(True, final["id"]), (False, november["id"])}
    assert sum(Decimal(one["total"]["amount"]) for one in found if one["isFinal"]) == total


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"status": ["FINALIZED"]}, OCTOBER),
        ({"status": ["DRAFT"]}, ["11-01T00 0.5"]),
        ({"direction": "DESC"}, ["11-01T00 0.5", *OCTOBER[::-1]]),
        ({"currency": "EUR"}, []),
        ({"interval": builders.interval("2026-10-05T01:00:00Z", "2026-11-01T00:00:00Z")}, OCTOBER[1:]),
        (
            {"interval": builders.interval("2026-10-05T10:00:00Z", "2026-10-05T12:00:00Z"), "windowSize": "HOUR"},
            ["10-05T10 0.25295"],
        ),
        (
            {"interval": builders.interval("2026-10-04T00:00:00Z", "2026-10-07T00:00:00Z"), "skipZeroQuantity": False},
            ["10-04T00 0", *OCTOBER[:2]],
        ),
    ],
)
async def test_windows_are_chosen_and_paged(api: Api, asked: dict[str, Any], expected: list[str]) -> None:
    made = await seller(api)
    [october, _november] = await drafts_of(api, customer=made["customer"]["id"])
    await finalized(api, october["id"])
    for first in (1, 2, 35):
        assert spelled(await many(api, first=first, contractId=made["contract"]["id"], **asked)) == expected


async def test_a_page_is_never_longer_than_35_days_or_24_hours(api: Api) -> None:
    made = await seller(api)
    for size, limit, count in (("DAY", 35, 61), ("HOUR", 24, 48)):
        end = "2026-12-01T00:00:00Z" if size == "DAY" else "2026-10-03T00:00:00Z"
        asked = {
            "contractId": made["contract"]["id"], "interval": builders.interval("2026-10-01T00:00:00Z", end),
            "windowSize": size, "skipZeroQuantity": False,
        }  # fmt: skip
        page = (await api(MANY, input=asked, first=100))["breakdowns"]
        assert (len(page["nodes"]), page["pageInfo"]["hasNextPage"]) == (limit, True)
        assert len(await many(api, first=100, **asked)) == count


async def test_windows_by_product_and_property(api: Api) -> None:
    made = await seller(api)
    [first, second, _november] = await many(api, customerId=made["customer"]["id"], by=["region", "team"])
    values = [{"key": "region", "value": "eu"}, {"key": "team", "value": None}]
    assert first["groups"] == [
        {
            "productName": "Tokens", "product": {"id": made["product"]["id"]}, "values": values, "quantity": "24.5",
            "total": {"amount": "0.25295"},
        }
    ]  # fmt: skip
    assert [group["values"][0]["value"] for group in second["groups"]] == ["us"]
    asked = {"customerId": made["customer"]["id"], "interval": AUTUMN}
    for wrong, reason in ((["a", "a"], "INVALID"), (list("abcdef"), "LIMIT_EXCEEDED"), ([""], "REQUIRED")):
        errors = await api.errors(MANY, input=asked, by=wrong)
        assert {error["extensions"]["reason"] for error in errors} == {reason}


async def test_what_cannot_be_asked(api: Api) -> None:
    made = await seller(api)
    customer = made["customer"]["id"]
    for wrong in (
        {"interval": AUTUMN},
        {"interval": AUTUMN, "customerId": customer, "contractId": made["contract"]["id"]},
        {"interval": AUTUMN, "customerId": customer, "status": ["VOID"]},
        {"interval": {"startingAt": "2026-10-01T00:00:00Z"}, "customerId": customer},
        {"interval": builders.interval("2026-10-02T00:00:00Z", "2026-10-01T00:00:00Z"), "customerId": customer},
        {"interval": AUTUMN, "customerId": f"cus_{'0' * 32}"},
    ):
        [error] = await api.errors(MANY, input=wrong)
        assert error["extensions"]["code"] in ("BAD_USER_INPUT", "NOT_FOUND"), error
    page = (await api(MANY, input={"customerId": customer, "interval": AUTUMN}, first=1))["breakdowns"]
    other = {"contractId": made["contract"]["id"], "interval": AUTUMN}
    [error] = await api.errors(MANY, input=other, after=page["pageInfo"]["endCursor"])
    assert "cursor" in error["message"]
    [error] = await (await api.with_scopes("customers:read")).errors(MANY, input=other)
    assert error["extensions"]["code"] == "FORBIDDEN"
