"""The audit log: one entry for each mutation, carried out or refused; sealed in order; tampering is found."""

from __future__ import annotations

import asyncio
from datetime import datetime
from uuid import UUID

import pytest
import strawberry
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from starlette.applications import Starlette

from app import schema
from app.access import audit
from app.access.tables import ApiKey
from app.actor import Actor, system
from app.change import Change, note_change
from app.clock import Clock
from app.errors import ErrorCode, InvalidState
from app.graphql.context import Info
from app.graphql.fields import mutation_field
from app.graphql.payload import Payload
from app.main import create_app
from app.settings import Settings
from app.store.engine import Store
from tests.api.conftest import BOOTSTRAP, CREATE_KEY, Api
from tests.api.test_access_keys import call, root_fields

LOG = """
query ($filter: AuditFilter, $first: Int! = 50, $after: String) {
  auditLog(filter: $filter, first: $first, after: $after) {
    nodes {
      action outcome code at ipAddress userAgent requestId resourceType resourceId before after sequence hash
      actor { kind name keyId }
    }
    totalCount pageInfo { hasNextPage endCursor }
  }
}
"""


async def entries(api: Api, **conditions: object) -> list[dict]:
    return (await api(LOG, filter=conditions))["auditLog"]["nodes"]


async def test_an_entry_tells_who_did_what_from_where(api: Api) -> None:
    headers = {"user-agent": "tests/1.0\x1b[31m", "x-request-id": "request-42", "x-forwarded-for": "6.6.6.6"}
    made = (await api.post(CREATE_KEY, {"input": {"name": "ci", "roles": ["VIEWER"]}}, headers=headers)).json()["data"]
    [entry] = await entries(api)
    key_id = entry["actor"].pop("keyId")
    assert key_id.startswith("key_")
    assert entry == {
        "action": "api_key.create",
        "outcome": "ok",
        "code": None,
        "at": "2026-11-02T12:00:00Z",
        "actor": {"kind": "key", "name": "bootstrap"},
        "ipAddress": "192.0.2.7",
        "userAgent": "tests/1.0[31m",
        "requestId": "request-42",
        "resourceType": "api_key",
        "resourceId": made["apiKeyCreate"]["apiKey"]["id"],
        "before": None,
        "after": {
            "name": "ci",
            "scopes": sorted(f"{name}:read" for name in schema_slices()),
            "expiresAt": None,
            "revokedAt": None,
        },
        "sequence": None,
        "hash": None,
    }


def schema_slices() -> tuple[str, ...]:
    return (
        *("custom_fields", "customers", "catalog", "usage", "contracts", "invoices", "delivery", "jobs"),
        *("alerts", "notices"),
    )


async def test_every_mutation_leaves_exactly_one_entry(api: Api) -> None:
    """With arguments that make no sense, as a caller without scopes and as an administrator."""
    stranger = await api.with_scopes("jobs:read")
    mutations = [
        (name, call("mutation", name, field)) for operation, name, field, _ in root_fields() if operation == "mutation"
    ]
    before = (await api(LOG))["auditLog"]["totalCount"]
    for count, (name, document) in enumerate(mutations, start=1):
        await stranger.post(document)
        await api.post(document)
        found = await api(LOG)
        assert found["auditLog"]["totalCount"] == before + 2 * count, name
    forbidden, after, more = 0, None, True
    while more:
        page = (await api(LOG, filter={"outcome": "refused"}, first=100, after=after))["auditLog"]
        forbidden += sum(entry["code"] == "FORBIDDEN" for entry in page["nodes"])
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    assert forbidden == len(mutations)


async def test_filters_and_pages(api: Api) -> None:
    for name in "abcde":
        await api(CREATE_KEY, input={"name": name, "scopes": ["admin"]})
    await api(CREATE_KEY, input={"name": "", "scopes": ["admin"]})
    assert [entry["after"]["name"] for entry in await entries(api, outcome="ok")] == list("edcba"), "newest first"
    [refused] = await entries(api, outcome="refused")
    assert (refused["code"], refused["after"], refused["resourceId"]) == ("INVALID", None, None)
    assert await entries(api, action=["customer.create"]) == []
    assert len(await entries(api, action=["api_key.create"], resourceType=["api_key"])) == 5
    [one] = await entries(api, resourceId=(await entries(api))[1]["resourceId"])
    assert one["after"]["name"] == "e"
    assert await entries(api, resourceId="nonsense") == []
    assert await entries(api, at={"gte": "2026-11-02T12:00:00.000001Z"}) == []
    assert len(await entries(api, at={"gte": "2026-11-02T12:00:00Z", "lt": "2026-11-02T12:00:01Z"})) == 6
    seen, after = [], None
    while True:
        page = (await api(LOG, first=4, after=after))["auditLog"]
        seen += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert len(seen) == page["totalCount"] == 6
    assert len({entry["resourceId"] for entry in seen}) == 6


@strawberry.type(description="Answer.")
class StepPayload(Payload):
    done: bool = strawberry.field(default=False, description="Done.")


@pytest.fixture
def stepping(own_schema: None, monkeypatch: pytest.MonkeyPatch, store: Store, now: datetime) -> Starlette:
    """An application with three more mutations: one that works, one that refuses, one that breaks, each after a write."""

    async def write(info: Info, name: str) -> None:
        session = info.context.session
        row = ApiKey(created_at=info.context.now, name=name, hint="", digest=name, scopes=["usage:write"])
        session.add(row)
        await session.flush()
        note_change(session, "api_key", row.id, after={"name": name})

    @strawberry.type
    class Mutation(schema.Mutation):
        @mutation_field(scope="admin", action="step.work", description="Works.")
        async def works(self, info: Info, name: str) -> StepPayload:
            await write(info, name)
            return StepPayload(done=True)

        @mutation_field(scope="admin", action="step.refuse", description="Refuses.")
        async def refuses(self, info: Info, name: str) -> StepPayload:
            await write(info, name)
            raise InvalidState(ErrorCode.ARCHIVED, "It is archived.", path=("name",))

        @mutation_field(scope="admin", action="step.break", description="Breaks.")
        async def breaks(self, info: Info, name: str) -> StepPayload:
            await write(info, name)
            raise RuntimeError("out of paper")

        @mutation_field(scope="admin", action="step.conflict", description="Meets a row.")
        async def conflicts(self, info: Info) -> StepPayload:
            row = (await info.context.session.execute(text("select id from api_keys limit 1"))).scalar_one()
            found = await info.context.session.get(ApiKey, row)
            raise InvalidState(ErrorCode.UNIQUENESS_KEY_CONFLICT, "There is one.", conflicting=found)

    monkeypatch.setattr(schema, "Mutation", Mutation)
    return create_app(Settings(bootstrap_key=BOOTSTRAP), store, Clock(now.isoformat()))


async def names(store: Store) -> set[str]:
    async with store.transaction() as session:
        return set((await session.execute(text("select name from api_keys where name <> 'bootstrap'"))).scalars())


async def outcomes(store: Store) -> list[tuple[str, str, str | None]]:
    async with store.transaction() as session:
        found = await session.execute(text("select action, outcome, code from audit_entries order by id"))
        return [tuple(row) for row in found.all()]


async def test_a_refused_mutation_is_undone_alone_and_its_entry_stays(stepping: Starlette, store: Store) -> None:
    fields = "{ done userErrors { code status path message } }"
    data = await Api(stepping)(
        f'mutation {{ a: works(name: "a") {fields} b: refuses(name: "b") {fields} c: works(name: "c") {fields} }}'
    )
    assert data["a"] == data["c"] == {"done": True, "userErrors": []}
    assert data["b"] == {
        "done": False,
        "userErrors": [{"code": "ARCHIVED", "status": 409, "path": ["name"], "message": "It is archived."}],
    }
    assert await names(store) == {"a", "c"}
    assert await outcomes(store) == [
        ("step.work", "ok", None),
        ("step.refuse", "refused", "ARCHIVED"),
        ("step.work", "ok", None),
    ]


async def test_a_fault_undoes_the_request_and_the_entries_say_so(stepping: Starlette, store: Store) -> None:
    response = await Api(stepping).post(
        'mutation { a: works(name: "a") { done } b: breaks(name: "b") { done } c: works(name: "c") { done } }'
    )
    answer = response.json()
    assert answer["data"] is None
    assert answer["errors"][0]["extensions"]["code"] == "INTERNAL"
    assert "paper" not in response.text
    assert await names(store) == set()
    assert await outcomes(store) == [("step.work", "refused", "ROLLED_BACK"), ("step.break", "refused", "INTERNAL")]


async def test_the_conflicting_object_is_named(stepping: Starlette) -> None:
    api = Api(stepping)
    data = await api("mutation { conflicts { userErrors { code status conflicting { __typename id } } } }")
    [error] = data["conflicts"]["userErrors"]
    assert error["conflicting"]["__typename"] == "ApiKey"
    assert error["conflicting"]["id"].startswith("key_")


async def add(store: Store, now: datetime, count: int) -> None:
    async with store.transaction() as session:
        for number in range(count):
            change = Change(
                "customer", UUID(int=number), after={"number": number, "name": "Ünï\u2028code", "list": [1, None, "x"]}
            )
            await audit.record(session, system("tests"), action="customer.create", now=now, change=change)


async def test_the_chain_is_whole_without_gaps_and_verifiable(store: Store, now: datetime) -> None:
    await add(store, now, 5)
    async with store.transaction() as session:
        assert await audit.seal(session, now=now) == 5
        assert await audit.seal(session, now=now) == 0
        witnessed = await audit.head(session)
    await add(store, now, 3)
    async with store.transaction() as session:
        assert await audit.seal(session, now=now, at_most=2) == 2
        assert await audit.seal(session, now=now) == 1
        report = await audit.verify_chain(session, expected=witnessed)
    assert (report.entries, report.problem) == (8, None)
    assert witnessed[0] == 5


async def test_two_sealers_at_once_number_each_entry_once(store: Store, now: datetime) -> None:
    await add(store, now, 40)

    async def sealer() -> int:
        async with store.transaction() as session:
            return await audit.seal(session, now=now, at_most=15)

    assert sum(await asyncio.gather(*(sealer() for _ in range(4)))) == 40
    async with store.transaction() as session:
        assert (await audit.verify_chain(session)) == audit.ChainReport(40, (await audit.head(session))[1], None)


async def test_an_entry_that_commits_late_is_sealed_later(store: Store, now: datetime) -> None:
    """Sequence follows commits: a slow transaction with an older id never needs a gap."""
    async with store.transaction() as slow:
        await audit.record(slow, system("slow"), action="a.slow", now=now)
        await add(store, now, 2)
        async with store.transaction() as session:
            assert await audit.seal(session, now=now) == 2
    async with store.transaction() as session:
        assert await audit.seal(session, now=now) == 1
        assert (await audit.verify_chain(session)).problem is None
        last = (await session.execute(text("select action from audit_entries where sequence = 3"))).scalar_one()
    assert last == "a.slow"


@pytest.mark.parametrize(
    ("tampering", "problem"),
    [
        ("update audit_entries set actor_name = 'nobody' where sequence = 4", "entry 4 was altered"),
        ("update audit_entries set after = '{}' where sequence = 1", "entry 1 was altered"),
        (
            "update audit_entries set created_at = created_at + interval '1 second' where sequence = 6",
            "entry 6 was altered",
        ),
        ("update audit_entries set hash = repeat('0', 64) where sequence = 2", "entry 2 was altered"),
        ("delete from audit_entries where sequence = 3", "entry 3 is missing"),
        ("delete from audit_entries where sequence >= 5", "entries after 4 are missing"),
        ("delete from audit_entries", "entries after 0 are missing"),
        (
            "update audit_entries set sequence = -2 where sequence = 2; update audit_entries set sequence = 2 where "
            "sequence = 3; update audit_entries set sequence = 3 where sequence = -2",
            "entry 2 was altered",
        ),
    ],
)
async def test_tampering_is_found(store: Store, now: datetime, tampering: str, problem: str) -> None:
    await add(store, now, 6)
    async with store.transaction() as session:
        await audit.seal(session, now=now)
        witnessed = await audit.head(session)
    async with store.transaction() as session:
        for statement in ("alter table audit_entries disable trigger user", *tampering.split(";")):
            await session.execute(text(statement))
        assert (await audit.verify_chain(session, expected=witnessed)).problem == problem


@pytest.mark.parametrize(
    "statement",
    [
        "update audit_entries set actor_name = 'nobody'",
        "update audit_entries set sequence = 9, actor_name = 'nobody' where sequence is null",
        "update audit_entries set sequence = 9 where sequence = 1",
        "update audit_entries set hash = 'x' where sequence is null",
        "delete from audit_entries",
        "truncate audit_entries",
    ],
)
async def test_the_database_refuses_to_change_entries(store: Store, now: datetime, statement: str) -> None:
    await add(store, now, 1)
    async with store.transaction() as session:
        await audit.seal(session, now=now)
    await add(store, now, 1)
    with pytest.raises(DBAPIError, match="entries are only ever added"):
        async with store.transaction() as session:
            await session.execute(text(statement))


async def test_headers_cannot_break_an_entry(store: Store, now: datetime) -> None:
    actor = Actor("key", "x", user_agent="a\0b\n" + "c" * 1000, request_id="r" * 500)
    async with store.transaction() as session:
        entry = await audit.record(session, actor, action="a.b", now=now)
        assert entry.user_agent is not None
        assert entry.user_agent.startswith("abccc")
        assert len(entry.user_agent) == 400
