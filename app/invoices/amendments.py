"""Amendments: terms that are added to a contract and hold from an instant on.

Owns what their start means for each term (semantics 4.2). An amendment is an edit that only adds; its record is the
edit's, so there is one history and one space of uniqueness keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.actor import Actor
from app.checks import Path, hour_of
from app.contracts.editing import ADD, TermsEdit
from app.contracts.own_terms import OwnTerms
from app.contracts.reading import changeable_contract
from app.contracts.tables import Contract
from app.errors import ErrorCode, InvalidInput
from app.invoices.contract_edits import ContractEdit, EditedContract, edit_contract
from app.providers import ProviderDirectory

START = ("input", "startingAt")


async def amend_contract(
    session: AsyncSession,
    directory: ProviderDirectory,
    contract_id: UUID,
    add: OwnTerms,
    *,
    starting_at: datetime,
    uniqueness_key: str | None = None,
    actor: Actor,
    revision: int | None = None,
    now: datetime,
) -> EditedContract:
    """Add terms from an instant on; what has no start of its own begins then.

    Errors: NOT_HOUR_ALIGNED, INVALID_INTERVAL for a start outside the contract or a term that begins before it, REQUIRED
    for an amendment of nothing, and those of `edit_contract`.
    """
    contract = await changeable_contract(session, contract_id, revision=revision)
    start = hour_of(starting_at, path=START)
    _check_within(contract, start)
    for path, begins in _starts(add):
        if begins is not None and begins < start:
            raise InvalidInput(
                ErrorCode.INVALID_INTERVAL,
                f"{begins.isoformat()} lies before the amendment, which holds from {start.isoformat()} on; let it begin "
                "then, or add it by an edit.",
                path=(*ADD, *path),
            )
    edit = ContractEdit(TermsEdit(_from(start, add)), uniqueness_key=uniqueness_key, amends_from=start)
    return await edit_contract(session, directory, contract_id, edit, actor=actor, now=now)


def _check_within(contract: Contract, start: datetime) -> None:
    end = contract.ending_before
    if start < contract.starting_at or (end is not None and start >= end):
        until = "" if end is None else f" and before {end.isoformat()}"
        raise InvalidInput(
            ErrorCode.INVALID_INTERVAL,
            f"{start.isoformat()} lies outside the contract; write an hour from {contract.starting_at.isoformat()} on{until}.",
            path=START,
        )


def _starts(add: OwnTerms) -> Iterator[tuple[Path, datetime | None]]:
    """When each term begins, with its place in the request."""
    for index, override in enumerate(add.prices.overrides):
        yield ("overrides", str(index), "startingAt"), override.starting_at
    for index, usage in enumerate(add.usage_filters):
        yield ("usageFilters", str(index), "startingAt"), usage.starting_at
    for index, charge in enumerate(add.fees.charges):
        place = ("scheduledCharges", str(index))
        for number, item in enumerate(charge.items):
            yield (*place, "items", str(number), "at"), item.at
        yield (*place, "recurring", "startingAt"), charge.recurring and charge.recurring.starting_at
    for index, subscription in enumerate(add.fees.subscriptions):
        yield ("subscriptions", str(index), "startingAt"), subscription.starting_at
    for index, grant in enumerate(add.grants):
        for number, segment in enumerate(grant.segments):
            yield ("balances", str(index), "access", str(number), "startingAt"), segment.starting_at
    for index, recurring in enumerate(add.recurring):
        yield ("recurringBalances", str(index), "startingAt"), recurring.starting_at


def _from(start: datetime, add: OwnTerms) -> OwnTerms:
    """The terms, each of which begins at the start when it names none."""
    overrides = [replace(item, starting_at=item.starting_at or start) for item in add.prices.overrides]
    subscriptions = [replace(item, starting_at=item.starting_at or start) for item in add.fees.subscriptions]
    return replace(
        add,
        prices=replace(add.prices, overrides=overrides),
        usage_filters=[replace(item, starting_at=item.starting_at or start) for item in add.usage_filters],
        fees=replace(add.fees, subscriptions=subscriptions),
        recurring=[replace(item, starting_at=item.starting_at or start) for item in add.recurring],
    )
