"""The order of products on a rate card over GraphQL: set whole, moved in parts, and followed by invoice lines."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.catalog.product_order import moved
from app.store import ids
from tests import builders as build
from tests.api.conftest import Api
from tests.api.test_usage_ingest import event, ingest

SHOWN = "rateCard { products { nodes { name } totalCount } }"
SET = f"""
mutation ($id: ID!, $products: [ID!]!) {{
  rateCardSetProductOrder(id: $id, productIds: $products) {{ {SHOWN} {build.ERRORS} }}
}}
"""
MOVE = f"""
mutation ($id: ID!, $moves: [ProductMoveInput!]!) {{
  rateCardMoveProducts(id: $id, moves: $moves) {{ {SHOWN} {build.ERRORS} }}
}}
"""
READ = "query ($id: ID!) { rateCard(id: $id) { products(first: 3) { nodes { name } totalCount } } }"
NOWHERE = "prd_" + "0" * 32


class Card:
    """A card with the products A to E."""

    def __init__(self, api: Api, identifier: str, products: dict[str, str]) -> None:
        self.api, self.id, self.products = api, identifier, products

    async def set(self, names: str) -> Any:
        wanted = [self.products.get(name, NOWHERE) for name in names]
        return (await self.api(SET, id=self.id, products=wanted))["rateCardSetProductOrder"]

    async def move(self, *moves: tuple[str, int]) -> Any:
        wanted = [{"productId": self.products.get(name, NOWHERE), "position": position} for name, position in moves]
        return (await self.api(MOVE, id=self.id, moves=wanted))["rateCardMoveProducts"]


def order(payload: Any) -> str:
    assert payload["userErrors"] == []
    return "".join(product["name"] for product in payload["rateCard"]["products"]["nodes"])


@pytest.fixture
async def card(api: Api) -> Card:
    metric = (await build.metric(api))["id"]
    products = {name: (await build.product(api, name, metric_id=metric))["id"] for name in "EDCBA"}
    listed = [build.rate(products[name], price) for name in "ABCDE" for price in ("1", "2")]
    return Card(api, (await build.rate_card(api, rates=listed))["id"], products)


async def test_products_stand_by_name_until_an_order_is_set(card: Card) -> None:
    found = (await card.api(READ, id=card.id))["rateCard"]["products"]
    assert found == {"nodes": [{"name": name} for name in "ABC"], "totalCount": 5}
    assert order(await card.set("CA")) == "CABDE"
    assert order(await card.set("EDCBA")) == "EDCBA"
    assert order(await card.set("")) == "ABCDE"


@pytest.mark.parametrize(
    ("moves", "expected"),
    [
        ([("E", 0)], "EABCD"),
        ([("A", 4)], "BCDEA"),
        ([("E", 0), ("A", 4)], "EBCDA"),
        ([("A", 1), ("B", 0)], "BACDE"),
        ([("D", 2), ("E", 3)], "ABDEC"),
        ([("C", 2)], "ABCDE"),
    ],
)
async def test_products_are_moved_to_positions(card: Card, moves: list[tuple[str, int]], expected: str) -> None:
    assert order(await card.move(*moves)) == expected


async def test_moves_that_are_refused_change_nothing(card: Card) -> None:
    await card.set("EDCBA")
    for moves, code, path in [
        ([], "REQUIRED", ["moves"]),
        ([("?", 0)], "PRODUCT_NOT_ON_CARD", ["moves", "0", "productId"]),
        ([("A", 0), ("B", 5)], "INVALID", ["moves", "1", "position"]),
        ([("A", -1)], "INVALID", ["moves", "0", "position"]),
        ([("A", 0), ("B", 0)], "INVALID", ["moves"]),
        ([("A", 0), ("A", 1)], "INVALID", ["moves"]),
    ]:
        [error] = (await card.move(*moves))["userErrors"]
        assert (error["code"], error["path"]) == (code, path), moves
    for names, code, path in [
        ("A?", "PRODUCT_NOT_ON_CARD", ["productIds", "1"]),
        ("AA", "INVALID", ["productIds"]),
    ]:
        [error] = (await card.set(names))["userErrors"]
        assert (error["code"], error["path"]) == (code, path), names
    assert order(await card.move(("E", 0))) == "EDCBA"


async def test_a_product_of_another_card_is_not_on_this_one(card: Card) -> None:
    card.products["F"] = (await build.product(card.api, "F"))["id"]
    [error] = (await card.set("F"))["userErrors"]
    assert (error["code"], error["path"]) == ("PRODUCT_NOT_ON_CARD", ["productIds", "0"])


async def test_lines_of_an_invoice_follow_the_order(card: Card) -> None:
    api = card.api
    await card.set("CA")
    customer = await build.customer(api, externalId="acme")
    contract = await build.contract(api, customer["id"], card.id)
    await ingest(api, event("t"))
    document = "query ($id: ID!) { contract(id: $id) { drafts { lines { nodes { productName } } } } }"
    [draft] = (await api(document, id=contract["id"]))["contract"]["drafts"]
    assert "".join(line["productName"] for line in draft["lines"]["nodes"]) == "CABDE"


@given(data=st.data())
def test_every_moved_product_stands_where_it_was_sent(data: st.DataObject) -> None:
    products = [ids.new_id() for _ in range(data.draw(st.integers(1, 8)))]
    named = data.draw(st.lists(st.sampled_from(products), unique=True, min_size=1))
    places = data.draw(st.permutations(range(len(products))))[: len(named)]
    moves = list(zip(named, places, strict=True))
    found = moved(products, moves)
    assert sorted(found) == sorted(products)
    assert all(found[place] == product for product, place in moves)
    assert [item for item in found if item not in named] == [item for item in products if item not in named]
