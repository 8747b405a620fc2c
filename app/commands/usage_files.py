"""Usage files as events: JSONL, CSV with a column mapping, CloudEvents.

Owns the mapping of columns and the id of a row that has none. Events go on to the same ingest as everywhere else.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, TextIO

from app.errors import ErrorCode, InvalidInput
from app.usage.incoming import IncomingEvent, decode

TABLES = {".csv": ",", ".tsv": "\t"}
FIELDS = ("transactionId", "customerId", "eventType", "timestamp")


@dataclass(frozen=True, slots=True)
class RowMapping:
    """How a file's rows become events. `columns` and `constants` are by field name; `zone` is for times without one."""

    columns: Mapping[str, str]
    constants: Mapping[str, str]
    zone: tzinfo


def pairs(texts: list[str], *, option: str) -> dict[str, str]:
    """`["timestamp=TIMESTAMP"]` -> a dictionary. InvalidInput names what is not a pair, or not a field."""
    found: dict[str, str] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or not value or (name not in FIELDS and not name.startswith("properties.")):
            accepted = ", ".join((*FIELDS, "properties.<name>"))
            raise InvalidInput(ErrorCode.INVALID, f"{option} {text!r}: write field=value with a field of {accepted}.")
        found[name] = value
    return found


@dataclass(frozen=True, slots=True)
class Located:
    """An event and the line of the file on which it ends."""

    line: int
    event: IncomingEvent


def check_header(file: Path, mapping: RowMapping) -> None:
    """InvalidInput when the mapping does not fit the file's columns; looked at before anything is read in."""
    delimiter = TABLES.get(file.suffix.lower())
    if delimiter is None:
        if mapping.columns:
            raise InvalidInput(ErrorCode.INVALID, f"{file.name} has no columns: --map is for CSV and TSV files.")
        return
    with file.open(encoding="utf-8-sig", newline="", errors="replace") as stream:
        header = next(csv.reader(stream, delimiter=delimiter), [])
    missing = sorted(set(mapping.columns.values()) - set(header))
    if missing:
        raise InvalidInput(
            ErrorCode.INVALID, f"{file.name} has no column {', '.join(missing)}; it has {', '.join(header) or 'none'}."
        )
    repeated = sorted(name for name, times in Counter(header).items() if times > 1)
    if repeated:
        raise InvalidInput(ErrorCode.INVALID, f"{file.name} has several columns {', '.join(repeated)}.")


def read(file: Path, mapping: RowMapping) -> Iterator[Located]:
    """The events of a file, one by one. A row that cannot be read raises InvalidInput with its line."""
    delimiter = TABLES.get(file.suffix.lower())
    with _opened(file) as stream:
        yield from _lines(stream, mapping) if delimiter is None else _rows(stream, mapping, delimiter=delimiter)


@contextmanager
def _opened(file: Path) -> Iterator[TextIO]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            yield stream
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(ErrorCode.INVALID, f"It cannot be read as UTF-8 text: {error}.") from error


def count(file: Path) -> int:
    """About how many events a file holds, for the progress bar: its lines."""
    with file.open("rb") as stream:
        return sum(block.count(b"\n") for block in iter(lambda: stream.read(1 << 20), b""))


def _rows(stream: TextIO, mapping: RowMapping, *, delimiter: str) -> Iterator[Located]:
    reader = csv.DictReader(stream, delimiter=delimiter)
    header = list(reader.fieldnames or [])
    seen: Counter[str] = Counter()
    mapped = set(mapping.columns.values())
    for row in reader:
        if None in row or None in row.values():
            raise InvalidInput(ErrorCode.INVALID, f"line {reader.line_num} does not have {len(header)} columns.")
        fields = {**mapping.constants, **{name: row[column] for name, column in mapping.columns.items()}}
        properties: dict[str, Any] = {name: row[name] for name in header if name not in mapped}
        properties |= {key.removeprefix("properties."): fields.pop(key) for key in list(fields) if "." in key}
        yield Located(reader.line_num, _event(fields, properties, mapping, seen))


def _lines(stream: TextIO, mapping: RowMapping) -> Iterator[Located]:
    seen: Counter[str] = Counter()
    for number, line in enumerate(stream, start=1):
        if not line.strip():
            continue
        is_cloud = '"specversion"' in line
        try:
            events = decode(
                line.encode(), media_type="application/cloudevents+json" if is_cloud else "application/json"
            )
        except InvalidInput as error:
            raise InvalidInput(error.code, f"line {number}: {error.message}") from error
        if len(events) != 1:
            raise InvalidInput(ErrorCode.INVALID, f"line {number} holds {len(events)} events; write one on each line.")
        [event] = events
        given = {
            "transactionId": event.transaction_id, "customerId": event.customer, "eventType": event.event_type,
            "timestamp": event.timestamp,
        }  # fmt: skip
        fields = {**mapping.constants, **{name: value for name, value in given.items() if value is not None}}
        properties = event.properties
        extra = {key.removeprefix("properties."): fields.pop(key) for key in list(fields) if "." in key}
        if isinstance(properties, dict):
            properties = {**extra, **properties}
        yield Located(number, _event(fields, properties, mapping, seen))


def _event(fields: dict[str, Any], properties: Any, mapping: RowMapping, seen: Counter[str]) -> IncomingEvent:
    timestamp = _zoned(fields.get("timestamp"), mapping.zone)
    transaction_id = fields.get("transactionId")
    if transaction_id is None:
        # Content decides: the same rows give the same ids in any file, and equal rows are told apart by their count.
        content = json.dumps([fields.get("customerId"), fields.get("eventType"), timestamp, properties], default=str)
        digest = hashlib.sha256(content.encode()).hexdigest()[:40]
        seen[digest] += 1
        transaction_id = f"row-{digest}-{seen[digest]}"
    return IncomingEvent(transaction_id, fields.get("customerId"), fields.get("eventType"), timestamp, properties)


def _zoned(value: Any, zone: tzinfo) -> Any:
    """A time without a zone is read in the file's; anything that is no time is left for the check to refuse."""
    if not isinstance(value, str):
        return value
    try:
        found = datetime.fromisoformat(value.strip())
    except ValueError:
        return value
    return (found if found.tzinfo else found.replace(tzinfo=zone)).isoformat()
