"""Alerts through the API: made, refused, shown, reset and archived; what happens is told by the tests of delivery."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import text

from app.alerts.touched import evaluate_touched
from app.commands.checking import RULES
from app.store.engine import Store
from tests import builders
from tests.api.conftest import Api
from tests.api.test_invoices import app, seller

__all__ = ["app"]

SHOWN = """id name type threshold unit invoiceTypes hysteresis evaluateOnCreate notifyOnResolve archivedAt uniquenessKey
  customer { id } billableMetric { id } customFieldFilters { entity key value } groupValues { key value }
  seatFilter { key value }"""
ERRORS = "userErrors { code message path status conflicting { id } }"
CREATE = f"mutation ($input: AlertCreateInput!) {{ alertCreate(input: $input) {{ alert {{ {SHOWN} }} {ERRORS} }} }}"
ARCHIVE = (
    "mutation ($id: ID!, $release: Boolean!) { alertArchive(id: $id, releaseUniquenessKey: $release) "
    f"{{ alert {{ {SHOWN} }} {ERRORS} }} }}"
)
RESET = f"mutation ($id: ID!, $customer: ID!) {{ alertReset(alertId: $id, customerId: $customer) {{ alert {{ id }} {ERRORS} }} }}"
LIST = f"query ($filter: AlertFilter) {{ alerts(filter: $filter) {{ totalCount nodes {{ {SHOWN} }} }} }}"
STANDING = """query ($id: ID!) { customerAlerts(customerId: $id) { totalCount nodes { state customer { id } alert { id }
  subjects { state value since resolvedAt triggeredBy subject { key value } }
  history { totalCount nodes { at before after value triggeredBy eventType alert { id } customer { id } subject { key } } } } } }"""
SPEND: dict[str, Any] = {"name": "spend", "type": "SPEND_THRESHOLD_REACHED", "threshold": "1"}
LOW = "LOW_REMAINING_COMMIT_BALANCE_REACHED"


async def made(api: Api, **fields: Any) -> dict[str, Any]:
    answer = (await api(CREATE, input={**SPEND, **fields}))["alertCreate"]
    assert answer["userErrors"] == []
    return answer["alert"]


async def standing(api: Api, customer: str) -> list[dict[str, Any]]:
    return (await api(STANDING, id=customer))["customerAlerts"]["nodes"]


async def test_the_life_of_an_alert(api: Api, store: Store, now: datetime) -> None:
    customer = (await seller(api))["customer"]["id"]
    alert = await made(api, uniquenessKey="a", hysteresis="0.5", threshold="0", customerId=customer)
    assert (alert["unit"], alert["threshold"], alert["hysteresis"]) == ("USD", "0", "0.5")
    [shown] = await standing(api, customer)
    assert (shown["state"], shown["subjects"], shown["alert"]["id"]) == ("EVALUATING", [], alert["id"])
    assert await evaluate_touched(store, now=now) == 1
    [shown] = await standing(api, customer)
    assert shown["state"] == "IN_ALARM"
    [subject] = shown["subjects"]
    assert (subject["state"], subject["since"], subject["subject"]) == ("IN_ALARM", "2026-11-02T12:00:00Z", [])
    [change] = shown["history"]["nodes"]
    assert (change["before"], change["after"], change["eventType"]) == (
        "EVALUATING", "IN_ALARM", "alerts.spend_threshold_reached"
    )  # fmt: skip
    assert (change["alert"]["id"], change["customer"]["id"]) == (alert["id"], customer)
    for wanted, count in (
        ({"isInAlarm": True}, 1),
        ({"isInAlarm": False}, 0),
        ({"type": [LOW]}, 0),
        ({"customerId": customer}, 1),
    ):
        assert (await api(LIST, filter=wanted))["alerts"]["totalCount"] == count
    assert (await api(RESET, id=alert["id"], customer=customer))["alertReset"]["userErrors"] == []
    assert [node["state"] for node in await standing(api, customer)] == ["EVALUATING"]
    await evaluate_touched(store, now=now)
    [shown] = await standing(api, customer)
    assert shown["history"]["totalCount"] == 2
    [error] = (await api(CREATE, input={**SPEND, "uniquenessKey": "a"}))["alertCreate"]["userErrors"]
    assert (error["code"], error["status"], error["conflicting"]["id"]) == ("UNIQUENESS_KEY_CONFLICT", 409, alert["id"])
    for name, is_enabled, since in (("alertDisable", False, "2026-11-02T12:00:00Z"), ("alertEnable", True, None)):
        document = f"mutation ($id: ID!) {{ {name}(id: $id) {{ alert {{ disabledAt }} {ERRORS} }} }}"
        assert (await api(document, id=alert["id"]))[name] == {"alert": {"disabledAt": since}, "userErrors": []}
        assert (await api(LIST, filter={"isEnabled": is_enabled}))["alerts"]["totalCount"] == 1
    archived = (await api(ARCHIVE, id=alert["id"], release=True))["alertArchive"]["alert"]
    assert (archived["archivedAt"], archived["uniquenessKey"]) == ("2026-11-02T12:00:00Z", None)
    assert await standing(api, customer) == []
    again = await made(api, uniquenessKey="a")
    assert [node["id"] for node in (await api(LIST, filter={"includeArchived": True}))["alerts"]["nodes"]] == [
        again["id"], alert["id"]
    ]  # fmt: skip
    for document, variables in ((ARCHIVE, {"release": False}), (RESET, {"customer": customer})):
        [answer] = (await api(document, id=alert["id"], **variables)).values()
        assert [error["code"] for error in answer["userErrors"]] == ["ARCHIVED"]
    kept = await made(api, uniquenessKey="b")
    await api(ARCHIVE, id=kept["id"], release=False)
    [error] = (await api(CREATE, input={**SPEND, "uniquenessKey": "b"}))["alertCreate"]["userErrors"]
    assert error["code"] == "UNIQUENESS_KEY_CONFLICT"


async def test_what_an_alert_may_not_say(api: Api) -> None:
    """One world for all cases: a refused alert leaves nothing behind."""
    customer = (await builders.customer(api))["id"]
    metric = (await builders.metric(api))["id"]
    field = {"entity": "CONTRACT", "key": "cohort", "value": "a"}
    groups = [{"key": key} for key in "abcd"]
    cases: list[tuple[dict[str, Any], str, str]] = [
        ({"name": ""}, "REQUIRED", "name"),
        ({"threshold": "-1"}, "INVALID", "threshold"),
        ({"hysteresis": "-1"}, "INVALID", "hysteresis"),
        ({"notifyOnResolve": True}, "INVALID", "notifyOnResolve"),
        ({"unit": "NOPE"}, "INVALID", "unit"),
        ({"type": "USAGE_THRESHOLD_REACHED"}, "REQUIRED", "billableMetricId"),
        ({"type": "USAGE_THRESHOLD_REACHED", "billableMetricId": metric, "unit": "USD"}, "INVALID", "unit"),
        ({"type": "USAGE_THRESHOLD_REACHED", "billableMetricId": f"met_{'0' * 32}"}, "NOT_FOUND", "billableMetricId"),
        ({"billableMetricId": metric}, "INVALID", "billableMetricId"),
        ({"type": "LOW_REMAINING_SEAT_BALANCE_REACHED"}, "REQUIRED", "seatFilter"),
        ({"seatFilter": {"key": "user"}}, "INVALID", "seatFilter"),
        ({"invoiceTypes": ["USAGE"]}, "INVALID", "invoiceTypes"),
        ({"type": "INVOICE_TOTAL_REACHED", "unit": "TOK"}, "INVALID", "unit"),
        ({"type": LOW, "customFieldFilters": [field]}, "INVALID", "customFieldFilters"),
        ({"customFieldFilters": [field]}, "CUSTOM_FIELD_UNKNOWN", "cohort"),
        ({"type": LOW, "groupValues": groups[:1]}, "INVALID", "groupValues"),
        ({"groupValues": [groups[0], groups[0]]}, "INVALID", "groupValues"),
        ({"groupValues": groups}, "LIMIT_EXCEEDED", "groupValues"),
        ({"groupValues": [{"key": ""}]}, "REQUIRED", "groupValues"),
        ({"customerId": f"cus_{'0' * 32}"}, "NOT_FOUND", "customerId"),
        ({"type": "LOW_REMAINING_DAYS_FOR_COMMIT_SEGMENT_REACHED", "hysteresis": "1"}, "INVALID", "hysteresis"),
    ]  # fmt: skip
    for given, code, place in cases:
        answer = (await api(CREATE, input={**SPEND, **given}))["alertCreate"]
        assert answer["alert"] is None, given
        [error] = answer["userErrors"]
        assert (error["code"], error["path"][-1]) == (code, place), given
    assert (await api(LIST))["alerts"]["totalCount"] == 0
    await made(api, groupValues=groups[:3])
    [error] = (await api(CREATE, input={**SPEND, "groupValues": groups[3:], "customerId": customer}))["alertCreate"][
        "userErrors"
    ]
    assert error["code"] == "LIMIT_EXCEEDED", "three keys for a customer, whoever watches them"
    other = (await builders.customer(api, "other"))["id"]
    mine = await made(api, customerId=customer)
    [error] = (await api(RESET, id=mine["id"], customer=other))["alertReset"]["userErrors"]
    assert (error["code"], error["path"]) == ("INVALID", ["customerId"])
    legacy = (await api.post(CREATE, {"input": {**SPEND, "type": "LOW_CREDIT_BALANCE_REACHED"}})).json()
    assert legacy["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


FAULTS = {
    "an alert stands where its last change left it": "update alert_states set state = 'OK'",
    "every change of an alert that was to be told is told once": "delete from notices where type like 'alerts.%'",
}


@pytest.mark.parametrize("rule", FAULTS)
async def test_check_finds_a_planted_fault(api: Api, store: Store, now: datetime, rule: str) -> None:
    await seller(api)
    await made(api, threshold="0")
    await evaluate_touched(store, now=now)
    for statement, expected in (("select 1", 0), (FAULTS[rule], 1)):
        async with store.transaction() as session:
            await session.execute(text(statement))
            checked, broken = [(await session.execute(text(query))).scalar_one() for query in RULES[rule]]
        assert (checked > 0, broken) == (True, expected)
