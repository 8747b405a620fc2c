"""Google Cloud Marketplace: check before report, partial failures, ids of operations, and where tokens come from."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from connectors.base import Connector, MeteringDocument, OutcomeStatus, Terminal, Transient
from connectors.gcp_marketplace import operation_id
from connectors.google import GoogleTokens
from connectors.http import SettingsError
from tests.connectors.world import CUSTOMERS, ENVIRON, NOW, Sandbox, document, load, record, slots, statuses

Connect = Callable[..., Connector]
API = "https://servicecontrol.googleapis.com/v1/services/acme.example.com"
CONFIG = {"serviceConfigId": "2026-11-01r0"}


def connector(**settings: Any) -> Connector:
    kind = load("gcp_marketplace")
    return kind(kind.Config.from_table("gcp", {"static_token": "env:GCP_TOKEN", **settings}, ENVIRON), lambda: NOW)


@respx.mock
async def test_a_record_is_checked_and_then_reported_with_the_same_id() -> None:
    check = respx.post(f"{API}:check").mock(return_value=httpx.Response(200, json=CONFIG))
    report = respx.post(f"{API}:report").mock(return_value=httpx.Response(200, json=CONFIG))
    [outcome] = await connector().deliver(MeteringDocument((record("gcp_marketplace"),)), "key")
    operation = {
        "operationId": operation_id("slot_1"), "operationName": "metrograph hourly usage",
        "consumerId": "project_number:4711", "startTime": "2026-11-02T11:00:00Z", "endTime": "2026-11-02T12:00:00Z",
    }  # fmt: skip
    asked = json.loads(check.calls.last.request.content)
    assert asked == {"operation": operation}
    [sent] = json.loads(report.calls.last.request.content)["operations"]
    value = {"metricName": "acme.example.com/usage_fee", "metricValues": [{"int64Value": "1234"}]}
    assert sent == {**operation, "metricValueSets": [value]}
    assert (outcome.status, outcome.acknowledged) == (OutcomeStatus.ACCEPTED, Decimal(1234))
    assert outcome.provider_reference == operation["operationId"]


def test_the_id_of_an_operation_never_changes() -> None:
    """What was reported under another id would be counted again."""
    assert operation_id("mts_1") == "e096e216-599b-5e0a-b327-857adf556099"


@pytest.mark.parametrize(
    ("error", "end"),
    [
        ({"code": "SERVICE_NOT_ACTIVATED", "detail": "off"}, (OutcomeStatus.REFUSED, "SERVICE_NOT_ACTIVATED")),
        ({"code": "BILLING_DISABLED"}, (OutcomeStatus.REFUSED, "BILLING_DISABLED")),
        ({"code": "PROJECT_DELETED"}, (OutcomeStatus.REFUSED, "PROJECT_DELETED")),
        ({"code": "A_CODE_OF_TOMORROW"}, (OutcomeStatus.REFUSED, "A_CODE_OF_TOMORROW")),
        ({"code": "BILLING_STATUS_UNAVAILABLE"}, "later"),
        ({"code": "SERVICE_STATUS_UNAVAILABLE"}, "later"),
    ],
)
@respx.mock
async def test_what_a_check_says(error: dict[str, str], end: object) -> None:
    respx.post(f"{API}:check").mock(return_value=httpx.Response(200, json={**CONFIG, "checkErrors": [error]}))
    try:
        [outcome] = await connector().deliver(MeteringDocument((record("gcp_marketplace"),)), "key")
        found: object = (outcome.status, outcome.code)
    except Transient as failure:
        found = "unknown" if failure.unknown else "later"
    assert found == end


@pytest.mark.parametrize(
    ("status", "end"),
    [
        ({"code": 3, "message": "bad"}, (OutcomeStatus.REFUSED, "INVALID_ARGUMENT")),
        ({"code": 7}, (OutcomeStatus.REFUSED, "PERMISSION_DENIED")),
        ({"code": 6}, (OutcomeStatus.DUPLICATE, None)),
        ({"code": 14}, (OutcomeStatus.UNKNOWN, "NOT_ANSWERED")),
        ({"code": 99}, (OutcomeStatus.UNKNOWN, "NOT_ANSWERED")),
    ],
)
@respx.mock
async def test_a_report_fails_for_some_and_not_for_others(status: dict[str, Any], end: object) -> None:
    respx.post(f"{API}:check").mock(return_value=httpx.Response(200, json=CONFIG))
    failed = {"operationId": operation_id("s1"), "status": status}
    respx.post(f"{API}:report").mock(return_value=httpx.Response(200, json={**CONFIG, "reportErrors": [failed]}))
    outcomes = await connector().deliver(MeteringDocument(slots("gcp_marketplace", 3)), "key")
    assert [outcomes[0].status, outcomes[2].status] == [OutcomeStatus.ACCEPTED] * 2
    assert (outcomes[1].status, outcomes[1].code) == end


@pytest.mark.parametrize(
    ("response", "end"),
    [
        (httpx.Response(200, json={}), "unknown"),
        (httpx.Response(200, text="<html>"), "unknown"),
        (httpx.Response(503), "unknown"),
        (httpx.Response(429, headers={"retry-after": "3"}), "later"),
        (httpx.Response(401, json={"error": {"status": "UNAUTHENTICATED", "message": "no"}}), "stopped"),
        (httpx.Response(404), "useless"),
    ],
)
@respx.mock
async def test_what_an_answer_to_a_report_means(response: httpx.Response, end: str) -> None:
    respx.post(f"{API}:check").mock(return_value=httpx.Response(200, json=CONFIG))
    respx.post(f"{API}:report").mock(return_value=response)
    with pytest.raises((Transient, Terminal)) as failure:
        await connector().deliver(MeteringDocument((record("gcp_marketplace"),)), "key")
    error = failure.value
    if isinstance(error, Transient):
        assert end == ("unknown" if error.unknown else "later")
    else:
        assert end == ("stopped" if error.stop_connection else "useless")


async def test_a_buyer_without_an_entitlement_holds_nobody_up(connect: Connect, sandbox: Sandbox) -> None:
    gone = {**CUSTOMERS["gcp_marketplace"], "gcpUsageReportingId": "disabled:1"}
    found = await statuses(
        connect("gcp_marketplace"), record("gcp_marketplace", "a"), record("gcp_marketplace", "b", customer=gone)
    )
    assert found == [OutcomeStatus.ACCEPTED, OutcomeStatus.REFUSED]
    assert [effect["quantity"] for effect in sandbox.effects("gcp_marketplace")] == ["1234"]


@respx.mock
async def test_each_service_is_reported_by_itself_and_a_hundred_at_a_time() -> None:
    respx.post(url__regex=r".*:check").mock(return_value=httpx.Response(200, json=CONFIG))
    report = respx.post(url__regex=r".*:report").mock(return_value=httpx.Response(200, json=CONFIG))
    other = {**CUSTOMERS["gcp_marketplace"], "gcpServiceName": "other.example.com"}
    records = (*slots("gcp_marketplace", 101), record("gcp_marketplace", "o", customer=other))
    assert set(await statuses(connector(), *records)) == {OutcomeStatus.ACCEPTED}
    sizes = [len(json.loads(call.request.content)["operations"]) for call in report.calls]
    assert sizes == [100, 1, 1]


@pytest.mark.parametrize(
    ("table", "environ", "key"),
    [
        ({"credentials_file": "/nowhere/key.json"}, {}, "credentials_file"),
        ({"static_token": "env:GCP_TOKEN"}, {"METROGRAPH_ENVIRONMENT": "production"}, "static_token"),
        ({"dimension": "a b", "static_token": "env:GCP_TOKEN"}, {}, "dimension"),
    ],
)
def test_settings_that_are_refused(table: dict[str, Any], environ: dict[str, str], key: str) -> None:
    with pytest.raises(SettingsError) as failure:
        load("gcp_marketplace").Config.from_table("gcp", table, {**ENVIRON, **environ})
    assert [problem.key for problem in failure.value.problems] == [key]


class _TokenService(BaseHTTPRequestHandler):
    """Google's token service: gives a token, or refuses."""

    asked = 0
    refuses = False

    def do_POST(self) -> None:
        type(self).asked += 1
        self.rfile.read(int(self.headers["content-length"]))
        answer = {"error": "invalid_grant"} if self.refuses else {"access_token": "fresh", "expires_in": 3600}
        body = json.dumps(answer).encode()
        self.send_response(400 if self.refuses else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def token_service() -> Iterator[tuple[type[_TokenService], str]]:
    """A stand-in on loopback."""
    kind = type("TokenService", (_TokenService,), {})
    server = HTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield kind, f"http://127.0.0.1:{server.server_port}/token"
    server.shutdown()
    server.server_close()


async def test_tokens_come_from_a_service_accounts_key_and_are_kept(
    token_service: tuple[type[_TokenService], str], tmp_path: Path
) -> None:
    service, address = token_service
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = tmp_path / "key.json"
    file.write_text(json.dumps({
        "type": "service_account", "client_email": "meter@acme.example.com", "private_key": key.decode(),
        "private_key_id": "1", "token_uri": address, "project_id": "acme",
    }))  # fmt: skip
    tokens = GoogleTokens(str(file))
    assert [await tokens.token(), await tokens.token()] == ["fresh", "fresh"]
    assert service.asked == 1
    service.refuses = True
    with pytest.raises(Terminal) as failure:
        await GoogleTokens(str(file)).token()
    assert failure.value.stop_connection
    assert "BEGIN" not in repr(failure.value)


@pytest.mark.parametrize("content", ["", "{}", '{"type": "authorized_user"}', '{"type": "external_account"}', "[]"])
async def test_a_file_that_is_no_key_stops_the_connection(content: str, tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    file.write_text(content)
    with pytest.raises(Terminal) as failure:
        await GoogleTokens(str(file)).token()
    assert failure.value.hint


async def test_the_sandbox_refuses_what_google_does(connect: Connect, sandbox: Sandbox) -> None:
    base = f"{sandbox.base}/gcp/v1/services/acme.example.com"
    bearer = {"authorization": "Bearer token"}
    known = {"operationId": operation_id("x"), "operationName": "n", "consumerId": "project_number:1",
             "startTime": "2026-11-02T11:00:00Z", "endTime": "2026-11-02T12:00:00Z"}  # fmt: skip
    async with httpx.AsyncClient(headers=bearer) as http:
        for body in (
            {"operation": {**known, "colour": "red"}},
            {"operation": {"operationId": known["operationId"]}},
            {"operation": {**known, "operationId": "1"}},
            {"operations": [known]},
        ):
            assert (await http.post(f"{base}:check", json=body)).status_code == 400
        told = (await http.post(f"{base}:report", json={"operations": [known]})).json()
        assert told["reportErrors"][0]["status"]["code"] == 3, "no metric value"
    await connect("gcp_marketplace").deliver(document("gcp_marketplace"), "key")
    assert len(sandbox.effects("gcp_marketplace")) == 2
