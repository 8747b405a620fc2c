"""Webhook endpoints through the API: made, refused, changed; what they are told, signed; every try in the log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import text

from app.clock import Clock
from app.main import create_app
from app.notices import posting, secrets, senders, sending, tries
from app.notices.retention import forget_old
from app.notices.sending import Place, due_endpoints, send_due
from app.settings import Settings
from app.store import ids
from app.store.engine import Store
from tests import builders
from tests.api.conftest import BOOTSTRAP, Api
from tests.notices.receiver import OK, Receiver, receiving, status

ENDPOINT = "id url description eventTypes isEnabled disabledAt disabledBecause previousUntil archivedAt uniquenessKey"
ANSWER = f"{{ webhookEndpoint {{ {ENDPOINT} }} secretOnce userErrors {{ code path status conflicting {{ id }} }} }}"
CREATE = f"mutation ($input: WebhookEndpointCreateInput!) {{ webhookEndpointCreate(input: $input) {ANSWER} }}"
UPDATE = (
    "mutation ($id: ID!, $input: WebhookEndpointUpdateInput!) { webhookEndpointUpdate(id: $id, input: $input) "
    f"{ANSWER} }}"
)
ROTATE = f"mutation ($id: ID!, $hours: Int!) {{ webhookEndpointRotateSecret(id: $id, overlapHours: $hours) {ANSWER} }}"
ARCHIVE = f"mutation ($id: ID!) {{ webhookEndpointArchive(id: $id) {ANSWER} }}"
TEST = "mutation ($id: ID!) { webhookEndpointTest(id: $id) { notice { id type } userErrors { code } } }"
RESEND = (
    "mutation ($id: ID!, $to: ID) { noticeResend(id: $id, endpointId: $to) { notice { id } userErrors { code path } } }"
)
LOG = """query ($filter: NoticeFilter) { notices(filter: $filter) { nodes { id type meaning occurredAt data customerId
  deliveries { id status attemptCount nextAttemptAt deliveredAt endpoint { id } notice { id }
    attempts(first: 2) { totalCount nodes { number statusCode error answer milliseconds createdAt } } } } } }"""
SECRET_KEY = "a-secret-key-of-the-tests-of-notices"


@pytest.fixture
def settings() -> Settings:
    return Settings(environment="sandbox", bootstrap_key=BOOTSTRAP, secret_key=SECRET_KEY, allow_private_webhooks=True)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as found:
        yield found


class Sender:
    """Sends what is due at an instant that the test chooses."""

    def __init__(self, store: Store, settings: Settings, now: datetime) -> None:
        self.now = now
        self.place = Place(store, settings, lambda: self.now)

    async def send(self) -> int:
        return sum([await send_due(self.place, found) for found in await due_endpoints(self.place)])


@pytest.fixture
def sender(store: Store, settings: Settings, now: datetime) -> Sender:
    return Sender(store, settings, now)


async def made(api: Api, url: str, **fields: Any) -> dict[str, Any]:
    """A new endpoint with its secret."""
    answer = (await api(CREATE, input={"url": url, **fields}))["webhookEndpointCreate"]
    assert answer["userErrors"] == []
    return answer["webhookEndpoint"] | {"secret": answer["secretOnce"]}


async def until_got(receiver: Receiver, count: int) -> None:
    async with asyncio.timeout(10):
        while len(receiver.got) < count:  # noqa: ASYNC110 - what came is looked at, not waited for
            await asyncio.sleep(0.01)


async def log(api: Api, **wanted: Any) -> list[dict[str, Any]]:
    return (await api(LOG, filter=wanted))["notices"]["nodes"]


async def test_an_endpoint_and_its_secret(api: Api, store: Store, receiver: Receiver) -> None:
    endpoint = await made(
        api, receiver.url, description="erp", uniquenessKey="a", eventTypes=["invoice.*", "contract.create"]
    )
    assert endpoint["eventTypes"] == ["contract.create", "invoice.*"]
    assert endpoint["secret"].startswith("whsec_")
    async with store.transaction() as session:
        for table in ("webhook_endpoints", "audit_entries", "idempotency_records", "notices"):
            rows = (await session.execute(text(f"select t::text from {table} t"))).scalars().all()
            assert not any(endpoint["secret"][6:20] in row for row in rows), table
    [error] = (await api(CREATE, input={"url": receiver.url, "uniquenessKey": "a"}))["webhookEndpointCreate"][
        "userErrors"
    ]
    assert (error["code"], error["status"], error["conflicting"]["id"]) == (
        "UNIQUENESS_KEY_CONFLICT",
        409,
        endpoint["id"],
    )
    changed = (await api(UPDATE, id=endpoint["id"], input={"eventTypes": [], "isEnabled": False}))[
        "webhookEndpointUpdate"
    ]
    assert changed["webhookEndpoint"]["eventTypes"] == []
    assert changed["webhookEndpoint"]["disabledBecause"] == "Disabled by hand."
    refused = (await api(TEST, id=endpoint["id"]))["webhookEndpointTest"]
    assert [error["code"] for error in refused["userErrors"]] == ["ILLEGAL_TRANSITION"]
    archived = (await api(ARCHIVE, id=endpoint["id"]))["webhookEndpointArchive"]["webhookEndpoint"]
    assert archived["archivedAt"] == "2026-11-02T12:00:00Z"
    for document, more in ((UPDATE, {"input": {}}), (ROTATE, {"hours": 1}), (ARCHIVE, {})):
        [answer] = (await api(document, id=endpoint["id"], **more)).values()
        assert [error["code"] for error in answer["userErrors"]] == ["ARCHIVED"]
    listed = await api(f"{{ webhookEndpoints {{ totalCount nodes {{ {ENDPOINT} }} }} }}")
    assert listed["webhookEndpoints"]["nodes"] == [archived]


@pytest.mark.parametrize(
    ("given", "path", "code"),
    [
        ({"url": "ftp://127.0.0.1/"}, ["input", "url"], "INVALID"),
        ({"url": ""}, ["input", "url"], "INVALID"),
        ({"eventTypes": ["invoice.finalised"]}, ["input", "eventTypes"], "INVALID"),
        ({"eventTypes": ["*"]}, ["input", "eventTypes"], "INVALID"),
        ({"eventTypes": ["invoice.*", "invoice.*"]}, ["input", "eventTypes"], "INVALID"),
        ({"eventTypes": ["invoice.*"] * 101}, ["input", "eventTypes"], "LIMIT_EXCEEDED"),
        ({"description": ""}, ["input", "description"], "REQUIRED"),
        ({"uniquenessKey": ""}, ["input", "uniquenessKey"], "INVALID"),
    ],
)
async def test_what_is_refused(api: Api, given: dict[str, Any], path: list[str], code: str) -> None:
    answer = (await api(CREATE, input={"url": "http://127.0.0.1/", **given}))["webhookEndpointCreate"]
    assert (answer["webhookEndpoint"], answer["secretOnce"]) == (None, None)
    assert [(error["code"], error["path"]) for error in answer["userErrors"]] == [(code, path)]


async def test_outside_a_test_only_the_public_internet_is_called(store: Store, now: datetime) -> None:
    settings = Settings(environment="production", bootstrap_key=BOOTSTRAP, secret_key=SECRET_KEY)
    api = Api(create_app(settings, store, Clock(now.isoformat())))
    for url in ("http://hooks.example.com/", "https://127.0.0.1/", "https://169.254.169.254/", "https://[::1]/"):
        answer = (await api(CREATE, input={"url": url}))["webhookEndpointCreate"]
        assert [error["path"] for error in answer["userErrors"]] == [["input", "url"]], url
    await made(api, "https://hooks.example.com/")


async def test_without_a_key_nothing_is_stored_or_read(store: Store, now: datetime, settings: Settings) -> None:
    keyless = Settings(environment="production", bootstrap_key=BOOTSTRAP)
    api = Api(create_app(keyless, store, Clock(now.isoformat())))
    answer = (await api(CREATE, input={"url": "https://hooks.example.com/"}))["webhookEndpointCreate"]
    assert [error["code"] for error in answer["userErrors"]] == ["UNAVAILABLE"]
    assert (await api("{ webhookEndpoints { totalCount } }"))["webhookEndpoints"]["totalCount"] == 0
    with pytest.raises(secrets.Unreadable):
        secrets.opened(secrets.sealed("whsec_x", settings), keyless)


async def test_what_is_told_is_signed_and_what_was_undone_is_not_told(
    api: Api, receiver: Receiver, sender: Sender
) -> None:
    endpoint = await made(api, receiver.url, eventTypes=["contract.*"])
    everything = await made(api, receiver.url.replace("hook", "all"))
    customer = await builders.customer(api)
    contract = await builders.contract(api, customer["id"])
    # Refused in its savepoint, after the row was written.
    unknown = [{"key": "nobody", "value": "x"}]
    fields = {"interval": builders.interval("2026-11-01T00:00:00Z"), "customFields": unknown}
    await builders.refusal(api, "contract", customerId=customer["id"], currency="USD", **fields)
    ended = await api(
        'mutation ($id: ID!) { contractUpdateEndDate(id: $id, endingBefore: "2026-12-01T00:00:00Z") '
        "{ userErrors { code } } }",
        id=contract["id"],
    )
    assert ended["contractUpdateEndDate"]["userErrors"] == []
    assert await sender.send() == 4
    got = receiver.take()
    mine = [message for message in got if message.path == "/hook"]
    assert sorted(message.content["type"] for message in mine) == ["contract.create", "contract.edit"]
    for message in got:
        secret = endpoint["secret"] if message.path == "/hook" else everything["secret"]
        other = everything["secret"] if message.path == "/hook" else endpoint["secret"]
        assert message.verified(secret)
        assert not message.verified(other)
        assert message.headers["content-type"] == "application/json"
    first = next(message for message in mine if message.content["type"] == "contract.create")
    assert first.content == {
        "type": "contract.create", "timestamp": "2026-11-02T12:00:00Z",
        "data": {
            "contractId": contract["id"], "contractCustomFields": {}, "customerId": customer["id"],
            "customerCustomFields": {}, "startingAt": "2026-11-01T00:00:00Z", "endingBefore": None,
            "environment": "sandbox",
        },
    }  # fmt: skip
    shown = await log(api, type=["contract.create"], customerId=customer["id"])
    assert [node["id"] for node in shown] == [first.headers["webhook-id"]]
    assert {delivery["status"] for delivery in shown[0]["deliveries"]} == {"DELIVERED"}
    assert await sender.send() == 0, "each is sent once"


async def test_two_signatures_while_a_secret_rotates(api: Api, receiver: Receiver, sender: Sender) -> None:
    endpoint = await made(api, receiver.url, eventTypes=["credit.*"])
    answer = (await api(ROTATE, id=endpoint["id"], hours=2))["webhookEndpointRotateSecret"]
    assert answer["webhookEndpoint"]["previousUntil"] == "2026-11-02T14:00:00Z"
    for hours, old_counts in ((0, True), (2, False)):
        sender.now += timedelta(hours=hours)
        await api(TEST, id=endpoint["id"])
        await sender.send()
        [message] = receiver.take()
        assert message.content["type"] == "webhook_endpoint.test"
        assert (message.verified(answer["secretOnce"]), message.verified(endpoint["secret"])) == (True, old_counts)
    for hours in (-1, 721):
        refused = (await api(ROTATE, id=endpoint["id"], hours=hours))["webhookEndpointRotateSecret"]
        assert [error["path"] for error in refused["userErrors"]] == [["overlapHours"]]


async def test_a_secret_of_another_key_is_not_guessed(
    api: Api, receiver: Receiver, sender: Sender, settings: Settings
) -> None:
    endpoint = await made(api, receiver.url)
    await api(TEST, id=endpoint["id"])
    sender.place = Place(
        sender.place.store, Settings(environment="sandbox", allow_private_webhooks=True), lambda: sender.now
    )
    assert await sender.send() == 0
    assert receiver.got == []
    [node] = await log(api)
    assert "rotate it" in node["deliveries"][0]["attempts"]["nodes"][0]["error"]


async def test_nothing_is_resent_to_an_endpoint_that_was_archived(api: Api, receiver: Receiver, sender: Sender) -> None:
    endpoint = await made(api, receiver.url)
    sent = (await api(TEST, id=endpoint["id"]))["webhookEndpointTest"]["notice"]["id"]
    assert await sender.send() == 1
    await api(ARCHIVE, id=endpoint["id"])
    assert (await api(RESEND, id=sent))["noticeResend"]["userErrors"] == []
    [notice] = [item for item in (await api(LOG))["notices"]["nodes"] if item["id"] == sent]
    assert [item["status"] for item in notice["deliveries"]] == ["DELIVERED"], "it would wait for ever"


async def test_tries_grow_apart_for_three_days_then_it_is_given_up_and_resent(
    api: Api, receiver: Receiver, sender: Sender, now: datetime
) -> None:
    endpoint = await made(api, receiver.url)
    sent = (await api(TEST, id=endpoint["id"]))["webhookEndpointTest"]["notice"]["id"]
    receiver.answers = [status(500, body=b"no\0pe")] * 1000
    waits: list[timedelta] = []
    while (shown := (await log(api))[0]["deliveries"][0])["nextAttemptAt"] is not None:
        due = datetime.fromisoformat(shown["nextAttemptAt"])
        waits.append(due - sender.now)
        sender.now = due
        assert await sender.send() == 0
        if len(waits) == 12:
            # The rest in one step: what counts is when the first try was.
            sender.now = now + tries.GIVEN_UP_AFTER
            await sender.send()
    assert timedelta(seconds=2) <= waits[1] <= timedelta(seconds=5)
    assert timedelta(minutes=7) <= waits[11] <= timedelta(minutes=15)
    assert all(later >= earlier / 2 for earlier, later in pairwise(waits[1:10]))
    assert (shown["status"], shown["attemptCount"]) == ("FAILED", 13)
    assert shown["attempts"]["totalCount"] == 13
    assert [item["number"] for item in shown["attempts"]["nodes"]] == [13, 12]
    assert shown["attempts"]["nodes"][0]["answer"] == "nope"
    messages = receiver.take()
    assert {message.headers["webhook-id"] for message in messages} == {sent}
    assert len({message.body for message in messages}) == 1
    assert all(message.verified(endpoint["secret"]) for message in messages), "each try is signed anew"
    receiver.answers = []
    assert await log(api, status=["FAILED"], endpointId=endpoint["id"]) != []
    assert (await api(RESEND, id=sent))["noticeResend"]["userErrors"] == []
    assert await sender.send() == 1
    [again] = receiver.take()
    assert (again.headers["webhook-id"], again.body) == (sent, messages[0].body)
    other = await made(api, receiver.url.replace("hook", "other"))
    await api(RESEND, id=sent, to=other["id"])
    assert await sender.send() == 1
    assert [message.path for message in receiver.take()] == ["/other"]
    for notice, to, path in ((f"msg_{'0' * 32}", None, ["id"]), (sent, f"whe_{'0' * 32}", ["endpointId"])):
        refused = (await api(RESEND, id=notice, to=to))["noticeResend"]
        assert [(error["code"], error["path"]) for error in refused["userErrors"]] == [("NOT_FOUND", path)]


async def test_nothing_more_is_sent_after_a_410_or_an_archive(
    api: Api, receiver: Receiver, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what was read before it, to be sent next."""
    monkeypatch.setattr(posting, "WHOLE_SECONDS", 2.0)
    gone, archived = await made(api, receiver.url), await made(api, receiver.url)
    for endpoint in (gone, archived):
        for _ in range(2 * sending.AT_ONCE):
            await api(TEST, id=endpoint["id"])
    receiver.answers = [status(410)]
    assert await send_due(sender.place, ids.from_text("webhook_endpoint", gone["id"])) == sending.AT_ONCE - 1
    assert len(receiver.take()) == sending.AT_ONCE
    receiver.answers = [None]
    sent = asyncio.create_task(send_due(sender.place, ids.from_text("webhook_endpoint", archived["id"])))
    await until_got(receiver, sending.AT_ONCE)
    assert (await api(ARCHIVE, id=archived["id"]))["webhookEndpointArchive"]["userErrors"] == []
    assert await sent == sending.AT_ONCE - 1
    assert len(receiver.take()) == sending.AT_ONCE


async def test_a_410_disables_and_enabling_sends_what_waited(api: Api, receiver: Receiver, sender: Sender) -> None:
    endpoint = await made(api, receiver.url)
    await api(TEST, id=endpoint["id"])
    receiver.answers = [status(410)]
    await sender.send()
    found = await api(
        f"query ($id: ID!) {{ node(id: $id) {{ ... on WebhookEndpoint {{ {ENDPOINT} }} }} }}", id=endpoint["id"]
    )
    assert found["node"]["isEnabled"] is False
    assert "410" in found["node"]["disabledBecause"]
    await builders.customer(api)
    await builders.contract(api)
    sender.now += timedelta(hours=1)
    assert await sender.send() == 0, "a disabled endpoint is told nothing, and what it misses is not kept for it"
    await api(UPDATE, id=endpoint["id"], input={"isEnabled": True})
    assert await sender.send() == 1
    assert [message.content["type"] for message in receiver.take()] == ["webhook_endpoint.test"] * 2


async def test_receivers_that_mean_harm(
    api: Api, receiver: Receiver, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A redirect is not followed, a big answer not read, a slow one not waited for."""
    monkeypatch.setattr(posting, "WHOLE_SECONDS", 0.5)
    endpoint = await made(api, receiver.url)
    await api(TEST, id=endpoint["id"])
    there = f"location: {receiver.url}/elsewhere\r\n"
    big = status(200, body=b"x" * 10_000_000)
    receiver.answers = [status(302, head=there), status(307, head=there), None, b"nonsense\r\n\r\n", big]
    seen: list[tuple[int | None, bool]] = []
    for _ in range(5):
        await sender.send()
        [node] = await log(api)
        shown = node["deliveries"][0]
        last = shown["attempts"]["nodes"][0]
        seen.append((last["statusCode"], last["error"] is not None))
        assert len(last["answer"] or "") <= 500
        sender.now += timedelta(hours=1)
    assert seen == [(302, False), (307, False), (None, True), (None, True), (200, False)]
    assert shown["status"] == "DELIVERED"
    assert {message.path for message in receiver.take()} == {"/hook"}


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["8.8.8.8", "::ffff:10.0.0.1"], ["169.254.169.254"], []]
)
async def test_a_name_that_leads_inside_is_not_called(
    receiver: Receiver, addresses: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        return addresses

    async def call(*_: Any) -> tuple[int, str]:
        raise AssertionError("nothing is connected to")

    monkeypatch.setattr(posting, "resolve", resolve)
    monkeypatch.setattr(posting, "_call", call)
    async with posting.poster() as client:
        answer = await posting.post(client, "https://rebind.example.com/", b"{}", {}, allow_private=False)
    assert answer.status_code is None
    assert answer.error is not None


async def test_the_connection_goes_where_it_was_looked(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is asked for once, and the call goes to that address with the name in its head."""
    asked: list[str] = []

    async def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    monkeypatch.setattr(posting, "resolve", resolve)
    url = f"http://hooks.example.com:{receiver.port}/pinned?a=b"
    async with posting.poster() as client:
        answer = await posting.post(client, url, b"{}", {}, allow_private=True)
    assert answer.is_success
    [message] = receiver.take()
    assert (message.path, message.headers["host"]) == ("/pinned?a=b", f"hooks.example.com:{receiver.port}")
    assert asked == ["hooks.example.com"]
    assert list(await posting.resolve("x", 1)) == ["127.0.0.2"]


async def test_a_slow_receiver_holds_up_nobody_else(
    api: Api, receiver: Receiver, store: Store, settings: Settings, now: datetime
) -> None:
    slow, fast = await made(api, receiver.url), await made(api, receiver.url.replace("hook", "fast"))
    group = senders.Senders(Place(store, settings, lambda: now))
    receiver.answers = [None]
    await api(TEST, id=slow["id"])
    await group.sweep()
    await until_got(receiver, 1)
    await api(TEST, id=fast["id"])
    fast_id = ids.from_text("webhook_endpoint", fast["id"])
    for identifier in (ids.from_text("webhook_endpoint", slow["id"]), fast_id):
        group.wake(identifier)
    async with asyncio.timeout(10):
        while not await log(api, endpointId=fast["id"], status=["DELIVERED"]):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
    await group.aclose()
    assert [message.path for message in receiver.got] == ["/hook", "/fast"]
    # The one that was broken off left no record, and is told again by whoever comes next.
    sender = Sender(store, settings, now)
    receiver.answers = [OK]
    assert await sender.send() == 1
    assert receiver.got[0].headers["webhook-id"] == receiver.got[2].headers["webhook-id"]


async def test_old_notices_are_forgotten(
    api: Api, receiver: Receiver, sender: Sender, store: Store, now: datetime
) -> None:
    endpoint = await made(api, receiver.url)
    await api(TEST, id=endpoint["id"])
    await sender.send()
    for days, left in ((90, 1), (91, 0)):
        async with store.transaction() as session:
            await forget_old(session, now=now + timedelta(days=days))
        assert len(await log(api)) == left
