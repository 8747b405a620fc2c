"""What a package says, as the input of a create that a caller could have sent.

Owns the way from the kept form to that input, and what may be said beside a package.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

import strawberry

from app.checks import hour_of, public_name
from app.contracts import package_dates
from app.contracts.api_inputs import ContractCreateInput
from app.contracts.api_relative import read
from app.contracts.api_standing import StatementScheduleInput, schedule_of
from app.contracts.package_dates import BillingAnchor
from app.core.period import Period, first_whole_period_start
from app.errors import ErrorCode, InvalidInput
from app.graphql.values import IntervalInput

BESIDE = frozenset({"customer_id", "interval", "package_id", "package_alias", "transition", "uniqueness_key"})
"""What may be said beside a package; everything else is the package's to say."""


def of_package(
    definition: Mapping[str, Any], found: ContractCreateInput, *, anchor: BillingAnchor
) -> ContractCreateInput:
    """What a caller would have sent in place of a package, for the customer and the start that are asked for.

    Errors: NOT_HOUR_ALIGNED, those of a statement schedule.
    """
    start = hour_of(found.interval.starting_at.astimezone(UTC), path=("input", "interval", "startingAt"))
    form = package_dates.dated(definition, start, origin_of(definition, start, anchor=anchor))
    interval = {"startingAt": found.interval.starting_at.isoformat(), "endingBefore": form.pop("endingBefore", None)}
    made: ContractCreateInput = read(
        ContractCreateInput, {**form, "customerId": found.customer_id, "interval": interval}
    )
    return replace(made, transition=found.transition, uniqueness_key=found.uniqueness_key)


def origin_of(definition: Mapping[str, Any], start: datetime, *, anchor: BillingAnchor) -> datetime:
    """From when the dates of a package are counted, for a contract that starts at a full hour.

    Errors: those of a statement schedule.
    """
    if anchor is BillingAnchor.CONTRACT_START_DATE:
        return start
    form = package_dates.dated(definition.get(package_dates.STATEMENT), start, start)
    schedule = schedule_of(read(StatementScheduleInput, form))
    return first_whole_period_start(schedule, contract=Period(start))


def bare(customer_id: str, starting_at: datetime) -> ContractCreateInput:
    """An input that says only who and when."""
    return ContractCreateInput(customer_id=strawberry.ID(customer_id), interval=IntervalInput(starting_at=starting_at))


def refuse_beside(found: ContractCreateInput) -> None:
    """Refuse what a caller says beside a package. Error: INVALID."""
    empty = bare(found.customer_id, found.interval.starting_at)
    for field in fields(ContractCreateInput):
        if field.name not in BESIDE and getattr(found, field.name) != getattr(empty, field.name):
            raise _beside(field.name)
    if found.interval.ending_before is not None:
        raise _beside("interval", "ending_before")


def _beside(*names: str) -> InvalidInput:
    path = tuple(public_name(name) for name in names)
    return InvalidInput(
        ErrorCode.INVALID,
        f"{path[-1]} is the package's to say; beside a package only customerId, interval.startingAt, transition and "
        "uniquenessKey are given. Add other terms by an amendment.",
        path=("input", *path),
    )
