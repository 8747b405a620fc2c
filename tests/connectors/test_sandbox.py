"""The stand-ins themselves: their rules are the providers', and their desk is no provider."""

from __future__ import annotations

import subprocess
import sys
import uuid
from pathlib import Path

import httpx
import pytest

from tests.connectors.world import Sandbox

PERSON = {"authorization": "Bearer sk_test_person"}


def create(sandbox: Sandbox, key: str = "", **form: str) -> httpx.Response:
    headers = {**PERSON, "idempotency-key": key} if key else PERSON
    return sandbox.http.post("/v1/invoices", data={"customer": "cus_1", **form}, headers=headers)


def test_the_desk_does_not_count_as_a_provider(sandbox: Sandbox) -> None:
    sandbox.effects("stripe")
    sandbox.fault("stripe", "slow")
    assert sandbox.calls() == []


@pytest.mark.parametrize("order", [{}, {"provider": "stripe"}, {"provider": "stripe", "kind": "explode"}])
def test_unknown_faults_are_refused(order: dict[str, str], sandbox: Sandbox) -> None:
    assert sandbox.http.post("/_sandbox/faults", json=order).status_code == 400
    assert sandbox.http.post("/_sandbox/reset", json={"only": ["everything"]}).status_code == 400


def test_a_fault_waits_for_its_turn_and_ends(sandbox: Sandbox) -> None:
    sandbox.fault("stripe", "throttle_429", match="invoices.create", after=1, times=2)
    assert [create(sandbox).status_code for _ in range(4)] == [200, 429, 429, 200]
    assert sandbox.calls(state="done")[1]["fault"] == "throttle_429"


def test_a_key_replays_its_first_answer_for_a_day(sandbox: Sandbox) -> None:
    first, again = create(sandbox, "k"), create(sandbox, "k")
    assert first.json()["id"] == again.json()["id"]
    assert again.headers["idempotent-replayed"] == "true"
    assert create(sandbox, "k", currency="eur").json()["error"]["type"] == "idempotency_error"
    sandbox.clock.move(hours=24)
    assert create(sandbox, "k").json()["id"] != first.json()["id"]


def test_a_500_is_replayed_and_a_slow_down_is_not(sandbox: Sandbox) -> None:
    sandbox.fault("stripe", "refuse_500")
    assert [create(sandbox, "a").status_code for _ in range(2)] == [500, 500]
    sandbox.fault("stripe", "throttle_429")
    assert [create(sandbox, "b").status_code for _ in range(2)] == [429, 200]


@pytest.mark.parametrize(
    ("form", "param"),
    [
        ({"colour": "red"}, "colour"),
        ({"effective_at": "1e3"}, "effective_at"),
        ({"days_until_due": "30"}, "days_until_due"),
        ({"due_date": "1"}, "due_date"),
        ({"customer": "acme"}, "customer"),
        ({"metadata[k]": "v" * 501}, "metadata"),
        ({"collection_method": "later"}, "collection_method"),
        ({"automatic_tax[enabled]": "yes"}, "automatic_tax[enabled]"),
        ({"automatic_tax[liability][colour]": "red"}, "automatic_tax[liability][colour]"),
        (
            {"automatic_tax[enabled]": "true", "automatic_tax[liability][account]": "acct_1"},
            "automatic_tax[liability][type]",
        ),
        ({"custom_fields[name]": "PO"}, "custom_fields"),
        ({"metadata": "text"}, "metadata"),
        ({"transfer_data[destination]": "acct_1"}, "transfer_data"),
    ],
)
def test_wrong_parameters_are_refused(form: dict[str, str], param: str, sandbox: Sandbox) -> None:
    answer = create(sandbox, **form)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert answer.headers["request-id"].startswith("req_")


def test_drafts_are_edited_and_deleted_and_the_rest_is_not(sandbox: Sandbox) -> None:
    draft = f"/v1/invoices/{create(sandbox).json()['id']}"
    form = {"effective_at": "1793491199", "metadata[a]": "b", "auto_advance": "false"}
    assert sandbox.http.post(draft, data=form, headers=PERSON).json()["effective_at"] == 1793491199
    assert sandbox.http.post(f"{draft}/finalize", headers=PERSON).status_code == 400
    for wrong in ({"lines[0][amount]": "500.00"}, {"lines[0][colour]": "red"}, {"lines[0][description]": "x"}):
        assert sandbox.http.post(f"{draft}/add_lines", data=wrong, headers=PERSON).status_code == 400
    backwards = {"lines[0][amount]": "5", "lines[0][period][start]": "9", "lines[0][period][end]": "8"}
    assert sandbox.http.post(f"{draft}/add_lines", data=backwards, headers=PERSON).status_code == 400
    sandbox.http.post(f"{draft}/add_lines", data={"lines[0][amount]": "500"}, headers=PERSON)
    assert sandbox.http.post(f"{draft}/finalize", headers=PERSON).json()["status"] == "open"
    assert sandbox.http.delete(draft, headers=PERSON).status_code == 400
    assert sandbox.http.post(draft, data=form, headers=PERSON).json()["error"]["code"] == "invoice_not_editable"
    assert sandbox.http.get("/v1/invoices/in_none", headers=PERSON).status_code == 404
    assert sandbox.http.get("/v1/customers/cus_1", headers=PERSON).json()["id"] == "cus_1"
    assert sandbox.http.get("/v1/customers/cus_1").status_code == 401


def test_aws_resolves_a_buyer_and_knows_its_operations(sandbox: Sandbox) -> None:
    def ask(operation: str, body: dict[str, object]) -> httpx.Response:
        return sandbox.http.post("/", json=body, headers={"x-amz-target": f"AWSMPMeteringService.{operation}"})

    resolved = ask("ResolveCustomer", {"RegistrationToken": "123456789012"}).json()
    assert resolved["CustomerAWSAccountId"] == "123456789012"
    assert ask("ResolveCustomer", {"RegistrationToken": "x"}).json()["__type"] == "InvalidTokenException"
    assert ask("Unheard", {}).status_code == 400
    many = [{"Timestamp": 0, "Dimension": "d"}] * 26
    assert ask("BatchMeterUsage", {"UsageRecords": many}).json()["__type"] == "ValidationException"


def test_azure_wants_a_version_a_bearer_and_at_most_25(sandbox: Sandbox) -> None:
    address, bearer = "/api/batchUsageEvent?api-version=2018-08-31", {"authorization": "Bearer x"}
    assert sandbox.http.post(address, json={"request": []}, headers=bearer).status_code == 400
    assert sandbox.http.post(address, json={"request": [{}] * 26}, headers=bearer).status_code == 400
    assert sandbox.http.post(address, json={"request": [{}]}).status_code == 403
    assert sandbox.http.post("/api/usageEvent", json={}, headers=bearer).status_code == 400
    odd = {"resourceId": "r", "planId": "p", "dimension": "d", "quantity": 1, "effectiveStartTime": "yesterday"}
    answer = sandbox.http.post(address, json={"request": [odd, {**odd, "quantity": 0}]}, headers=bearer)
    assert [row["status"] for row in answer.json()["result"]] == ["BadArgument", "BadArgument"]
    assert sandbox.http.get("/api/usageEvents?api-version=2018-08-31", headers=bearer).status_code == 400


def test_the_stand_ins_run_in_a_process_of_their_own_and_remember(database_url: str, tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    clock.write_text("2026-11-02T12:00:00Z\n")
    reference = uuid.uuid4().hex
    for number_of_invoices in (1, 2):
        arguments = ["--dsn", database_url, "--port", "0", "--clock", str(clock)]
        command = [sys.executable, "-m", "connectors.sandbox", *arguments]
        with subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            base = process.stdout.readline().strip()
            try:
                form = {"customer": "cus_1", "metadata[run]": reference}
                made = httpx.post(f"{base}/v1/invoices", data=form, headers=PERSON).json()
                assert made["created"] == 1793620800
                found = httpx.get(f"{base}/_sandbox/effects").json()["stripe"]["invoices"]
                assert [one["metadata"]["run"] for one in found] == [reference] * number_of_invoices
            finally:
                process.kill()
