"""The demo's usage: deterministic for a seed, busy on weekdays, with a few repeated events.

Owns the shape of a day. The same seed gives the same events, ids included.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta

from app.demo.company import Company
from app.usage.incoming import IncomingEvent

EVENTS_A_DAY = {"small": 12, "medium": 120, "large": 1_200}
APPROVED = "approved"
REPEATS = 0.03
"""Share of events that are sent twice, as real senders do after a lost answer."""


def day_of_usage(
    company: Company, *, starting_at: datetime, ending_before: datetime, scale: str, seed: int
) -> Iterator[IncomingEvent]:
    """The events of a stretch of at most a day, of all customers, in order of customer and time."""
    seconds = int((ending_before - starting_at).total_seconds())
    for customer in sorted(company.kinds):
        rng = random.Random(f"{seed}:{customer}:{starting_at:%Y-%m-%d}")  # noqa: S311 - a demo, not a secret
        weight = 1.0 if starting_at.weekday() < 5 else 0.4
        for number in range(max(1, round(EVENTS_A_DAY[scale] * weight * seconds / 86_400))):
            at = starting_at + timedelta(seconds=rng.randrange(seconds))
            kind = rng.choice(sorted(company.kinds[customer]))
            event = IncomingEvent(
                transaction_id=f"{company.reference(customer)}-{starting_at:%Y%m%d}-{number}",
                customer=company.reference(customer),
                event_type=kind,
                timestamp=at.isoformat(),
                properties=_properties(kind, rng),
            )
            yield event
            if rng.random() < REPEATS:
                yield event


def _properties(kind: str, rng: random.Random) -> dict[str, str]:
    match kind:
        case "training":
            return {"gpuHours": f"{rng.randrange(1, 400)}.{rng.randrange(10)}", "cluster": rng.choice(["a", "b"])}
        case "inference":
            return {
                "inputTokens": str(rng.randrange(200_000, 4_000_000)),
                "outputTokens": str(rng.randrange(20_000, 900_000)),
                "model": rng.choice(["small", "large"]),
            }
        case "customer_message":
            return {"participant": f"p-{rng.randrange(60)}", "channel": rng.choice(["chat", "mail"])}
        case "conversation_resolved":
            return {"conversation": f"c-{rng.randrange(100_000)}", "resolvedBy": rng.choice(["bot", "bot", "person"])}
        case "ticket_outcome":
            # Few enough tickets that some come again with another outcome, in this month or a later one.
            return {
                "ticket": f"t-{rng.randrange(200)}",
                "outcome": rng.choice(["bot_resolved", "bot_resolved", "person"]),
            }
        case "chargeback_closed":
            return {"amount": _dollars(rng, 800), "outcome": rng.choice(["won", "lost"])}
        case "transaction":
            return {"amount": _dollars(rng, 4_000), "decision": rng.choice([APPROVED, APPROVED, "declined"])}
        case _:
            return {}


def _dollars(rng: random.Random, most: int) -> str:
    return f"{rng.randrange(10, most)}.{rng.randrange(100):02}"
