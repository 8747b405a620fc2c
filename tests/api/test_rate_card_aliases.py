"""Aliases of rate cards: one holder at a time, moved by schedule, resolved once by a contract."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest

from tests import builders as build
from tests.api.conftest import Api

CARD = "id aliases { name startingAt endingBefore }"
GIVE = f"""
mutation ($id: ID!, $alias: RateCardAliasInput!) {{
  rateCardGiveAlias(id: $id, alias: $alias) {{ rateCard {{ {CARD} }} {build.ERRORS} }}
}}
"""
END = f"""
mutation ($id: ID!, $name: String!, $end: DateTime!) {{
  rateCardEndAlias(id: $id, name: $name, endingBefore: $end) {{ rateCard {{ {CARD} }} {build.ERRORS} }}
}}
"""
FIND = "query ($alias: String, $at: DateTime) { rateCard(alias: $alias, at: $at) { id } }"
JANUARY, JUNE, JULY, AUGUST = (f"2027-{month:02}-01T00:00:00Z" for month in (1, 6, 7, 8))


async def card(api: Api, *aliases: dict[str, Any], name: str = "List") -> str:
    return (await build.rate_card(api, name, aliases=list(aliases)))["id"]


async def give(api: Api, card_id: str, name: str = "standard", start: str | None = None, end: str | None = None) -> Any:
    alias = {"name": name, "startingAt": start, "endingBefore": end}
    return (await api(GIVE, id=card_id, alias=alias))["rateCardGiveAlias"]


async def holder(api: Api, at: str, name: str = "standard") -> str | None:
    found = (await api(FIND, alias=name, at=at))["rateCard"]
    return found and found["id"]


async def test_a_new_holder_closes_the_alias_on_the_previous_one(api: Api) -> None:
    old = await card(api, {"name": "standard"})
    new = await card(api, {"name": "standard", "startingAt": JUNE}, name="New list")
    assert [await holder(api, at) for at in (JANUARY, "2027-05-31T23:00:00Z", JUNE, JULY)] == [old, old, new, new]
    shown = await api("query ($id: ID!) { rateCard(id: $id) { aliases { name startingAt endingBefore } } }", id=old)
    assert shown["rateCard"]["aliases"] == [{"name": "standard", "startingAt": None, "endingBefore": JUNE}]


async def test_an_alias_with_an_end_points_to_nothing_after_it(api: Api) -> None:
    await card(api, {"name": "standard"})
    promotion = await card(api)
    assert (await give(api, promotion, start=JUNE, end=JULY))["userErrors"] == []
    assert [await holder(api, at) for at in (JUNE, JULY)] == [promotion, None]


async def test_what_another_card_has_later_is_not_taken_from_it(api: Api) -> None:
    first = await card(api)
    later = await card(api, {"name": "standard", "startingAt": JULY})
    [error] = (await give(api, first, start=JUNE))["userErrors"]
    assert (error["code"], error["path"], error["status"]) == ("ALIAS_TAKEN", ["alias", "name"], 409)
    assert error["conflicting"] == {"id": later}
    assert (await give(api, first, start=JUNE, end=JULY))["userErrors"] == []
    assert [await holder(api, at) for at in (JANUARY, JUNE, JULY)] == [None, first, later]


async def test_the_same_card_may_say_it_again(api: Api) -> None:
    only = await card(api, {"name": "standard", "startingAt": JUNE})
    payload = await give(api, only, start=JUNE, end=AUGUST)
    assert payload["rateCard"]["aliases"] == [{"name": "standard", "startingAt": JUNE, "endingBefore": AUGUST}]


async def test_an_alias_ends_or_is_called_off(api: Api) -> None:
    only = await card(api, {"name": "standard"}, {"name": "soon", "startingAt": JULY})
    ended = (await api(END, id=only, name="standard", end=JUNE))["rateCardEndAlias"]
    assert [alias["endingBefore"] for alias in ended["rateCard"]["aliases"]] == [None, JUNE]
    gone = (await api(END, id=only, name="soon", end=JUNE))["rateCardEndAlias"]
    assert [alias["name"] for alias in gone["rateCard"]["aliases"]] == ["standard"]
    [error] = (await api(END, id=only, name="soon", end=JUNE))["rateCardEndAlias"]["userErrors"]
    assert (error["code"], error["path"]) == ("NOT_FOUND", ["name"])


@pytest.mark.parametrize(
    ("alias", "code", "path"),
    [
        ({"name": ""}, "REQUIRED", ["name"]),
        ({"name": "a" * 129}, "INVALID", ["name"]),
        ({"name": "a", "startingAt": "2027-01-01T00:30:00Z"}, "NOT_HOUR_ALIGNED", ["startingAt"]),
        ({"name": "a", "startingAt": JULY, "endingBefore": JUNE}, "INVALID_INTERVAL", ["endingBefore"]),
    ],
)
async def test_aliases_that_are_refused(api: Api, alias: dict[str, Any], code: str, path: list[str]) -> None:
    only = await card(api)
    payload = (await api(GIVE, id=only, alias=alias))["rateCardGiveAlias"]
    [error] = payload["userErrors"]
    assert (payload["rateCard"], error["code"], error["path"]) == (None, code, ["alias", *path])
    refused = await build.refusal(api, "rateCard", name="L", currency="USD", aliases=[{"name": "ok"}, alias])
    assert (refused["code"], refused["path"]) == (code, ["input", "aliases", "1", *path])
    assert (await api("{ rateCards { totalCount } }"))["rateCards"]["totalCount"] == 1
    assert await holder(api, JANUARY, "ok") is None


async def test_an_archived_card_takes_no_alias(api: Api) -> None:
    only = await card(api, {"name": "standard"})
    await build.change(api, "rateCardArchive(id: $id)", "rateCard", id=only)
    assert [error["code"] for error in (await give(api, only, start=JUNE))["userErrors"]] == ["ARCHIVED"]
    error = await build.refusal(api, "contract", **await terms(api), rateCardAlias="standard")
    assert error["code"] == "ARCHIVED"


async def terms(api: Api, starting_at: str = JANUARY) -> dict[str, Any]:
    return {"customerId": (await build.customer(api))["id"], "interval": build.interval(starting_at)}


async def test_a_contract_looks_the_alias_up_once_as_of_its_start(api: Api) -> None:
    old = await card(api, {"name": "standard"})
    new = await card(api)
    early = await build.attempt(api, "contract", **await terms(api), rateCardAlias="standard")
    assert (await give(api, new, start=JUNE))["userErrors"] == []
    late = await build.attempt(api, "contract", **await terms(api, JUNE), rateCardAlias="standard")
    before = await build.attempt(api, "contract", **await terms(api), rateCardAlias="standard")
    found = [made["contract"]["rateCard"]["id"] for made in (early, late, before)]
    assert found == [old, new, old]
    kept = await api("query ($id: ID!) { contract(id: $id) { rateCard { id } } }", id=early["contract"]["id"])
    assert kept["contract"]["rateCard"]["id"] == old


async def test_contracts_with_a_wrong_alias(api: Api) -> None:
    only = await card(api, {"name": "standard", "startingAt": JUNE})
    error = await build.refusal(api, "contract", **await terms(api), rateCardAlias="standard")
    assert (error["code"], error["path"]) == ("NOT_FOUND", ["input", "rateCardAlias"])
    error = await build.refusal(api, "contract", **await terms(api, JUNE), rateCardAlias="standard", rateCardId=only)
    assert (error["code"], error["path"]) == ("INVALID", ["input", "rateCardAlias"])


async def test_of_fifty_who_take_it_at_once_one_has_it(api: Api) -> None:
    old = await card(api, {"name": "standard"})
    rivals = [await card(api) for _ in range(50)]
    payloads = await asyncio.gather(*(give(api, rival, start=JUNE) for rival in rivals))
    winners = [rival for rival, payload in zip(rivals, payloads, strict=True) if not payload["userErrors"]]
    refused = {payload["userErrors"][0]["code"] for payload in payloads if payload["userErrors"]}
    assert (len(winners), refused) == (1, {"ALIAS_TAKEN"})
    assert [await holder(api, at) for at in (JANUARY, JUNE)] == [old, winners[0]]


async def test_of_fifty_who_take_it_one_after_another_each_has_it_for_a_while(api: Api) -> None:
    rivals = [await card(api) for _ in range(12)]
    starts = [f"2027-{month:02}-01T00:00:00Z" for month in range(1, 13)]
    calls = [give(api, rival, start=start) for rival, start in zip(rivals, starts, strict=True) for _ in range(4)]
    await asyncio.gather(*calls)
    held = [await holder(api, start) for start in starts]
    assert held[-1] == rivals[-1]
    assert all(
        found in (None, rival) or found in rivals[:place]
        for place, (found, rival) in enumerate(zip(held, rivals, strict=True))
    )


async def test_the_database_itself_allows_one_holder(api: Api, database_url: str) -> None:
    await card(api, {"name": "standard", "startingAt": JUNE})
    copy = (
        "insert into rate_card_aliases (id, created_at, rate_card_id, name, starting_at, ending_before) "
        "select gen_random_uuid(), now(), rate_card_id, %s, %s, null from rate_card_aliases limit 1"
    )
    with psycopg.connect(database_url) as connection:
        connection.execute(copy, ["Standard", JULY])
        with pytest.raises(psycopg.errors.ExclusionViolation):
            connection.execute(copy, ["standard", JULY])
