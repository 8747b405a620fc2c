"""Usage filters of a contract: which of its customer's usage it takes, from an hour on.

Owns their rules and their rows; what a filter lets through is settled in `core.filters`. A change in the past reaches
drafts at once and final invoices never.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, func, select

from app.catalog.tables import MetricRow, ProductRow, RateRow
from app.catalog.terms import versions_of
from app.change import note_change
from app.checks import Path, at_most, distinct, hour_of, text_of
from app.contracts.reading import changeable_contract
from app.contracts.tables import Contract, UsageFilterRow
from app.core.quantities import group_names_of
from app.core.terms import UsageFilter
from app.errors import ErrorCode, InvalidInput, LimitExceeded

MAX_FILTERS = 100
MAX_VALUES = 200
MAX_TEXT = 200


@dataclass(frozen=True, slots=True)
class NewUsageFilter:
    """A filter as a caller asks for it; without `starting_at` it holds from the contract's start on."""

    key: str
    values: Sequence[str]
    starting_at: datetime | None = None


async def filters_of(session: AsyncSession, contract_ids: Collection[UUID]) -> dict[UUID, tuple[UsageFilter, ...]]:
    """The filters of each contract by start; of several at one instant only the last added."""
    rows = await session.execute(
        select(UsageFilterRow)
        .where(col(UsageFilterRow.contract_id).in_(contract_ids))
        .order_by(col(UsageFilterRow.added))
    )
    found: dict[UUID, dict[datetime, UsageFilter]] = {contract_id: {} for contract_id in contract_ids}
    for row in rows.scalars():
        found[row.contract_id][row.starting_at] = UsageFilter(row.starting_at, row.key, tuple(row.values))
    return {
        contract_id: tuple(sorted(by_start.values(), key=lambda item: item.starting_at))
        for contract_id, by_start in found.items()
    }


async def set_usage_filter(
    session: AsyncSession, contract_id: UUID, entry: NewUsageFilter, *, revision: int | None = None, now: datetime
) -> Contract:
    """Change which usage a contract takes, from an hour on.

    Errors: `NotFound`, ARCHIVED, STALE_REVISION, `LimitExceeded` above 100 changes, and those of `insert_usage_filters`.
    """
    contract = await changeable_contract(session, contract_id, revision=revision)
    [row] = await insert_usage_filters(session, contract, [entry], path=None, now=now)
    contract.revision += 1
    await session.flush()
    after = {"usageFilters": row.added} | shown_filter(row)
    note_change(session, "contract", contract.id, before={"usageFilters": row.added - 1}, after=after)
    return contract


def shown_filter(row: UsageFilterRow) -> dict[str, object]:
    """What the audit log keeps of a filter."""
    return {"key": row.key, "values": row.values, "startingAt": row.starting_at.isoformat()}


async def insert_usage_filters(
    session: AsyncSession,
    contract: Contract,
    entries: Sequence[NewUsageFilter],
    *,
    path: Path | None,
    now: datetime,
) -> list[UsageFilterRow]:
    """Check and store filters in the order given, after those of the contract. `path` as of `insert_charges`.

    Errors: REQUIRED, INVALID for a property by which a metric behind the rate card cannot be split together with the
    product's own group keys, NOT_HOUR_ALIGNED, INVALID_INTERVAL outside the contract, `LimitExceeded`.
    """
    last = await session.execute(
        select(func.max(UsageFilterRow.added)).where(UsageFilterRow.contract_id == contract.id)
    )
    added = last.scalar_one() or 0
    if added + len(entries) > MAX_FILTERS:
        raise LimitExceeded(
            ErrorCode.LIMIT_EXCEEDED, f"The filter of a contract changes at most {MAX_FILTERS} times.",
            path=path or ("id",),
        )  # fmt: skip
    rows: list[UsageFilterRow] = []
    for index, entry in enumerate(entries):
        place = ("input",) if path is None else (*path, str(index))
        key = text_of(entry.key, path=(*place, "key"), longest=MAX_TEXT)
        rows.append(
            UsageFilterRow(
                created_at=now,
                contract_id=contract.id,
                starting_at=_start(contract, entry.starting_at, path=(*place, "startingAt")),
                key=key,
                values=_values(entry.values, path=(*place, "values")),
                added=added + index + 1,
            )
        )
        await _check_offered(session, contract.rate_card_id, key, path=(*place, "key"))
    session.add_all(rows)
    await session.flush()
    return rows


def _start(contract: Contract, starting_at: datetime | None, *, path: Path) -> datetime:
    start = contract.starting_at if starting_at is None else hour_of(starting_at, path=path)
    if start < contract.starting_at or (contract.ending_before is not None and start >= contract.ending_before):
        end = "its end" if contract.ending_before is None else contract.ending_before.isoformat()
        raise InvalidInput(
            ErrorCode.INVALID_INTERVAL,
            f"startingAt {start.isoformat()} lies outside the contract; write an hour from "
            f"{contract.starting_at.isoformat()} on and before {end}.",
            path=path,
        )
    return start


def _values(values: Sequence[str], *, path: Path) -> list[str]:
    at_most(values, MAX_VALUES, path=path)
    if not values:
        raise InvalidInput(ErrorCode.REQUIRED, "Name at least one value; else the contract takes nothing.", path=path)
    return list(distinct([text_of(value, path=path, longest=MAX_TEXT) for value in values], path=path))


async def _check_offered(session: AsyncSession, rate_card_id: UUID | None, key: str, *, path: Path) -> None:
    """Every metric behind the card offers the property in one group key with those of its product (semantics 4.9)."""
    on_card = await session.scalars(select(RateRow.product_id).where(RateRow.rate_card_id == rate_card_id).distinct())
    for product_id, versions in (await versions_of(session, set(on_card))).items():
        product = await session.get_one(ProductRow, product_id)
        for version in versions:
            metric = await session.get_one(MetricRow, version.metric_id)
            # Any property will do for a query: it is evaluated over the events that the filter lets through.
            if metric.query is None:
                _check_key(product, metric, {key, *group_names_of(version)}, path=path)


def _check_key(product: ProductRow, metric: MetricRow, wanted: set[str], *, path: Path) -> None:
    if any(wanted <= set(names) for names in metric.group_keys):
        return
    offered = "; ".join(", ".join(names) for names in metric.group_keys) or "none"
    raise InvalidInput(
        ErrorCode.INVALID,
        f"Product {product.name[:80]!r} needs {', '.join(sorted(wanted))[:200]} in one group key of metric "
        f"{metric.name[:80]!r}; its group keys are: {offered[:300]}.",
        path=path,
    )
