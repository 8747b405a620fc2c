"""Catalog files: YAML to entries, each with its key, its definition, and the line of every part of it.

Owns the reading. Numbers with a fraction stay the text that was written, so no price passes through a float; what would make
a file mean something else than it says (aliases, repeated keys) is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

MAX_BYTES = 1_048_576
MAX_KEY = 100
MAX_DEPTH = 30
MAX_INT = 18
SECTIONS = ("metrics", "products", "rateCards", "customers", "contracts")
"""In the order in which they are made; each may refer to those before it."""

Steps = tuple[str, ...]


class CatalogError(Exception):
    """What is wrong with a file, and where: `catalog.yaml:12: rateCards[0].rates[1].price: …`."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One object of a file. `lines` lead from the way to a part of the definition to the line where it stands."""

    section: str
    key: str
    definition: Mapping[str, Any]
    source: str
    place: int
    lines: Mapping[Steps, int] = field(repr=False)

    @property
    def digest(self) -> str:
        """Twelve characters that another definition does not have."""
        return hashlib.sha256(json.dumps(self.definition, sort_keys=True).encode()).hexdigest()[:12]

    def error(self, message: str, way: Iterable[str] = ()) -> CatalogError:
        """An error about a part of it, at the line of the nearest part that is written in the file."""
        steps = tuple(way)
        near = steps
        while near not in self.lines:
            near = near[:-1]
        shown = "".join(f"[{step}]" if step.isdigit() else f".{step}" for step in steps)
        return CatalogError(
            f"{self.source}:{self.lines[near]}: {self.section}[{self.place}]{shown} ({self.key}): {message}"
        )


def read(paths: Iterable[Path]) -> list[Entry]:
    """The entries of some files in the order in which they are made. Error: CatalogError, OSError."""
    found = [entry for path in paths for entry in entries_of(path.read_text(encoding="utf-8"), path.name)]
    seen: dict[tuple[str, str], Entry] = {}
    for entry in found:
        first = seen.setdefault((entry.section, entry.key), entry)
        if first is not entry:
            raise entry.error(f"the key is that of {first.source}:{first.lines[()]}; give each its own.", ("key",))
    return sorted(found, key=lambda entry: SECTIONS.index(entry.section))


def entries_of(text: str, source: str) -> Iterator[Entry]:
    """The entries of one file."""
    if len(text.encode()) > MAX_BYTES:
        raise CatalogError(f"{source}: a file has at most {MAX_BYTES:,} bytes; split it, and name both.")
    try:
        _check_events(text, source)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        lines: dict[Steps, int] = {}
        document = None if root is None else _value(root, (), lines, source)
    except yaml.MarkedYAMLError as error:
        line = 0 if error.problem_mark is None else error.problem_mark.line + 1
        raise CatalogError(f"{source}:{line}: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise CatalogError(f"{source}: {type(error).__name__}: this is no YAML that can be read.") from error
    if not isinstance(document, dict):
        raise CatalogError(f"{source}:1: write sections: {', '.join(SECTIONS)}.")
    for section, items in document.items():
        at = f"{source}:{lines[section,]}"
        if section not in SECTIONS:
            raise CatalogError(f"{at}: there is no section {section!r}; there are {', '.join(SECTIONS)}.")
        if not isinstance(items, list):
            raise CatalogError(f"{at}: {section} is a list.")
        for place, item in enumerate(items):
            yield _entry(section, place, item, source, lines)


def _check_events(text: str, source: str) -> None:
    """Refuse what could grow without bounds when it is read."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            raise CatalogError(f"{source}:{line}: aliases are not read; write the value again.")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise CatalogError(f"{source}:{line}: a definition is at most {MAX_DEPTH} levels deep.")


def _entry(section: str, place: int, item: Any, source: str, lines: Mapping[Steps, int]) -> Entry:
    way = (section, str(place))
    own = {steps[2:]: line for steps, line in lines.items() if steps[:2] == way}
    key = item.get("key") if isinstance(item, dict) else None
    if not isinstance(item, dict) or not isinstance(key, str) or not 0 < len(key) <= MAX_KEY or "#" in key:
        raise CatalogError(
            f"{source}:{own[()]}: {section}[{place}]: give it a key, a text of 1 to {MAX_KEY} characters without #, by "
            "which it is known."
        )
    return Entry(section, key, {name: value for name, value in item.items() if name != "key"}, source, place, own)


def _value(node: yaml.Node, way: Steps, lines: dict[Steps, int], source: str) -> Any:
    lines[way] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for name, value in node.value:
            if not isinstance(name, yaml.ScalarNode) or name.value in found:
                raise CatalogError(f"{source}:{name.start_mark.line + 1}: a name stands once, and is a text.")
            found[name.value] = _value(value, (*way, name.value), lines, source)
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*way, str(place)), lines, source) for place, item in enumerate(node.value)]
    return _scalar(node)


def _scalar(node: yaml.Node) -> str | int | bool | None:
    kind, text = node.tag.rpartition(":")[2], str(node.value)
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() in ("true", "yes", "on")
    if kind == "int" and len(text) <= MAX_INT and text.lstrip("-").isdigit() and str(int(text)) == text:
        return int(text)
    # Fractions, times and numbers of any length stay as they are written.
    return text
