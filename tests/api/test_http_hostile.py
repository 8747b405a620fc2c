"""Requests that mean harm, or are merely wrong: each is refused with a coded 4xx, quickly, and never with a 5xx."""

from __future__ import annotations

import gzip
import time
from collections.abc import AsyncIterator

from httpx import Response
from starlette.applications import Starlette

from tests.api.conftest import Api

JSON = {"content-type": "application/json"}
LIMIT, BAD, PARSE = "LIMIT_EXCEEDED", "BAD_REQUEST", "GRAPHQL_PARSE_FAILED"
INVALID, INPUT = "GRAPHQL_VALIDATION_FAILED", "BAD_USER_INPUT"


def nested(levels: int) -> str:
    return "{ nodes(ids: []) " + "{ ... on Node " * levels + "{ id }" + " }" * levels + " }"


def bomb(levels: int) -> str:
    """Each fragment spreads the one before it twice: 2^levels fields in a few hundred bytes."""
    fragments = "fragment f0 on Query { __typename }" + "".join(
        f" fragment f{n} on Query {{ ...f{n - 1} ...f{n - 1} }}" for n in range(1, levels + 1)
    )
    return f"{{ ...f{levels} }} {fragments}"


DEEP_FIELDS = "{ auditLog { edges " + "{ node { actor " * 12 + "{ kind }" + " } }" * 12 + " } }"
DOCUMENTS: dict[str, tuple[str, str]] = {
    "1,000 aliases": ("{ " + " ".join(f"a{n}: __typename" for n in range(1000)) + " }", LIMIT),
    "10,000 aliases": ("{ " + " ".join(f"a{n}: __typename" for n in range(10_000)) + " }", LIMIT),
    "31 aliases": ("{ " + " ".join(f"a{n}: __typename" for n in range(31)) + " }", LIMIT),
    "300 schemas by alias": (
        "{ " + " ".join(f"s{n}: __schema {{ types {{ name }} }}" for n in range(300)) + " }",
        LIMIT,
    ),
    "1,000 times the same field": ("{ " + "__typename " * 1000 + "}", LIMIT),
    "501 fields": ("{ " + "__typename " * 501 + "}", LIMIT),
    "1,000 conflicting selections": ("{ " + " ".join(f"node(id: {n}) {{ id }}" for n in range(600)) + " }", LIMIT),
    "5,000 times @skip": ("{ __typename " + "@skip(if: true) " * 5000 + "}", LIMIT),
    "31 directives": ("{ __typename " + "@skip(if: true) " * 31 + "}", LIMIT),
    "3,000 operations": (" ".join(f"query q{n} {{ __typename }}" for n in range(3000)), LIMIT),
    "11 operations": (" ".join(f"query q{n} {{ __typename }}" for n in range(11)), LIMIT),
    "101 variables": ("query(" + " ".join(f"$v{n}: Int" for n in range(101)) + ") { __typename }", LIMIT),
    "1 MB document": ("{ __typename } #" + "x" * 900_000, LIMIT),
    "51 kB document": ("{ __typename } #" + "x" * 51_000, LIMIT),
    "4,001 tokens": ("{ __typename } " + "{ __typename } " * 2000, LIMIT),
    "13 levels": (DEEP_FIELDS, LIMIT),
    "100 levels": ("{ a " * 100 + "}" * 100, LIMIT),
    "240 levels": ("{ a " * 240 + "}" * 240, LIMIT),
    "1,900 levels": ("{ a " * 1900 + "}" * 1900, LIMIT),
    "1,900 levels of a list value": ("{ node(id: " + "[" * 1900 + "]" * 1900 + ") { id } }", LIMIT),
    "40 levels of an object value": (
        "{ auditLog(filter: " + "{a: " * 40 + "1" + "}" * 40 + ") { totalCount } }",
        LIMIT,
    ),
    "fragment bomb 2^24": (bomb(24), LIMIT),
    "fragment bomb 2^300": (bomb(300), LIMIT),
    "fragment spreads itself": ("{ ...f } fragment f on Query { ...f }", INVALID),
    "fragments in a circle": (
        "{ ...a } fragment a on Query { ...b } fragment b on Query { ...c } fragment c on Query { ...a }",
        INVALID,
    ),
    "600 fragments in a row": (
        "{ ...f0 } " + " ".join(f"fragment f{n} on Query {{ ...f{n + 1} }}" for n in range(600)),
        LIMIT,
    ),
    "circular introspection": (
        "{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }",
        INVALID,
    ),
    "unknown field": ("{ nothing }", INVALID),
    "unknown argument": ('{ node(identifier: "x") { id } }', INVALID),
    "unknown type": ("{ node(id: 1) { ... on Nothing { id } } }", INVALID),
    "wrong type of an argument": ("{ node(id: {}) { id } }", INVALID),
    "unclosed": ("{ __typename", PARSE),
    "empty selection": ("{ }", PARSE),
    "a number": ("42", PARSE),
    "NUL in the document": ("{ __typename \0 }", BAD),
    "NUL in a string": ('{ node(id: "a\\u0000b") { id } }', INPUT),
    "half of a surrogate pair": ('{ node(id: "\\uD800") { id } }', PARSE),
    "a schema definition": ("type Query { a: Int }", INVALID),
    "only a fragment": ("fragment f on Query { __typename }", INVALID),
    "int of 10,000 digits": ("{ auditLog(first: " + "9" * 10_000 + ") { totalCount } }", INPUT),
    "naive time": ('{ auditLog(filter: {at: {gte: "2024-01-01T00:00:00"}}) { totalCount } }', INVALID),
    "a day for a time": ('{ auditLog(filter: {at: {gte: "2024-01-01"}}) { totalCount } }', INVALID),
    "year 0001": ('{ auditLog(filter: {at: {gte: "0001-01-01T00:00:00Z"}}) { totalCount } }', INVALID),
    "year 9999": ('{ auditLog(filter: {at: {gte: "9999-01-01T00:00:00Z"}}) { totalCount } }', INVALID),
    "year 9999 behind a zone": (
        '{ auditLog(filter: {at: {gte: "9999-12-31T23:59:59-14:00"}}) { totalCount } }',
        INVALID,
    ),
}
"""Name -> document and code. Counted before validation, so none of them may take long."""


async def timed(api: Api, document: str) -> tuple[Response, float]:
    """The answer, and what this process alone did for it, however busy the machine is."""
    started = time.process_time()
    response = await api.post(document)
    return response, time.process_time() - started


async def test_documents(api: Api) -> None:
    wrong: dict[str, object] = {}
    for name, (document, code) in DOCUMENTS.items():
        response, seconds = await timed(api, document)
        if seconds > 1.0:
            # A collection of all garbage of this process may have fallen into the first try.
            response, seconds = await timed(api, document)
        answer = response.json()
        codes = {error["extensions"]["code"] for error in answer.get("errors", [])}
        named = all(error["extensions"]["requestId"] for error in answer.get("errors", []))
        ok = response.status_code == 400 and "data" not in answer and codes == {code} and named
        if not ok or len(answer["errors"]) > 5 or seconds > 1.0:
            wrong[name] = (response.status_code, round(seconds, 2), answer)
    assert not wrong
    assert await api("{ __typename }") == {"__typename": "Query"}, "the worker still answers after all that"


BODIES: dict[str, tuple[bytes, dict[str, str], int, str]] = {
    "null": (b"null", JSON, 400, BAD),
    "a number": (b"1", JSON, 400, BAD),
    "a string": (b'"x"', JSON, 400, BAD),
    "true": (b"true", JSON, 400, BAD),
    "nothing": (b"", JSON, 400, BAD),
    "an empty object": (b"{}", JSON, 400, BAD),
    "a batch": (b'[{"query": "{ __typename }"}]', JSON, 400, BAD),
    "broken": (b'{"query": ', JSON, 400, BAD),
    "bad UTF-8": (b'{"query": "\xff\xfe"}', JSON, 400, BAD),
    "UTF-16": ('{"query": "{ __typename }"}'.encode("utf-16"), JSON, 400, BAD),
    "a byte-order mark": (b"\xef\xbb\xbf" + b'{"query": "{ __typename }"}', JSON, 400, BAD),
    "100,000 nested lists": (b'{"query": "{ a }", "variables": ' + b"[" * 100_000, JSON, 400, BAD),
    "33 nested lists": (b'{"query": "{ a }", "variables": {"a": ' + b"[" * 33 + b"]" * 33 + b"}}", JSON, 400, BAD),
    "int of 10,000 digits": (b'{"query": "{ a }", "variables": {"a": ' + b"9" * 10_000 + b"}}", JSON, 400, BAD),
    "1e400": (b'{"query": "{ a }", "variables": {"a": 1e400}}', JSON, 400, BAD),
    "1e999999999": (b'{"query": "{ a }", "variables": {"a": 1e999999999}}', JSON, 400, BAD),
    "NaN": (b'{"query": "{ a }", "variables": {"a": NaN}}', JSON, 400, BAD),
    "Infinity": (b'{"query": "{ a }", "variables": {"a": -Infinity}}', JSON, 400, BAD),
    "NUL in a variable": (b'{"query": "{ a }", "variables": {"a": "\\u0000"}}', JSON, 400, BAD),
    "NUL in a key": (b'{"query": "{ a }", "variables": {"\\u0000": 1}}', JSON, 400, BAD),
    "half of a surrogate pair": (b'{"query": "{ a }", "variables": {"a": "\\ud800"}}', JSON, 400, BAD),
    "query is a number": (b'{"query": 1}', JSON, 400, BAD),
    "query is blank": (b'{"query": "  "}', JSON, 400, BAD),
    "variables are a list": (b'{"query": "{ __typename }", "variables": []}', JSON, 400, BAD),
    "variables are text": (b'{"query": "{ __typename }", "variables": "{}"}', JSON, 400, BAD),
    "extensions are a list": (b'{"query": "{ __typename }", "extensions": []}', JSON, 400, BAD),
    "operationName is a number": (b'{"query": "{ __typename }", "operationName": 1}', JSON, 400, BAD),
    "operationName is unknown": (b'{"query": "query a { __typename }", "operationName": "b"}', JSON, 400, BAD),
    "two operations and no name": (b'{"query": "query a { __typename } query b { __typename }"}', JSON, 400, BAD),
    "10 MB": (b'{"query": "' + b"x" * 10_000_000 + b'"}', JSON, 413, LIMIT),
    "gzip": (gzip.compress(b'{"query": "{ __typename }"}'), {**JSON, "content-encoding": "gzip"}, 415, BAD),
    "gzip without saying so": (gzip.compress(b'{"query": "{ __typename }"}'), JSON, 400, BAD),
    "text/plain": (b'{"query": "{ __typename }"}', {"content-type": "text/plain"}, 415, BAD),
    "a form": (b"query={__typename}", {"content-type": "application/x-www-form-urlencoded"}, 415, BAD),
    "a multipart form": (b"--x--", {"content-type": "multipart/form-data; boundary=x"}, 415, BAD),
    "no content type": (b'{"query": "{ __typename }"}', {}, 415, BAD),
    "another charset": (
        b'{"query": "{ __typename }"}',
        {"content-type": "application/json; charset=latin-1"},
        415,
        BAD,
    ),
    "an unknown media type wanted": (b'{"query": "{ __typename }"}', {**JSON, "accept": "text/plain"}, 406, BAD),
    "a blank idempotency key": (b'{"query": "{ __typename }"}', {**JSON, "idempotency-key": ""}, 400, LIMIT),
    "a long idempotency key": (b'{"query": "{ __typename }"}', {**JSON, "idempotency-key": "k" * 256}, 400, LIMIT),
}


async def test_bodies(api: Api) -> None:
    wrong: dict[str, object] = {}
    for name, (body, headers, status, code) in BODIES.items():
        response = await api.http.post("/graphql", content=body, headers=headers)
        codes = [error["extensions"]["code"] for error in response.json()["errors"]]
        if response.status_code != status or codes != [code] or "Traceback" in response.text:
            wrong[name] = (response.status_code, response.text[:300])
    assert not wrong


async def test_a_body_without_a_length_is_cut_off_at_the_limit(api: Api) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(10_000):
            sent += 65_536
            yield b" " * 65_536

    response = await api.http.post("/graphql", content=endless(), headers=JSON)
    assert response.status_code == 413
    assert sent < 2_000_000, "reading stops at the limit"


async def test_variables_of_a_wrong_type(api: Api) -> None:
    document = "query ($first: Int!) { auditLog(first: $first) { totalCount } }"
    for first in ("10", 1.5, True, None, 2**31, [], {}, "NaN"):
        response = await api.post(document, {"first": first})
        assert response.status_code == 400, first
        assert response.json()["errors"][0]["extensions"]["code"] == INPUT, first
        assert "data" not in response.json(), first


async def test_bad_cursors_are_named_and_no_codec_speaks(api: Api) -> None:
    for cursor in ("", "x", "Incorrect", "YXJyYXljb25uZWN0aW9uOjE=", "é", "A" * 5000, "-_-_", "eyJhIjoxfQ", "0", " "):
        [error] = await api.errors("query ($c: String) { auditLog(after: $c) { totalCount } }", c=cursor)
        assert error["extensions"]["code"] == INPUT, cursor
        assert error["message"] == "after is not a cursor of this list; pass an endCursor of it.", cursor


async def test_pages_have_a_size(api: Api) -> None:
    for first in (0, -1, 101, 1_000_000):
        [error] = await api.errors("query ($n: Int!) { auditLog(first: $n) { totalCount } }", n=first)
        assert error["extensions"]["code"] == INPUT
        assert error["message"] == f"first is {first}; write a number from 1 to 100."


async def test_an_id_that_names_nothing_gives_null(api: Api) -> None:
    for text in ("", "x", "key_", "key_" + "g" * 32, "key_" + "0" * 32, "zzz_" + "0" * 32, "é" * 40):
        assert await api("query ($id: ID!) { node(id: $id) { id } }", id=text) == {"node": None}


async def test_anonymous_callers_learn_nothing(app: Starlette) -> None:
    anonymous = Api(app, None)
    for document in (
        "{ __typename }",
        "{ __schema { types { name } } }",
        "{ nothing }",
        "{",
        DOCUMENTS["31 aliases"][0],
    ):
        response = await anonymous.post(document)
        assert response.status_code == 401
        assert response.headers["www-authenticate"].startswith("Bearer")
        [error] = response.json()["errors"]
        assert error["extensions"]["code"] == "UNAUTHENTICATED"
        assert error["message"] == "Send an API key: Authorization: Bearer <key>."
