"""Custom prices over GraphQL, by the package of the README, installed as anybody would; and by raters that misbehave."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from app.catalog import raters
from app.core.invoice import InvoiceType, invoice_id
from app.store import ids
from app.store.engine import Store
from tests import builders as build
from tests.api.conftest import Api
from tests.api.test_invoices import DRAFTS, drafts_of, finalized
from tests.api.test_usage_ingest import event, ingest

README = Path(raters.__file__).parent / "README.md"
BAD = """
from decimal import Decimal

def check(parameters):
    if parameters.get("how") == "break":
        raise KeyError("x")

def price(quantity_from, quantity_to, parameters):
    wrong = {"float": 1.5, "nan": Decimal("NaN"), "int": 1, "less": Decimal(-1)}
    if parameters["how"] == "raise":
        raise RuntimeError("secret words")
    return [(quantity_to - quantity_from, wrong[parameters["how"]])]
"""


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example of the README and a bad one, installed from their sources without any index."""
    source, target = tmp_path_factory.mktemp("acme"), tmp_path_factory.mktemp("site")
    blocks = dict(re.findall(r"```(python|toml)\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL))
    only = '\n[tool.hatch.build.targets.wheel]\nonly-include = ["acme_raters.py", "bad_raters.py"]\n'
    (source / "pyproject.toml").write_text(blocks["toml"] + 'bad = "bad_raters"\ngone = "gone_raters"\n' + only)
    (source / "acme_raters.py").write_text(blocks["python"])
    (source / "bad_raters.py").write_text(BAD)
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"),
            *("--no-deps", "--no-build-isolation", "--target", str(target), str(source)),
        ],
        check=True,
        timeout=120,
    )
    return target


@pytest.fixture(autouse=True)
def installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(site))
    raters.rater_named.cache_clear()
    yield
    raters.rater_named.cache_clear()


def custom(rater: str = "falling", **parameters: object) -> dict[str, Any]:
    given = parameters or {"first": "10", "least": "8"}
    return {"custom": {"rater": rater, "parameters": given}}


async def sold(api: Api, price: dict[str, Any], **terms: Any) -> dict[str, Any]:
    """A contract over tokens at the price; 25 were used in October."""
    product = await build.product(api)
    card = await build.rate_card(api, rates=[{"productId": product["id"], "price": price}])
    customer = await build.customer(api, ingestAliases=["acme"])
    await ingest(api, event("1", timestamp="2026-10-05T10:00:00Z", properties={"n": "25"}))
    return await build.contract(api, customer["id"], card["id"], starting_at="2026-10-01T00:00:00Z", **terms)


def shown(invoice: dict[str, Any]) -> list[tuple[str, str]]:
    return [(line["quantity"], line["unitPrice"]) for line in invoice["lines"]["nodes"]]


async def test_the_readmes_rater_prices_drafts_and_invoices_and_is_frozen_with_them(api: Api, store: Store) -> None:
    half = {"change": {"multiplier": "0.5"}, "startingAt": "2026-11-01T00:00:00Z"}
    contract = await sold(api, custom(), overrides=[half])
    [october, _] = await drafts_of(api, contract=contract["id"])
    assert shown(october) == [("5", "8"), ("10", "9"), ("10", "10")]
    assert (await finalized(api, october["id"]))["total"]["amount"] == "230"
    async with store.transaction() as session:
        frozen = (
            await session.execute(text("select terms -> 'rates' -> 0 -> 'rate' from invoice_inputs"))
        ).scalar_one()
    assert frozen == {
        "type": "CUSTOM", "rater": "falling", "parameters": {"first": "10", "least": "8"}, "release": "acme-raters 1.2",
    }  # fmt: skip
    query = "price: listPrice { ... on CustomPrice { rater parameters multiplier } } overridePrice { ... on CustomPrice { multiplier } }"
    document = f"query ($id: ID!) {{ contract(id: $id) {{ rateSchedule {{ nodes {{ {query} }} }} }} }}"
    [row] = (await api(document, id=contract["id"]))["contract"]["rateSchedule"]["nodes"]
    assert row == {
        "price": {"rater": "falling", "parameters": {"first": "10", "least": "8"}, "multiplier": "1"},
        "overridePrice": {"multiplier": "0.5"},
    }


async def test_an_overwrite_and_a_composite_may_be_custom(api: Api) -> None:
    tokens = await build.product(api)
    made = await build.attempt(api, "product", name="Fee", type="COMPOSITE", composite={"productIds": [tokens["id"]]})
    fee = {"productId": made["product"]["id"], "price": custom(first="0.2", least="0.1")}
    card = await build.rate_card(api, rates=[build.rate(tokens["id"], "1"), fee])
    customer = await build.customer(api, ingestAliases=["acme"])
    own = {"productId": tokens["id"], "change": {"overwrite": custom(first="2", least="1")}}
    contract = await build.contract(
        api, customer["id"], card["id"], starting_at="2026-10-01T00:00:00Z", overrides=[own]
    )  # fmt: skip
    await ingest(api, event("1", timestamp="2026-10-05T10:00:00Z", properties={"n": "15"}))
    [october, _] = await drafts_of(api, contract=contract["id"])
    assert sorted(shown(october)) == [("10", "0.2"), ("10", "2"), ("15", "0.1"), ("5", "1")]


@pytest.mark.parametrize(
    ("price", "code", "path"),
    [
        (custom("nobody"), "RATER_UNKNOWN", ["custom", "rater"]),
        (custom("gone"), "RATER_UNKNOWN", ["custom", "rater"]),
        (custom(""), "REQUIRED", ["custom", "rater"]),
        (custom(first="10"), "RATER_REFUSED", ["custom", "parameters"]),
        (custom(first="10", least="-1"), "RATER_REFUSED", ["custom", "parameters"]),
        (custom("bad", how="break"), "RATER_FAILED", ["custom", "parameters"]),
        (custom("bad", how=1.5), "INVALID", ["custom", "parameters"]),
        (custom("bad", how=[{"deep": 1.5}]), "INVALID", ["custom", "parameters"]),
        (custom("bad", how="x" * 10_000), "INVALID", ["custom", "parameters"]),
        ({"custom": {"rater": "falling", "parameters": ["first"]}}, "INVALID", ["custom", "parameters"]),
    ],
)
async def test_prices_that_are_refused_and_not_stored(
    api: Api, store: Store, price: dict[str, Any], code: str, path: list[str]
) -> None:
    product = await build.product(api)
    error = await build.refusal(
        api, "rateCard", name="List", currency="USD", rates=[{"productId": product["id"], "price": price}]
    )
    assert (error["code"], error["path"]) == (code, ["input", "rates", "0", "price", *path]), error["message"]
    async with store.transaction() as session:
        assert (await session.execute(text("select count(*) from rates"))).scalar_one() == 0


async def test_only_usage_and_composite_products_have_custom_prices(api: Api) -> None:
    seats = await build.attempt(api, "product", name="Seats", type="SUBSCRIPTION")
    rate = {"productId": seats["product"]["id"], "price": custom(), "billingFrequency": "MONTHLY"}
    error = await build.refusal(api, "rateCard", name="List", currency="USD", rates=[rate])
    assert (error["code"], error["path"]) == ("INVALID", ["input", "rates", "0", "price"])
    tokens = await build.product(api)
    for rate in (
        {"productId": tokens["id"], "price": custom(), "commitPrice": {"flat": "1"}},
        {"productId": tokens["id"], "price": {"flat": "1"}, "commitPrice": custom()},
    ):
        error = await build.refusal(api, "rateCard", name="List", currency="USD", rates=[rate])
        assert (error["code"], error["path"]) == ("INVALID", ["input", "rates", "0", "commitPrice"])


@pytest.mark.parametrize("how", ["raise", "float", "nan", "int", "less"])
async def test_a_rater_that_misbehaves_is_told_and_nothing_is_stored(api: Api, store: Store, how: str) -> None:
    contract = await sold(api, custom("bad", how=how))
    response = await api.post(DRAFTS, {"contract": contract["id"]})
    [error] = response.json()["errors"]
    assert (response.status_code, error["extensions"]["reason"]) == (200, "RATER_FAILED"), error
    assert "secret words" not in error["message"]
    await _refused(api, store, contract)


async def test_a_rater_that_was_taken_away_is_told(
    api: Api, store: Store, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = await sold(api, custom())
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place != str(site)])
    raters.rater_named.cache_clear()
    [error] = await api.errors(DRAFTS, contract=contract["id"])
    assert error["message"] == "Rater 'falling' is not installed here any more."
    await _refused(api, store, contract)


async def _refused(api: Api, store: Store, contract: dict[str, Any]) -> None:
    """Nothing of the contract becomes final, and the code says why."""
    document = "mutation ($id: ID!) { invoiceFinalize(id: $id) { invoice { id } userErrors { code status } } }"
    identifier = _october(contract)
    answer = (await api(document, id=identifier))["invoiceFinalize"]
    assert answer == {"invoice": None, "userErrors": [{"code": "RATER_FAILED", "status": 409}]}
    async with store.transaction() as session:
        assert (await session.execute(text("select count(*) from invoices"))).scalar_one() == 0


def _october(contract: dict[str, Any]) -> str:
    """The id that the invoice of October will have; it follows from the contract."""
    start = datetime(2026, 10, 1, tzinfo=UTC)
    contract_id = ids.from_text("contract", contract["id"], path=("id",))
    identifier = invoice_id(contract_id=contract_id, invoice_type=InvoiceType.USAGE, starting_at=start, regeneration=0)
    return ids.to_text("invoice", identifier)
