"""Where a contract stands, and how its statements are scheduled.

Owns the GraphQL values for both, and the loader of a customer's contracts. A contract's state follows from its dates and is computed for the caller's instant.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum

import strawberry
from sqlmodel import col

from app.contracts import tables
from app.contracts.statements import statement_schedule
from app.core import period
from app.graphql.nodes import LOADERS, rows_by
from app.graphql.values import Cadence, described_enum


class Status(Enum):
    """Where a contract stands in its life."""

    UPCOMING = "UPCOMING"
    ACTIVE = "ACTIVE"
    ENDED = "ENDED"
    ARCHIVED = "ARCHIVED"


ContractStatus = described_enum(
    Status,
    name="ContractStatus",
    description="Where a contract stands in its life.",
    sentences={
        Status.UPCOMING: "It begins later.",
        Status.ACTIVE: "It bills usage now.",
        Status.ENDED: "It is over; what is due of it still becomes final.",
        Status.ARCHIVED: "It was ended for good by hand and bills nothing more.",
    },
)
StatementDay = described_enum(
    period.StatementDay,
    name="StatementDay",
    description="Where statement periods begin.",
    sentences={
        period.StatementDay.FIRST_OF_MONTH: "On the first of a month; quarters are those of the calendar.",
        period.StatementDay.CONTRACT_START: "On the day and hour on which the contract began.",
        period.StatementDay.CUSTOM_DATE: "On the day and hour of the anchor.",
    },
)


LOADERS["customer.contracts"] = rows_by(
    tables.Contract, "customer_id", where=col(tables.Contract.archived_at).is_(None)
)


def status_at(contract: tables.Contract, now: datetime) -> Status:
    """Where the contract stands at an instant."""
    if contract.archived_at is not None:
        return Status.ARCHIVED
    if now < contract.starting_at:
        return Status.UPCOMING
    is_over = contract.ending_before is not None and contract.ending_before <= now
    return Status.ENDED if is_over else Status.ACTIVE


@strawberry.type(description="When usage statements begin and end.")
class StatementSchedule:
    frequency: Cadence = strawberry.field(description="How long a statement period is.")  # type: ignore[valid-type]
    day: StatementDay = strawberry.field(description="Where periods begin.")  # type: ignore[valid-type]
    anchor: datetime | None = strawberry.field(description="The date of CUSTOM_DATE; else null.")
    generate_from: datetime | None = strawberry.field(
        description="Periods that end by then get no invoice; null: none is left out."
    )


def schedule_shown(row: tables.Contract) -> StatementSchedule:
    """The statement schedule of a contract."""
    return StatementSchedule(
        frequency=period.Frequency(row.statement_frequency),
        day=period.StatementDay(row.statement_day),
        anchor=row.statement_anchor,
        generate_from=row.generate_from,
    )


@strawberry.input(description="When usage statements begin and end.")
class StatementScheduleInput:
    frequency: Cadence = strawberry.field(  # type: ignore[valid-type]
        default=period.Frequency.MONTHLY, description="How long a statement period is; half years are not offered."
    )
    day: StatementDay = strawberry.field(  # type: ignore[valid-type]
        default=period.StatementDay.FIRST_OF_MONTH, description="Where periods begin."
    )
    anchor: datetime | None = strawberry.field(
        default=None, description="The date of CUSTOM_DATE, on a full hour; it may lie before the contract."
    )
    generate_from: datetime | None = strawberry.field(
        default=None, description="Periods that end by then get no invoice; default: none is left out."
    )


def schedule_of(found: StatementScheduleInput | None) -> period.StatementSchedule:
    """The statement schedule as the core reads it; calendar months when none is asked for."""
    chosen = found or StatementScheduleInput()
    return statement_schedule(
        frequency=chosen.frequency, day=chosen.day, anchor=chosen.anchor, generate_from=chosen.generate_from
    )
