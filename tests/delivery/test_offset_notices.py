"""Offset notices: told at the offset from the date as it is then, once, and only where that lay in the future."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import text

from app.contracts.tables import Contract
from app.core.grants import GrantType
from app.errors import InvalidInput, InvalidState, NotFound
from app.grants.definitions import NewGrant, NewSegment
from app.grants.service import insert_grants
from app.notices.endpoints import create_endpoint
from app.notices.offsets import archive_offset, create_offset, tell_offsets
from app.notices.retention import forget_old
from app.settings import Settings
from app.store.ids import to_text
from tests.delivery.test_notices_out import gift, told
from tests.delivery.world import World

START = datetime(2026, 11, 10, tzinfo=UTC)
END = datetime(2026, 12, 31, tzinfo=UTC)


async def ask(world: World, event_type: str, offset: str) -> UUID:
    async with world.store.transaction() as session:
        row = await create_offset(
            session, name=f"{event_type} {offset}", event_type=event_type, offset=offset, now=world.now
        )
        return row.id


async def heard(world: World, at: datetime) -> list[tuple[str, str, datetime]]:
    """What is told newly at an instant, looked at twice: event, offset and the time of the event itself."""
    world.sandbox.set_clock(at)
    before = {row.id for row in await told(world, "offset.")}
    for _ in range(2):
        async with world.store.transaction() as session:
            await tell_offsets(session, now=world.now)
    new = [row for row in await told(world, "offset.") if row.id not in before]
    return sorted((row.type, row.data["offsetDuration"], row.occurred_at) for row in new)


async def test_before_and_after_what_begins_and_ends(world: World) -> None:
    for event_type, offset in (
        ("contract.start", "-P7D"), ("contract.start", "P1DT12H"), ("contract.end", "-P1M"), ("credit.segment.end", "-PT6H"),
        ("contract.create", "P2D"), ("contract.start", "-P30D"),
    ):  # fmt: skip
        await ask(world, event_type, offset)
    archived = await ask(world, "contract.start", "P1D")
    assert await heard(world, world.now) == []
    made_at = world.now + timedelta(minutes=1)
    world.sandbox.set_clock(made_at)
    contract = await world.contract(await world.customer(), None, starting_at=START, ending_before=END)
    entry = NewGrant(
        type=GrantType.CREDIT, segments=[NewSegment(Decimal(10), START, END)], product_id=await gift(world), unit="USD"
    )
    async with world.store.transaction() as session:
        await insert_grants(session, contract, [entry], path=("input",), now=world.now)
        await archive_offset(session, archived, now=world.now)
    assert await heard(world, START - timedelta(days=7, seconds=1)) == []
    assert await heard(world, START - timedelta(days=7)) == [("offset.contract.start", "-P7D", START)]
    assert await heard(world, made_at + timedelta(days=2)) == [("offset.contract.create", "P2D", made_at)]
    assert await heard(world, START + timedelta(days=2)) == [("offset.contract.start", "P1DT12H", START)]
    # The end is moved: to where a month before it has passed already, and then to later.
    for end, expected in ((datetime(2026, 12, 5, tzinfo=UTC), []), (END, [("offset.contract.end", "-P1M", END)])):
        async with world.store.transaction() as session:
            await session.execute(text("update contracts set ending_before = :end"), {"end": end})
        assert await heard(world, world.now + timedelta(hours=1)) == []
        assert await heard(world, datetime(2026, 12, 1, tzinfo=UTC) if expected else world.now) == expected
    assert await heard(world, END) == [("offset.credit.segment.end", "-PT6H", END)]
    first = (await told(world, "offset."))[0]
    assert first.data["contractId"] == to_text("contract", contract.id)
    assert first.data["offsetId"].startswith("ofn_")


async def test_what_was_made_is_remembered_longer_than_its_notice_is_kept(world: World) -> None:
    """Only its notice says when a contract was made; its tries are forgotten all the same."""
    async with world.store.transaction() as session:
        await create_endpoint(
            session, Settings(environment="sandbox"), url="https://example.com/hook",
            event_types=["contract.create"], now=world.now,
        )  # fmt: skip
    made_at = world.now + timedelta(minutes=1)
    await ask(world, "contract.create", "P200D")
    assert await heard(world, made_at) == []
    await world.contract(await world.customer(), None, starting_at=START, ending_before=END)
    async with world.store.transaction() as session:
        await forget_old(session, now=made_at + timedelta(days=199))
        assert (await session.execute(text("select count(*) from notice_deliveries"))).scalar_one() == 0
    assert await heard(world, made_at + timedelta(days=199)) == []
    assert await heard(world, made_at + timedelta(days=200)) == [("offset.contract.create", "P200D", made_at)]


async def test_what_recurs_is_told_when_it_is_made_if_that_is_late(world: World) -> None:
    await ask(world, "credit.segment.start", "-P30D")
    await heard(world, world.now)
    contract: Contract = await world.contract(await world.customer(), None, starting_at=START)
    world.sandbox.move(minutes=5)
    for recurs in (True, False):
        entry = NewGrant(
            type=GrantType.CREDIT,
            segments=[NewSegment(Decimal(10), START, END)],
            product_id=await gift(world),
            unit="USD",
        )
        async with world.store.transaction() as session:
            [row] = await insert_grants(session, contract, [entry], path=("input",), now=world.now)
            if recurs:
                recurring = (
                    "insert into recurring_grants select (jsonb_populate_record(null::recurring_grants, :row)).*"
                )
                await session.execute(text(recurring), {"row": RECURRING.replace("CONTRACT", str(contract.id))})
                await session.execute(
                    text("update grants set recurring_id = :parent, recurring_number = 0 where id = :id"),
                    {"parent": PARENT, "id": row.id},
                )
    assert await heard(world, world.now) == [("offset.credit.segment.start", "-P30D", START)]


PARENT = "01990000-0000-7000-8000-000000000001"
RECURRING = (
    f'{{"id": "{PARENT}", "created_at": "2026-11-01T00:00:00Z", "contract_id": "CONTRACT", "type": "CREDIT", "unit": "USD", '
    '"access_unit_price": 1, "access_quantity": 1, "starting_at": "2026-11-01T00:00:00Z", "duration": 1, '
    '"proration": "NONE", "priority": 100, "product_ids": [], "tags": [], "specifiers": [], "rate_type": "LIST_RATE", '
    '"prorate_seat_increases": false, "revision": 1}'
)


@pytest.mark.parametrize(
    ("event_type", "offset", "field"),
    [
        ("invoice.finalized", "P1D", "type"), ("contract.nothing", "P1D", "type"), ("contract.end", "7 days", "offset"),
        ("contract.end", "PT0H", "offset"), ("contract.create", "-P1D", "offset"), ("credit.archive", "-PT1H", "offset"),
    ],
)  # fmt: skip
async def test_what_cannot_be_asked_for(world: World, event_type: str, offset: str, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        await ask(world, event_type, offset)
    assert refused.value.path == ("input", field)


async def test_archiving_twice_and_nothing(world: World) -> None:
    offset_id = await ask(world, "contract.end", "-P1D")
    for identifier, error in ((offset_id, None), (offset_id, InvalidState), (UUID(int=1), NotFound)):
        async with world.store.transaction() as session:
            if error is None:
                await archive_offset(session, identifier, now=world.now)
            else:
                with pytest.raises(error):
                    await archive_offset(session, identifier, now=world.now)
