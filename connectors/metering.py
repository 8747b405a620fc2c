"""What the marketplaces have in common: refusing beforehand, batches, and narrowing a refused batch down.

Owns the way from a metering document to one outcome for each record. Leaves the call itself, and what its answers
mean, to the connectors. A marketplace refuses a whole batch for one bad record, so bad records must be found.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Sequence
from datetime import UTC, datetime, timedelta

from connectors.base import Capabilities, MeteringDocument, Outcome, OutcomeStatus, Terminal, Transient, UsageRecord


class BatchRefused(Exception):
    """The provider refused a whole batch because of one record or more in it; none was counted."""

    def __init__(self, code: str, message: str, *, request_ids: tuple[str, ...] = ()) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.request_ids = request_ids


async def deliver_records(
    document: MeteringDocument,
    *,
    capabilities: Capabilities,
    now: datetime,
    group_of: Callable[[UsageRecord], Hashable],
    send: Callable[[Sequence[UsageRecord]], Awaitable[list[Outcome]]],
) -> list[Outcome]:
    """Send what may be sent, in batches of one group each; outcomes in the order of the document's records.

    A failure before any answer is raised. After a first answer it may not be, or that answer would be lost: the
    records that were not answered are then UNKNOWN, and sending them again unchanged is safe.
    """
    outcomes: dict[str, Outcome] = {}
    groups: dict[Hashable, list[UsageRecord]] = {}
    for record in document.records:
        refused = refusal(record, capabilities, now=now)
        if refused is not None:
            outcomes[record.reference] = refused
        else:
            groups.setdefault(group_of(record), []).append(record)
    size = capabilities.batch_size
    batches = [group[i : i + size] for group in groups.values() for i in range(0, len(group), size)]
    is_answered = False
    failure: Transient | Terminal | None = None
    for batch in batches:
        answers: list[Outcome] = []
        if failure is None:
            try:
                answers = await _narrow(batch, send)
                is_answered = True
            except (Transient, Terminal) as error:
                if not is_answered:
                    raise
                failure = error
        outcomes |= {answer.reference: answer for answer in answers or [_unanswered(one, failure) for one in batch]}
    return [outcomes[record.reference] for record in document.records]


async def _narrow(
    batch: Sequence[UsageRecord], send: Callable[[Sequence[UsageRecord]], Awaitable[list[Outcome]]]
) -> list[Outcome]:
    """Send a batch; when it is refused whole, halve it until the bad records stand alone (25 records: 49 calls)."""
    waiting = [batch]
    answers: list[Outcome] = []
    while waiting:
        part = waiting.pop()
        try:
            answers += await send(part)
        except BatchRefused as error:
            if len(part) == 1:
                answers.append(
                    Outcome(
                        reference=part[0].reference,
                        status=OutcomeStatus.REFUSED,
                        code=error.code,
                        message=error.message,
                        request_ids=error.request_ids,
                    )
                )
            else:
                middle = len(part) // 2
                waiting += [part[middle:], part[:middle]]
        except (Transient, Terminal) as error:
            if not answers:
                raise
            # Keep what was answered; the rest goes again, unchanged.
            return answers + [_unanswered(one, error) for rest in [part, *waiting] for one in rest]
    return answers


def _unanswered(record: UsageRecord, failure: Transient | Terminal | None) -> Outcome:
    message = "The provider did not answer for this record." if failure is None else failure.message
    return Outcome(reference=record.reference, status=OutcomeStatus.UNKNOWN, code="NOT_ANSWERED", message=message)


def refusal(record: UsageRecord, capabilities: Capabilities, *, now: datetime) -> Outcome | None:
    """Why the provider would refuse this record, told without asking it; None when it may be sent.

    Rule: whole positive quantity up to the maximum; hour not in the future; younger than the window; before the month
    cut-off.
    """
    hour = record.hour.astimezone(UTC)
    month_end = (hour.replace(day=1, hour=0) + timedelta(days=32)).replace(day=1)
    cutoff = capabilities.month_cutoff_hour
    limit = capabilities.max_quantity
    late = "The usage stays owed: settle it outside the marketplace, or let it ride on a later slot."
    faults = (
        (record.quantity <= 0, "INVALID_QUANTITY", "Metering takes positive quantities only.", None),
        (record.quantity != record.quantity.to_integral_value(), "INVALID_QUANTITY", "Quantities are whole.", None),
        (limit is not None and record.quantity > limit, "INVALID_QUANTITY", f"At most {limit} fits a record.", None),
        (hour > now, "IN_FUTURE", f"The hour {hour:%Y-%m-%dT%HZ} has not begun.", None),
        (
            capabilities.window is not None and now - hour >= capabilities.window,
            "OUT_OF_WINDOW",
            f"The hour {hour:%Y-%m-%dT%HZ} is too old for the provider.",
            late,
        ),
        (
            cutoff is not None and now >= month_end + timedelta(hours=cutoff),
            "MONTH_CLOSED",
            f"The provider closed {hour:%Y-%m} at {cutoff or 0:02d}:00 UTC on the 1st.",
            late,
        ),
    )
    for is_fault, code, message, hint in faults:
        if is_fault:
            return Outcome(
                reference=record.reference, status=OutcomeStatus.REFUSED, code=code, message=message, hint=hint
            )
    return None
