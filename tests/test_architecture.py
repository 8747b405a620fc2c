"""The house rules that a machine can check: who imports whom, sizes, names, clocks, floats, docstrings.

Reads the sources and imports nothing. The import table is that of the architecture note; a rule that must change is
changed here, in the open, with its reason.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# From low to high: a slice writes downwards, through services, and reads anyone's tables.
SLICES = (
    *(
        "access",
        "jobs",
        "notices",
        "custom_fields",
        "customers",
        "catalog",
        "usage",
        "grants",
        "contracts",
        "invoices",
        "delivery",
    ),
    *("alerts", "reports"),
)
# Small modules at the top of app/ on which everything but the core may stand. All other modules up there are doors:
# they may import anything, and nothing below may import them.
KERNEL = frozenset(
    f"app.{name}" for name in ("errors", "clock", "actor", "settings", "failpoints", "change", "checks", "providers")
)
# Messages are signed in one way, whoever sends them.
CORE_FOR_CONNECTORS = frozenset(f"app.core{part}" for part in ("", ".money", ".currencies", ".period", ".signing"))

# The connectors of this distribution, as registered for the registry to find.
CONNECTORS = frozenset(
    place.partition(":")[0]
    for place in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"][
        "metrograph.connectors"
    ].values()
)

MAX_FILE, MAX_TEST_FILE, MAX_FUNCTION, MAX_IMPORTS = 400, 600, 60, 15
# Modules that still import more than that. The list only shrinks: one that no longer needs its place here fails.
IMPORT_DEBT = {
    "app/delivery/metering.py",
    "app/delivery/service.py",
    "app/invoices/service.py",
    "app/usage/service.py",
}
BANNED_NAMES = {"util", "utils", "helper", "helpers", "common", "manager", "managers", "misc", "base"}
ALLOWED_BASES = {"app/store/base.py", "connectors/base.py"}
CLOCK_READS = {
    *(("datetime", name) for name in ("now", "utcnow", "today")),
    *(("date", "today"), ("time", "time"), ("time", "time_ns"), ("time", "localtime"), ("time", "gmtime")),
}


@dataclass(frozen=True)
class Import:
    """One imported module, as far as files go: `from app.store import ids` names `app.store.ids`."""

    target: str
    line: int
    type_only: bool


class Module:
    """One source file with its tree."""

    def __init__(self, path: Path) -> None:
        self.path = path.relative_to(ROOT).as_posix()
        self.parts = tuple(path.relative_to(ROOT).with_suffix("").parts)
        self.name = ".".join(self.parts).removesuffix(".__init__")
        self.text = path.read_text(encoding="utf-8")
        self.tree = ast.parse(self.text)

    @property
    def slice(self) -> str | None:
        return self.parts[1] if self.parts[0] == "app" and len(self.parts) > 2 and self.parts[1] in SLICES else None

    @property
    def kind(self) -> str:
        """`tables`, `api` or `service`: every other module of a slice is part of its service."""
        stem = self.parts[-1]
        return stem if stem in ("tables", "api") else "api" if stem.startswith("api_") else "service"

    @cached_property
    def imports(self) -> list[Import]:
        found: list[Import] = []
        type_only = {
            id(node)
            for block in ast.walk(self.tree)
            if isinstance(block, ast.If) and ast.unparse(block.test).endswith("TYPE_CHECKING")
            for statement in block.body
            for node in ast.walk(statement)
        }
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found += [Import(alias.name, node.lineno, id(node) in type_only) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.path}:{node.lineno} imports are absolute"
                module = node.module or ""
                targets = {f"{module}.{a.name}" if is_module(f"{module}.{a.name}") else module for a in node.names}
                found += [Import(target, node.lineno, id(node) in type_only) for target in sorted(targets)]
        return found


def listed(wrong: list[str]) -> str:
    return "\n" + "\n".join(wrong)


def is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def read(*folders: str) -> list[Module]:
    return [Module(path) for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


@pytest.fixture(scope="module")
def sources() -> list[Module]:
    return read("app", "connectors")


def within(target: str, *packages: str) -> bool:
    return any(target == package or target.startswith(f"{package}.") for package in packages)


def rank(slice_name: str) -> int:
    return SLICES.index(slice_name)


def may_import(module: Module, item: Import) -> bool:
    """The import table of the architecture note, for targets inside the project."""
    name, target = module.name, item.target
    if within(name, "app.core"):
        return within(target, "app.core")
    if within(name, "connectors"):
        return connector_may_import(name, target)
    if name in KERNEL:
        return target in KERNEL or within(target, "app.core")
    if within(name, "app.store"):
        return target in KERNEL or within(target, "app.core", "app.store")
    if within(name, "app.graphql"):
        return target in KERNEL or within(target, "app.core", "app.store", "app.graphql")
    if within(name, "app.pages"):
        return target in KERNEL or within(target, "app.core", "app.pages", "app.schema")
    return slice_may_import(module, item) if module.slice else True


def connector_may_import(name: str, target: str) -> bool:
    if name == "connectors.base":
        return target in CORE_FOR_CONNECTORS
    if within(name, "connectors.sandbox"):
        # Stand-ins keep their state in a database schema of their own and follow the same clock.
        return within(target, "connectors", "app.core", "app.store") or target in KERNEL
    if target in CONNECTORS or within(target, "connectors.sandbox"):
        return False  # One provider's file never leans on another's; what two share is a module of its own.
    return target in CORE_FOR_CONNECTORS or within(target, "connectors")


def slice_may_import(module: Module, item: Import) -> bool:
    target, own = item.target, module.slice
    assert own is not None
    if target in KERNEL or within(target, "app.core", "app.store"):
        return True
    if module.kind == "tables":
        return False
    if within(target, "app.graphql"):
        return module.kind == "api"
    if within(target, "connectors"):
        # All are the contract with connectors; `subscriptions` and `pace` are parts that only some have.
        contract = {"connectors", "connectors.base", "connectors.subscriptions", "connectors.pace"}
        return own == "delivery" and target in contract
    other, _, part = target.removeprefix("app.").partition(".")
    if other not in SLICES:
        return False
    if part == "tables" or not part:
        return True
    if module.kind == "api":
        return rank(other) <= rank(own) or item.type_only
    return rank(other) <= rank(own) and not part.startswith("api")


def test_the_import_table(sources: list[Module]) -> None:
    wrong = [
        f"{module.path}:{item.line} must not import {item.target}"
        for module in sources
        for item in module.imports
        if within(item.target, "app", "connectors", "tests") and not may_import(module, item)
    ]
    assert not wrong, listed(wrong)


def test_the_core_stands_on_the_standard_library_alone(sources: list[Module]) -> None:
    wrong = [
        f"{module.path}:{item.line} {item.target}"
        for module in sources
        if within(module.name, "app.core", "connectors.base")
        for item in module.imports
        if not within(item.target, "app") and item.target.partition(".")[0] not in sys.stdlib_module_names
    ]
    assert not wrong, listed(wrong)


def test_graphql_stays_in_the_api(sources: list[Module]) -> None:
    wrong = [
        f"{module.path}:{item.line}"
        for module in sources
        if (module.slice and module.kind != "api") or within(module.name, "app.store", "connectors", *KERNEL)
        for item in module.imports
        if within(item.target, "strawberry", "graphql")
    ]
    assert not wrong, listed(wrong)


@pytest.mark.parametrize(
    ("module", "target", "allowed"),
    [
        ("app/core/rates.py", "app.core.money", True),
        ("app/core/rates.py", "app.errors", False),
        ("app/store/base.py", "app.core.money", True),
        ("app/store/base.py", "app.usage.tables", False),
        ("app/usage/tables.py", "app.store.base", True),
        ("app/usage/tables.py", "app.usage.service", False),
        ("app/contracts/service.py", "app.invoices.tables", True),
        ("app/contracts/service.py", "app.invoices.service", False),
        ("app/invoices/service.py", "app.usage.service", True),
        ("app/invoices/service.py", "app.usage.api", False),
        ("app/invoices/drafts.py", "app.graphql.scalars", False),
        ("app/invoices/api.py", "app.graphql.scalars", True),
        ("app/customers/api.py", "app.contracts.api", False),
        ("app/delivery/service.py", "connectors.base", True),
        ("app/delivery/service.py", "connectors.stripe", False),
        ("app/invoices/service.py", "connectors.base", False),
        ("app/invoices/service.py", "app.worker", False),
        ("connectors/stripe.py", "connectors.base", True),
        ("connectors/stripe.py", "connectors.aws_marketplace", False),
        ("connectors/stripe.py", "app.core.money", True),
        ("connectors/stripe.py", "app.core.rating", False),
        ("connectors/stripe.py", "app.store.base", False),
        ("app/worker.py", "connectors.stripe", True),
    ],
)
def test_the_table_itself(module: str, target: str, allowed: bool) -> None:
    reader = Module.__new__(Module)
    reader.path, reader.parts = module, tuple(module.removesuffix(".py").split("/"))
    reader.name = ".".join(reader.parts)
    assert may_import(reader, Import(target, 1, type_only=False)) is allowed


def test_an_api_may_name_a_higher_slice_for_types_only() -> None:
    reader = Module.__new__(Module)
    reader.parts, reader.name = ("app", "customers", "api"), "app.customers.api"
    assert may_import(reader, Import("app.contracts.api", 1, type_only=True))


def sized(modules: list[Module]) -> list[Module]:
    return [module for module in modules if not module.path.startswith("app/store/migrations/")]


def test_files_are_short(sources: list[Module]) -> None:
    limits = [(module, MAX_FILE) for module in sized(sources)] + [(module, MAX_TEST_FILE) for module in read("tests")]
    wrong = [f"{m.path}: {count} lines" for m, limit in limits if (count := len(m.text.splitlines())) > limit]
    assert not wrong, listed(wrong)


def test_functions_fit_on_a_screen(sources: list[Module]) -> None:
    wrong = [
        f"{module.path}:{node.lineno} {node.name}: {count} lines"
        for module in sized(sources)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (count := (node.end_lineno or node.lineno) - node.lineno + 1) > MAX_FUNCTION
    ]
    assert not wrong, listed(wrong)


def imports_at_the_top(module: Module) -> int:
    statements = [node for node in module.tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    return sum(not (isinstance(node, ast.ImportFrom) and node.module == "__future__") for node in statements)


def test_modules_import_little(sources: list[Module]) -> None:
    """Doors wire everything together, so only they may name more."""
    doors = {m.path for m in sources if m.parts[0] == "app" and len(m.parts) == 2 and m.name not in KERNEL}
    over = {m.path: count for m in sized(sources) if (count := imports_at_the_top(m)) > MAX_IMPORTS}
    wrong = [f"{path}: {count} imports" for path, count in over.items() if path not in doors | IMPORT_DEBT]
    wrong += [f"{path} is within the limit and leaves IMPORT_DEBT" for path in sorted(IMPORT_DEBT - over.keys())]
    assert not wrong, listed(wrong)


def test_module_names_say_what_is_inside(sources: list[Module]) -> None:
    wrong = [m.path for m in sources if m.parts[-1] in BANNED_NAMES and m.path not in ALLOWED_BASES]
    assert not wrong, listed(wrong)


def test_no_float_in_the_core(sources: list[Module]) -> None:
    wrong = [
        f"{module.path}:{node.lineno}"
        for module in sources
        if within(module.name, "app.core")
        for node in ast.walk(module.tree)
        if (isinstance(node, ast.Constant) and isinstance(node.value, float))
        or (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float")
    ]
    assert not wrong, listed(wrong)


def clock_reads(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            if (ast.unparse(node.value).split(".")[-1], node.attr) in CLOCK_READS:
                yield node.lineno
        elif isinstance(node, ast.ImportFrom) and any((node.module, alias.name) in CLOCK_READS for alias in node.names):
            yield node.lineno


def test_one_module_reads_the_time(sources: list[Module]) -> None:
    """Monotonic clocks, which measure how long something took, are free."""
    assert list(clock_reads(ast.parse("from time import time\ndatetime.datetime.now()\ntime.perf_counter()"))) == [1, 2]
    wrong = [
        f"{module.path}:{line}"
        for module in sources
        if module.path != "app/clock.py"
        for line in clock_reads(module.tree)
    ]
    assert not wrong, listed(wrong)


def test_modules_explain_themselves(sources: list[Module]) -> None:
    wrong = [module.path for module in sources if module.text.strip() and not ast.get_docstring(module.tree)]
    assert not wrong, listed(wrong)


def public_definitions(body: list[ast.stmt]) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public_definitions(node.body)


def test_public_parts_of_core_and_connectors_state_their_rule(sources: list[Module]) -> None:
    wrong = [
        f"{module.path}:{node.lineno} {node.name}"
        for module in sources
        if within(module.name, "app.core", "connectors")
        for node in public_definitions(module.tree.body)
        if not ast.get_docstring(node)
    ]
    assert not wrong, listed(wrong)
