"""How a contract joins a hierarchy: as a child of another contract, or made to be a parent (semantics 4.10).

Owns the refusals. It is said once, when the contract is made, under the locks of both customers; so ten at once cannot
make an eleventh child.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.checks import Path
from app.contracts.family import running_children
from app.contracts.tables import Contract
from app.contracts.transitions import NewTransition
from app.core.hierarchy import MAX_CHILDREN, Consolidation, Payer, UsageStatements
from app.customers.routes import no_marketplace, routes_from
from app.errors import ErrorCode, InvalidInput, InvalidState, LimitExceeded, NotFound
from app.providers import ProviderDirectory
from app.store.ids import to_text
from app.store.locks import lock_customers

PATH: Path = ("input", "hierarchy")
PARENT: Path = (*PATH, "parent", "contractId")


@dataclass(frozen=True, slots=True)
class NewChild:
    """The parent of a new contract, who pays for it, and how its usage statements go out."""

    parent_customer_id: UUID
    parent_id: UUID
    payer: Payer = Payer.SELF
    statements: UsageStatements = UsageStatements.SEPARATE


@dataclass(frozen=True, slots=True)
class NewParent:
    """A new contract that is to be a parent."""

    consolidation: Consolidation


async def lock_with_parent(session: AsyncSession, customer_id: UUID, found: NewChild | NewParent | None) -> None:
    """Take the locks that a new contract needs: its customer's and, of a child, that of the parent's customer."""
    if isinstance(found, NewChild):
        await lock_customers(session, {customer_id, found.parent_customer_id})


async def join(
    session: AsyncSession,
    directory: ProviderDirectory,
    contract: Contract,
    found: NewChild | NewParent | None,
    transition: NewTransition | None,
    *,
    now: datetime,
) -> None:
    """Give a new contract its place; a child that it follows makes room for it.

    Errors: `NotFound` for no such contract of the customer, ARCHIVED, INVALID for a parent that is a child itself and for
    statements that nobody would put together, INVALID_INTERVAL, CURRENCY_MISMATCH, NOT_SUPPORTED for a parent that is
    billed through a marketplace, LIMIT_EXCEEDED.
    """
    if isinstance(found, NewParent):
        contract.consolidation = found.consolidation
    if not isinstance(found, NewChild):
        return
    parent = await session.get(Contract, found.parent_id, populate_existing=True)
    if parent is None or parent.customer_id != found.parent_customer_id:
        raise NotFound("Contract", to_text("contract", found.parent_id), path=PARENT)
    if parent.archived_at is not None:
        raise InvalidState(
            ErrorCode.ARCHIVED,
            "An archived contract takes no children; name a parent that runs.",
            path=PARENT,
            conflicting=parent,
        )
    if parent.parent_id is not None:
        raise InvalidInput(
            ErrorCode.INVALID,
            f"Contract {to_text('contract', parent.id)} is a child of {to_text('contract', parent.parent_id)} itself; a "
            "hierarchy has one level. Name that parent.",
            path=PARENT,
            conflicting=parent,
        )
    if parent.ending_before is not None and parent.ending_before <= contract.starting_at:
        raise InvalidInput(
            ErrorCode.INVALID_INTERVAL,
            f"The parent ends at {parent.ending_before:%Y-%m-%dT%H:%MZ}, before the child would start.",
            path=("input", "interval", "startingAt"),
            conflicting=parent,
        )
    _check_statements(parent, contract, found)
    for configuration in await routes_from(session, parent, contract.starting_at):
        if configuration is not None and directory.is_metered(configuration.provider):
            raise no_marketplace(parent, configuration.provider, path=PARENT)
    await _check_room(session, parent, replaces=None if transition is None else transition.from_id, now=now)
    contract.parent_id, contract.payer, contract.usage_statements = parent.id, found.payer, found.statements


def _check_statements(parent: Contract, contract: Contract, found: NewChild) -> None:
    if found.statements is not UsageStatements.CONSOLIDATE:
        return
    path = (*PATH, "usageStatementBehavior")
    if found.payer is not Payer.PARENT:
        raise InvalidInput(
            ErrorCode.INVALID, "Only statements that the parent pays are put together with its own; let payer be PARENT.",
            path=path,
        )  # fmt: skip
    if parent.consolidation != Consolidation.CONCATENATE:
        raise InvalidInput(
            ErrorCode.INVALID,
            "The parent was not made to put statements together (invoiceConsolidationType CONCATENATE); write SEPARATE, or "
            "make a new parent.",
            path=path,
            conflicting=parent,
        )
    if contract.currency != parent.currency:
        raise InvalidInput(
            ErrorCode.CURRENCY_MISMATCH,
            f"The parent is billed in {parent.currency}, the child in {contract.currency}; statements are put together in "
            "one currency only. Write SEPARATE.",
            path=path,
            conflicting=parent,
        )


async def _check_room(session: AsyncSession, parent: Contract, *, replaces: UUID | None, now: datetime) -> None:
    running = [
        child
        for child in await running_children(session, parent.id)
        if child.id != replaces and (child.ending_before is None or child.ending_before > now)
    ]
    if len(running) >= MAX_CHILDREN:
        raise LimitExceeded(
            ErrorCode.LIMIT_EXCEEDED,
            f"Contract {to_text('contract', parent.id)} has {len(running)} children that run, and {MAX_CHILDREN} are "
            "allowed; end or archive one of them first.",
            path=PARENT,
        )
