"""GraphQL over HTTP: media types, methods, errors, headers, streams, WebSocket, health."""

from __future__ import annotations

from datetime import datetime

import pytest
import strawberry
from graphql import get_introspection_query
from sqlalchemy import text
from starlette.applications import Starlette

from app import schema
from app.clock import Clock
from app.graphql.context import Info
from app.graphql.documents import Documents
from app.graphql.fields import ANY_KEY, query_field
from app.graphql.limits import Limits
from app.main import create_app
from app.settings import Settings
from app.store.engine import Store
from tests.api.conftest import BOOTSTRAP, Api

PLAIN = "application/json; charset=utf-8"
TRUE_STATUS = "application/graphql-response+json; charset=utf-8"


@pytest.mark.parametrize(
    ("accept", "document", "status", "media_type"),
    [
        ("application/json", "{ __typename }", 200, PLAIN),
        ("application/json", "{ nothing }", 200, PLAIN),
        ("application/json", "{", 200, PLAIN),
        ("application/graphql-response+json", "{ __typename }", 200, TRUE_STATUS),
        ("application/graphql-response+json", "{ nothing }", 400, TRUE_STATUS),
        ("application/graphql-response+json", "{", 400, TRUE_STATUS),
        ("application/json, application/graphql-response+json;q=0.5", "{", 200, PLAIN),
        ("application/json;q=0.5, application/graphql-response+json", "{", 400, TRUE_STATUS),
        ("text/plain, application/*;q=0.1", "{ __typename }", 200, TRUE_STATUS),
        ("*/*", "{ __typename }", 200, PLAIN),
        ("*/*", "{ nothing }", 400, TRUE_STATUS),
        ("text/event-stream", "{ nothing }", 400, TRUE_STATUS),
    ],
)
async def test_media_types(api: Api, accept: str, document: str, status: int, media_type: str) -> None:
    response = await api.post(document, headers={"accept": accept})
    assert (response.status_code, response.headers["content-type"]) == (status, media_type)
    assert ("data" in response.json()) == (document == "{ __typename }")


async def test_both_spellings_of_the_path_answer_without_a_redirect(api: Api) -> None:
    for path in ("/graphql", "/graphql/"):
        response = await api.http.post(path, json={"query": "{ __typename }"})
        assert response.json() == {"data": {"__typename": "Query"}}


async def test_get_runs_queries_and_nothing_else(api: Api) -> None:
    found = await api.http.get(
        "/graphql", params={"query": "query ($id: ID!) { node(id: $id) { id } }", "variables": '{"id": "x"}'}
    )
    assert found.json() == {"data": {"node": None}}
    refused = await api.http.get(
        "/graphql", params={"query": 'mutation { apiKeyRevoke(id: "x") { userErrors { code } } }'}
    )
    assert refused.status_code == 405
    assert refused.headers["allow"] == "GET, POST"
    assert (await api("{ auditLog { totalCount } }")) == {"auditLog": {"totalCount": 0}}
    for method in ("PUT", "DELETE", "PATCH"):
        assert (await api.http.request(method, "/graphql")).status_code == 405


async def test_headers_of_every_answer(api: Api) -> None:
    response = await api.post("{ __typename }", headers={"x-request-id": "my-request-1"})
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["x-request-id"] == "my-request-1"
    assert response.headers["cache-control"] == "no-store"
    odd = await api.post("{ nothing }", headers={"x-request-id": "<script>"})
    assert odd.json()["errors"][0]["extensions"]["requestId"] == odd.headers["x-request-id"] != "<script>"


async def test_the_page_for_people_exists_in_a_sandbox_only(api: Api, store: Store) -> None:
    html = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    assert "graphiql" in (await api.http.get("/graphql", headers=html)).text.lower()
    live = Api(create_app(Settings(bootstrap_key=BOOTSTRAP), store, Clock()))
    response = await live.http.get("/graphql", headers=html)
    assert response.status_code == 400
    assert "graphiql" not in response.text.lower()


async def test_server_sent_events(api: Api) -> None:
    response = await api.post("{ __typename }", headers={"accept": "text/event-stream"})
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.text == 'event: next\ndata: {"data":{"__typename":"Query"}}\n\nevent: complete\ndata:\n\n'


async def test_introspection_needs_a_key_that_reads(api: Api) -> None:
    document = '{ __schema { types { name } } __type(name: "Query") { name } }'
    assert (await api(document))["__type"] == {"name": "Query"}
    reader = await api.with_scopes("customers:read")
    assert (await reader(document))["__type"] == {"name": "Query"}
    sender = await api.with_scopes("usage:write")
    response = await sender.post(document)
    assert response.status_code == 403
    assert response.json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert await sender("{ __typename }") == {"__typename": "Query"}


async def test_the_standard_introspection_query_fits_the_limits(api: Api) -> None:
    data = await api(get_introspection_query(input_value_deprecation=True))
    assert data["__schema"]["queryType"]["name"] == "Query"


@pytest.fixture
def broken(
    own_schema: None, monkeypatch: pytest.MonkeyPatch, store: Store, settings: Settings, now: datetime
) -> Starlette:
    """An application whose schema has two more fields, which fail in their own ways."""

    @strawberry.type
    class Query(schema.Query):
        @query_field(scope=ANY_KEY, description="Fails.")
        async def fails(self) -> str:
            raise RuntimeError("the password is hunter2")

        @query_field(scope=ANY_KEY, description="Finds the database gone.")
        async def unplugged(self, info: Info) -> str:
            await info.context.session.execute(text("select pg_terminate_backend(pg_backend_pid())"))
            return "never"

    monkeypatch.setattr(schema, "Query", Query)
    return create_app(settings, store, Clock(now.isoformat()))


async def test_faults_are_masked_with_the_request_id(broken: Starlette) -> None:
    response = await Api(broken).post("{ fails }", headers={"x-request-id": "request-77"})
    assert response.status_code == 200
    assert response.json() == {
        "data": None,
        "errors": [
            {
                "message": "Something went wrong on our side; the request id is request-77.",
                "path": ["fails"],
                "locations": [{"line": 1, "column": 3}],
                "extensions": {"code": "INTERNAL", "requestId": "request-77"},
            }
        ],
    }


async def test_a_lost_database_is_503_and_says_try_again(broken: Starlette) -> None:
    response = await Api(broken).post("{ unplugged }")
    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"
    [error] = response.json()["errors"]
    assert error["extensions"]["code"] == "UNAVAILABLE"
    assert "terminat" not in response.text
    assert await Api(broken)("{ __typename }") == {"__typename": "Query"}


async def test_fields_of_a_query_share_one_session(api: Api) -> None:
    """The executor runs them at the same time; a database session serves one at a time."""
    fields = " ".join(
        f"a{n}: auditLog {{ totalCount }} k{n}: apiKeys {{ nodes {{ name }} totalCount }}" for n in range(12)
    )
    data = await api("{ " + fields + " }")
    assert {answer["totalCount"] for name, answer in data.items() if name.startswith("k")} == {1}


async def test_health_readiness_metrics(api: Api, store: Store) -> None:
    anonymous = api.as_key(None).http
    assert (await anonymous.get("/healthz")).json() == {"status": "ok"}
    assert (await anonymous.get("/readyz")).json() == {"status": "ok"}
    await anonymous.get("/nowhere/at/all")
    counted = (await anonymous.get("/metrics")).text
    assert 'metrograph_http_requests_total{method="GET",route="/healthz",status="200"} 1.0' in counted
    assert "/nowhere" not in counted
    await store.close()
    response = await anonymous.get("/readyz")
    assert response.status_code == 503
    assert list(response.json()["problems"]) == ["database"]
    assert (await anonymous.get("/healthz")).status_code == 200


def test_a_prepared_document_is_remembered() -> None:
    documents = Documents(Limits(), size=2)
    documents.schema = schema.build()[0]
    first = documents.prepare("{ __typename }")
    assert documents.prepare("{ __typename }") is first
    for number in range(3):
        documents.prepare(f"query q{number} {{ __typename }}")
    assert documents.prepare("{ __typename }") is not first, "the memo is bounded"
