"""The commands around the main job: documents, keys, the schema, the doctor, scenario files, and faults at the start."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from app.access.scopes import ROLES, Role
from tests.commands.conftest import ROOT, Deployment, metrograph

CREATE = 'mutation { customerCreate(input: {name: "Alder"}) { customer { name } userErrors { code } } }'


def test_a_document_from_stdin_and_from_a_file(deployment: Deployment, tmp_path: Path) -> None:
    made = deployment.run("query", "-", stdin=CREATE)
    assert (made.code, made.document) == (
        0,
        {"data": {"customerCreate": {"customer": {"name": "Alder"}, "userErrors": []}}},
    )
    file = tmp_path / "customers.graphql"
    file.write_text("query ($first: Int!) { customers(first: $first) { nodes { name } } }")
    found = deployment.run("query", file, "--variables", '{"first": 5}')
    assert found.document == {"data": {"customers": {"nodes": [{"name": "Alder"}]}}}


def test_a_wrong_document_is_a_failure_and_a_wrong_call_wrong_use(deployment: Deployment) -> None:
    failed = deployment.run("query", "-", stdin="{ nothing }")
    assert failed.code == 1
    assert failed.document["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    assert deployment.run("query", "/nowhere.graphql").code == 2
    assert deployment.run("query", "-", "--variables", "[1]", stdin=CREATE).code == 2
    assert deployment.run("query", "-", "--variables", "{", stdin=CREATE).code == 2


def test_a_key_of_scopes_or_of_a_role(deployment: Deployment) -> None:
    plain = deployment.run("keys", "create", "--name", "sender", "--scope", "usage:write", "--json")
    assert plain.document["scopes"] == ["usage:write"]
    assert plain.document["id"].startswith("key_")
    role = deployment.run("keys", "create", "--name", "operator", "--scope", "operator")
    secret, *more = role.out.splitlines()
    assert more == []
    assert secret.startswith("mg_")
    assert secret not in role.err
    assert all(scope in role.err for scope in ROLES[Role.OPERATOR])
    refused = deployment.run("keys", "create", "--name", "x", "--scope", "everything")
    assert (refused.code, refused.out) == (2, "")
    assert "'everything' is not a scope" in refused.err


def test_the_schema_file_is_that_of_the_code(tmp_path: Path) -> None:
    exported = metrograph("schema", "export", env={})
    assert exported.out == (ROOT / "schema.graphql").read_text(encoding="utf-8")
    assert metrograph("schema", "check", env={}).code == 0
    other = tmp_path / "other.graphql"
    other.write_text(exported.out + "\nscalar Other\n")
    differing = metrograph("schema", "check", other, env={})
    assert (differing.code, differing.out) == (1, "")
    assert "metrograph schema export" in differing.err


def test_the_doctor_names_what_is_missing(deployment: Deployment) -> None:
    found = deployment.run("doctor", "--json")
    assert found.code == 1
    says = {item["name"]: (item["ok"], item["says"]) for item in found.document["checks"]}
    assert says["database"][0]
    assert says["connections"] == (
        True,
        "aws-sandbox, azure-sandbox, custom-sandbox, gcp-sandbox, manual, stripe-sandbox",
    )
    assert says["durability"] == (False, "fsync is off")  # the tests' server
    assert not says["secret key"][0]
    assert "METROGRAPH_SECRET_KEY" in says["secret key"][1]
    assert "LOOK  secret key: missing" in deployment.run("doctor").out


def test_scenarios_pass_differ_or_are_not_understood(tmp_path: Path) -> None:
    golden = ROOT / "tests" / "golden"
    passing = json.loads((golden / "dedupe-transaction-id.json").read_text(encoding="utf-8"))
    differing = copy.deepcopy(passing)
    for step in differing["steps"]:
        if step["action"] == "ingest" and "expect" in step:
            step["expect"]["accepted"] = 4_711
    for name, content in {"passing": passing, "differing": differing, "strange": passing | {"weather": "fine"}}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    found = metrograph("scenario", "run", tmp_path, env={})
    assert found.code == 1
    assert "FAILED differing\n" in found.out
    assert "expected 4711" in found.out
    assert "FAILED strange\n  not understood: scenario: weather" in found.out
    assert found.out.endswith("1 passed, 2 failed\n")

    pending = tmp_path / "pending.txt"
    pending.write_text("# waits\ndiffering\nstrange\n")
    waiting = metrograph("scenario", "run", tmp_path, "--pending", pending, env={})
    assert (waiting.code, waiting.out) == (0, "2 pending (listed, and failing as listed)\n1 passed, 0 failed\n")
    pending.write_text("differing\nstrange\npassing\nabsent\n")
    shrunk = metrograph("scenario", "run", tmp_path, "--pending", pending, env={})
    assert shrunk.code == 1
    assert "FAILED passing: it passes now; take it off the pending list" in shrunk.out
    assert "FAILED absent: on the pending list, but there is no such file" in shrunk.out


def test_no_scenarios_is_wrong_use(tmp_path: Path) -> None:
    assert metrograph("scenario", "run", tmp_path, env={}).code == 2


@pytest.mark.parametrize(
    ("env", "code", "said"),
    [
        ({"DATABASE_URL": "postgresql://u:hidden-word@127.0.0.1:1/x"}, 1, "The database does not answer"),
        ({"DATABASE_URL": "postgresql://u:hidden-word@h/x?bogus=1"}, 2, "DATABASE_URL"),
        ({"METROGRAPH_SECRET_KEY": "hidden-word", "METROGRAPH_LOG_LEVEL": "loud"}, 2, "METROGRAPH_LOG_LEVEL='loud'"),
    ],
)
def test_what_keeps_a_command_from_starting(env: dict[str, str], code: int, said: str) -> None:
    found = metrograph("migrate", env=env)
    assert (found.code, found.out) == (code, "")
    assert said in found.err
    assert "hidden-word" not in found.err


def test_all_problems_of_the_accounts_are_named(tmp_path: Path) -> None:
    accounts = tmp_path / "connections.toml"
    accounts.write_text(
        '[connections.a]\nprovider = "stripe"\napi_key = "sk_live_hidden"\n[connections.b]\nprovider = "x"\n'
    )
    env = {"METROGRAPH_CONNECTIONS": str(accounts), "METROGRAPH_DATA_DIR": str(tmp_path / "data")}
    found = metrograph("check", env=env)
    assert found.code == 2
    assert "connections.a.api_key" in found.err
    assert "connections.b.provider" in found.err
    assert "sk_live_hidden" not in found.err
    assert not (tmp_path / "data").exists()
