"""Segments of access while a commit or credit is edited.

Owns what an edit makes of them. Numbers stay and are never given again, because transfers name them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from app.checks import Path, at_most
from app.core.grants import Segment
from app.errors import ErrorCode, InvalidInput, NotFound
from app.grants.definitions import MAX_SEGMENTS, NewSegment, check_segment


@dataclass(frozen=True, slots=True)
class SegmentUpdate:
    """What of one segment changes; None stays."""

    number: int
    amount: Decimal | None = None
    starting_at: datetime | None = None
    ending_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class SegmentEdits:
    """Segments added, changed and removed, the latter two by number."""

    add: Sequence[NewSegment] = ()
    update: Sequence[SegmentUpdate] = ()
    remove: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class EditedSegments:
    """The segments after an edit: those that were there, by number, and new ones; `changed` and `removed` by number."""

    kept: dict[int, NewSegment]
    added: tuple[NewSegment, ...]
    changed: tuple[int, ...]
    removed: tuple[int, ...]

    @property
    def all(self) -> list[NewSegment]:
        """Every segment, in the order of numbers."""
        return [*self.kept.values(), *self.added]


def edited_segments(segments: Sequence[Segment], edits: SegmentEdits, *, path: Path) -> EditedSegments:
    """What an edit makes of the segments.

    Errors: `NotFound` for a number that is not there, INVALID for one that is named twice, NOT_HOUR_ALIGNED,
    INVALID_INTERVAL, `LimitExceeded`.
    """
    kept = {segment.number: segment_of(segment) for segment in segments}
    at_most(range(len(kept) + len(edits.add)), MAX_SEGMENTS, path=path)
    before = dict(kept)
    for number, place in _named(edits, path=path):
        if number not in before:
            raise NotFound("Segment", number, path=place)
    for index, update in enumerate(edits.update):
        old = kept[update.number]
        kept[update.number] = found = NewSegment(
            old.amount if update.amount is None else update.amount,
            update.starting_at or old.starting_at,
            update.ending_before or old.ending_before,
        )
        check_segment(found, path=(*path, "update", str(index)))
    for index, segment in enumerate(edits.add):
        check_segment(segment, path=(*path, "add", str(index)))
    for number in edits.remove:
        del kept[number]
    changed = tuple(number for number, segment in kept.items() if segment != before[number])
    return EditedSegments(kept, tuple(edits.add), changed, tuple(edits.remove))


def segment_of(segment: Segment) -> NewSegment:
    """A segment as it would be defined now."""
    assert segment.period.ending_before is not None, "a segment has an end"
    return NewSegment(segment.amount, segment.period.starting_at, segment.period.ending_before)


def _named(edits: SegmentEdits, *, path: Path) -> Iterator[tuple[int, Path]]:
    seen: set[int] = set()
    named = [(item.number, (*path, "update", str(index), "number")) for index, item in enumerate(edits.update)]
    named += [(number, (*path, "remove", str(index))) for index, number in enumerate(edits.remove)]
    for number, place in named:
        if number in seen:
            raise InvalidInput(ErrorCode.INVALID, f"Segment {number} is named twice.", path=place)
        seen.add(number)
        yield number, place
