"""`metrograph ingest`: any file of usage in, its bad rows named, and nothing counted twice."""

from __future__ import annotations

import asyncio
import json
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from tests import builders
from tests.api.conftest import Api
from tests.commands.conftest import Deployment, metrograph

CONSTANTS = ("--set", "customerId=alder", "--set", "eventType=inference")
MAPPED = ("--map", "timestamp=TIMESTAMP", *CONSTANTS)
TRACE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:17:03.9799600,4808,10
2023-11-16 18:17:04.0319600,3180,8
2023-11-16 18:17:04.0319600,3180,8
"""


def write(folder: Path, name: str, content: str) -> Path:
    file = folder / name
    file.write_text(content, encoding="utf-8")
    return file


def events(url: str) -> list[tuple[str, str, datetime, dict[str, object]]]:
    with psycopg.connect(url) as connection:
        return connection.execute(
            "select transaction_id, reference, occurred_at, properties from events order by occurred_at, transaction_id"
        ).fetchall()


def test_a_csv_with_a_mapping_and_then_the_same_again(deployment: Deployment, tmp_path: Path) -> None:
    file = write(tmp_path, "trace.csv", TRACE)
    first = deployment.run("ingest", file, *MAPPED, "--zone", "Europe/Berlin", "--json")
    assert (first.code, first.document) == (0, {"accepted": 3, "duplicates": 0, "conflicts": []})
    stored = events(deployment.database_url)
    assert {reference for _, reference, _, _ in stored} == {"alder"}
    assert stored[0][2] == datetime(2023, 11, 16, 17, 17, 3, 979960, tzinfo=UTC), "Berlin is an hour ahead"
    assert stored[0][3] == {"ContextTokens": "4808", "GeneratedTokens": "10"}
    again = deployment.run("ingest", file, *MAPPED, "--zone", "Europe/Berlin")
    assert (again.code, again.out) == (0, "0 accepted, 3 duplicates, 0 conflicts\n")


def test_every_kind_of_file(deployment: Deployment, tmp_path: Path) -> None:
    plain = {
        "transactionId": "a",
        "customerId": "birch",
        "timestamp": "2023-11-16T10:00:00Z",
        "properties": {"n": 1.25},
    }
    cloud = {"specversion": "1.0", "id": "1", "source": "/eu", "type": "inference", "subject": "birch",
             "time": "2023-11-16T12:00:00Z", "data": {"n": 2}}  # fmt: skip
    files = [
        write(tmp_path, "usage.tsv", "id\tat\tn\na\\b\t2023-11-16T09:00:00Z\t1\n"),
        write(tmp_path, "usage.jsonl", f"{json.dumps(plain)}\n\n"),
        write(tmp_path, "cloud.ndjson", f"{json.dumps(cloud)}\n"),
    ]
    tsv = deployment.run("ingest", files[0], "--map", "transactionId=id", "--map", "timestamp=at", *CONSTANTS, "--json")
    lines = deployment.run("ingest", *files[1:], "--set", "eventType=inference", "--json")
    assert tsv.document["accepted"] == 1
    assert lines.document == {"accepted": 2, "duplicates": 0, "conflicts": []}
    assert [(row[0], row[1], row[3]) for row in events(deployment.database_url)] == [
        ("a\\b", "alder", {"n": "1"}),
        ("a", "birch", {"n": 1.25}),
        ("/eu#1", "birch", {"n": 2}),
    ]


def test_a_changed_row_is_a_conflict_and_the_first_wins(deployment: Deployment, tmp_path: Path) -> None:
    columns = ("--map", "transactionId=id", "--map", "timestamp=at", *CONSTANTS)
    first = write(tmp_path, "first.csv", "id,at,n\n1,2023-11-16 10:00,5\n2,2023-11-16 11:00,5\n")
    changed = write(tmp_path, "changed.csv", "id,at,n\n1,2023-11-16 10:00,5\n2,2023-11-16 11:00,6\n")
    deployment.run("ingest", first, *columns)
    found = deployment.run("ingest", changed, *columns, "--json")
    assert found.code == 3
    assert (found.document["accepted"], found.document["duplicates"]) == (0, 2)
    [conflict] = found.document["conflicts"]
    assert (conflict["file"], conflict["line"], conflict["transactionId"]) == ("changed.csv", 3, "2")
    assert [row[3] for row in events(deployment.database_url)] == [{"n": "5"}, {"n": "5"}]


def test_bad_rows_are_named_by_their_lines_and_nothing_of_their_batch_is_stored(
    deployment: Deployment, tmp_path: Path
) -> None:
    file = write(
        tmp_path,
        "bad.csv",
        'TIMESTAMP,note\n2023-11-16 10:00,"of two\nlines"\nnoon,\n2023-11-16 11:00,\n2023-01-01 00:00,old\n',
    )
    found = deployment.run("ingest", file, *MAPPED, "--json")
    assert (found.code, found.out) == (1, "")
    assert "bad.csv, line 4: INVALID" in found.err
    assert "bad.csv, line 6: EVENT_TOO_OLD" in found.err
    assert "Nothing of this batch was stored" in found.err
    assert events(deployment.database_url) == []


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("short.csv", b"TIMESTAMP,n\n2023-11-16 10:00,1\n2023-11-16 10:00\n", "short.csv, line 3"),
        ("latin.csv", b"TIMESTAMP,n\n2023-11-16 10:00,caf\xe9\n", "UTF-8"),
        ("broken.jsonl", b'{"timestamp": "2023-11-16T10:00:00Z"}\n{"timestamp": \n', "broken.jsonl, line 2"),
        ("nan.jsonl", b'{"timestamp": "2023-11-16T10:00:00Z", "properties": {"n": NaN}}\n', "nan.jsonl, line 1"),
    ],
)
def test_what_cannot_be_read_is_named(
    deployment: Deployment, tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    options = MAPPED if file.suffix == ".csv" else CONSTANTS
    found = deployment.run("ingest", file, *options)
    assert found.code == 1
    assert said in found.err


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("trace.csv", ("--map", "timestamp=WHEN"), "no column WHEN; it has TIMESTAMP, ContextTokens"),
        ("trace.csv", ("--map", "time=TIMESTAMP"), "with a field of transactionId"),
        ("trace.csv", ("--set", "customerId"), "write field=value"),
        ("trace.csv", (*MAPPED, "--zone", "Mars/Olympus"), "is not a time zone"),
        ("trace.csv", (*MAPPED, "--zone", "Europe"), "is not a time zone"),
        ("twice.csv", MAPPED, "several columns n"),
        ("lines.jsonl", MAPPED, "--map is for CSV"),
        ("absent.csv", MAPPED, "does not exist"),
    ],
)
def test_wrong_use_is_found_before_anything_starts(
    tmp_path: Path, name: str, options: tuple[str, ...], said: str
) -> None:
    for file, content in {"trace.csv": TRACE, "twice.csv": "TIMESTAMP,n,n\n", "lines.jsonl": "{}\n"}.items():
        write(tmp_path, file, content)
    found = metrograph("ingest", tmp_path / name, *options, env={"METROGRAPH_DATA_DIR": str(tmp_path / "data")})
    assert (found.code, found.out) == (2, "")
    assert said in " ".join(found.err.replace("│", " ").split())
    assert not (tmp_path / "data").exists()


async def test_a_trace_is_invoiced_to_the_last_digit(deployment: Deployment, api: Api, tmp_path: Path) -> None:
    """8,819 calls of one hour, as in the public trace; equal rows are different calls."""
    rng, at = random.Random(7), datetime(2023, 11, 16, 18, 17, 3, 979960, tzinfo=UTC)
    rows: list[tuple[str, int, int]] = []
    for _ in range(8_819):
        at += timedelta(microseconds=rng.randrange(0, 800_000))
        rows.append((f"{at:%Y-%m-%d %H:%M:%S.%f}0", rng.randrange(1, 8_000), rng.randrange(1, 1_200)))
    rows[100] = rows[101]
    lines = "".join(f"{stamp},{context},{generated}\n" for stamp, context, generated in rows)
    file = write(tmp_path, "trace.csv", f"TIMESTAMP,ContextTokens,GeneratedTokens\n{lines}")
    prices = {"ContextTokens": Decimal("0.00000251"), "GeneratedTokens": Decimal("0.000010007")}
    await seller(api, prices)
    deployment.now = "2026-11-20T12:00:00Z"
    refused = await asyncio.to_thread(deployment.run, "ingest", file, *MAPPED)
    assert refused.code == 1
    assert "--allow-historical" in refused.err
    first = await asyncio.to_thread(deployment.run, "ingest", file, *MAPPED, "--allow-historical", "--json")
    again = await asyncio.to_thread(deployment.run, "ingest", file, *MAPPED, "--allow-historical", "--json")
    assert first.document == {"accepted": 8_819, "duplicates": 0, "conflicts": []}
    assert again.document == {"accepted": 0, "duplicates": 8_819, "conflicts": []}
    preview = await asyncio.to_thread(
        deployment.run, "invoices", "preview", "--as-of", "2023-11-30T00:00:00Z", "--json"
    )
    [draft] = preview.document["drafts"]
    expected = sum(
        context * prices["ContextTokens"] + generated * prices["GeneratedTokens"] for _, context, generated in rows
    )
    assert Decimal(draft["total"]) == expected
    assert draft["currency"] == "USD"


async def seller(api: Api, prices: dict[str, Decimal]) -> None:
    """Alder pays for each token of a call, from November 2023 on."""
    rates = []
    for key, price in prices.items():
        metric = await builders.metric(api, name=key, aggregationKey=key, eventTypes=["inference"])
        product = await builders.product(api, name=key, metric_id=metric["id"])
        rates.append(builders.rate(product["id"], str(price)))
    card = await builders.rate_card(api, rates=rates)
    alder = await builders.customer(api, name="Alder", externalId="alder")
    await builders.contract(api, alder["id"], card["id"], starting_at="2023-11-01T00:00:00Z")
