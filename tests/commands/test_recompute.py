"""`metrograph recompute` as it is run: what it prints, to whom, and how it ends."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

from app.invoices.inputs import digest_of
from app.invoices.tables import InvoiceInputs
from app.store.ids import to_text
from tests.commands.conftest import Deployment
from tests.commands.test_billing import seller, tamper

__all__ = ["seller"]
NOTHING = "inv_" + "0" * 32


@pytest.fixture
def final(deployment: Deployment, seller: dict[str, Any]) -> str:
    """The id of a final invoice of the seller's contract: 7 calls at 0.335, rounded from 2.345 to 2.35."""
    assert seller["id"]
    assert deployment.run("invoices", "finalize").code == 0
    with psycopg.connect(deployment.database_url) as connection:
        [[identifier]] = connection.execute("select id from invoices").fetchall()
    return to_text("invoice", identifier)


def test_the_same_bytes_and_a_fault(deployment: Deployment, final: str) -> None:
    every = deployment.run("recompute", "--all", "--json")
    assert (every.code, every.err) == (0, ""), "no bar when nobody looks"
    counts = {"recomputed": 1, "same": 1, "different": 0, "notRecomputable": 0}
    assert every.document == {"ok": True, **counts, "invoices": []}
    named = deployment.run("recompute", final, final)
    assert (named.code, named.out) == (0, "1 same, 0 different, 0 not recomputable\n"), "named twice, computed once"

    tamper(deployment, "update invoice_lines set quantity = 8 where type = 'usage'")
    told = deployment.run("recompute", final)
    assert told.code == 1
    assert told.out == (
        f"DIFFERENT {final}\n  line 1 quantity: stored 8, computed 7\n0 same, 1 different, 0 not recomputable\n"
    )
    document = deployment.run("recompute", "--all", "--json")
    assert (document.code, document.document["ok"]) == (1, False)
    difference = {"line": 1, "part": "quantity", "stored": "8", "computed": "7"}
    expected = {"invoice": final, "outcome": "DIFFERENT", "reason": None, "differences": [difference]}
    assert document.document["invoices"] == [expected]


def test_what_cannot_be_computed_is_done_with_failures(deployment: Deployment, final: str) -> None:
    """Its price is that of a package that was taken away."""
    with psycopg.connect(deployment.database_url) as connection:
        connection.execute("alter table invoice_inputs disable trigger user")
        [row] = connection.execute("select terms, usage, pots, release from invoice_inputs").fetchall()
        terms, usage, pots, release = row
        terms["rates"][0]["rate"] = {"type": "CUSTOM", "rater": "gone", "parameters": {}, "release": "acme 1"}
        digest = digest_of(InvoiceInputs(terms=terms, usage=usage, pots=pots, release=release))
        connection.execute("update invoice_inputs set terms = %s, digest = %s", [json.dumps(terms), digest])
    found = deployment.run("recompute", "--all")
    assert (found.code, found.out) == (
        3,
        f"NOT_RECOMPUTABLE {final}: RATER_FAILED: Rater 'gone' is not installed here any more.\n"
        "0 same, 0 different, 1 not recomputable\n",
    )


@pytest.mark.parametrize("arguments", [[], ["--all", NOTHING], ["cus_" + "0" * 32], ["42"]])
def test_wrong_use(deployment: Deployment, arguments: list[str]) -> None:
    found = deployment.run("recompute", *arguments)
    assert (found.code, found.out) == (2, "")


def test_no_such_invoice(deployment: Deployment) -> None:
    found = deployment.run("recompute", NOTHING)
    assert (found.code, found.out) == (1, "")
    assert found.err.startswith("NOT_FOUND: ")


def test_nothing_to_recompute(deployment: Deployment) -> None:
    assert deployment.run("recompute", "--all").out == "0 same, 0 different, 0 not recomputable\n"
