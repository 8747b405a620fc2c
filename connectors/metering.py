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
    records that were not answered are then UNKNOWN, and sending them again unchanged is safe. A group that fails (a
    region, a service) holds up no other, and a customer's side that cannot be read none but its own records: `group_of`
    raises `Terminal` for it.
    """
    outcomes: dict[str, Outcome] = {}
    groups: dict[Hashable, list[UsageRecord]] = {}
    for record in document.records:
        try:
            refused = refusal(record, capabilities, now=now)
            if refused is None:
                groups.setdefault(group_of(record), []).append(record)
        except Terminal as error:
            refused = Outcome(
                reference=record.reference, status=OutcomeStatus.REFUSED, code=error.code, message=error.message,
                hint=error.hint or None,
            )  # fmt: skip
        if refused is not None:
            outcomes[record.reference] = refused
    size = capabilities.batch_size
    is_answered = False
    failures: list[Transient | Terminal] = []
    for group in groups.values():
        failure: Transient | Terminal | None = None
        for batch in (group[i : i + size] for i in range(0, len(group), size)):
            answers: list[Outcome] = []
            was_sent = failure is None
            if failure is None:
                try:
                    answers = await _narrow(batch, send)
                    is_answered = True
                except (Transient, Terminal) as error:
                    failure = error
                    failures.append(error)
            answers = answers or [_unanswered(one, failure, was_sent=was_sent) for one in batch]
            outcomes |= {answer.reference: answer for answer in answers}
    # What was refused beforehand is worked out again the next time.
    if failures and not is_answered:
        raise _worst(failures)
    return [outcomes[record.reference] for record in document.records]


def _worst(failures: Sequence[Transient | Terminal]) -> Transient | Terminal:
    """One failure for all groups: it says that nothing can have come of them only where each says so."""
    return next((one for one in failures if isinstance(one, Transient) and one.unknown), failures[0])


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
            answers += [_unanswered(one, error) for one in part]
            return answers + [_unanswered(one, error, was_sent=False) for rest in waiting for one in rest]
    return answers


def _unanswered(record: UsageRecord, failure: Transient | Terminal | None, *, was_sent: bool = True) -> Outcome:
    message = "The provider did not answer for this record." if failure is None else failure.message
    code, hint = (failure.code, failure.hint) if isinstance(failure, Terminal) else ("NOT_ANSWERED", "")
    may_have_come = failure is None or (isinstance(failure, Transient) and failure.unknown)
    return Outcome(
        reference=record.reference, status=OutcomeStatus.UNKNOWN, code=code, message=message, hint=hint or None,
        is_harmless=not (was_sent and may_have_come),
    )  # fmt: skip


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
