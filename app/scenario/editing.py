"""The `edit` step of scenarios, as the service takes it.

Owns its translation, and that the scenario's names of what an edit brings count only when it is carried out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import parse_instant
from app.contracts.editing import QuantityEdit, TermsEdit
from app.invoices.contract_edits import ContractEdit, edit_contract
from app.invoices.edited_parts import PartsEdit
from app.scenario.balance_changes import balance_change
from app.scenario.own_terms import own_terms
from app.scenario.reading import additions
from app.scenario.stream import ACTOR
from app.scenario.world import Json, World

NAMED = ("grants", "recurring", "overrides", "charges", "subscriptions")


async def edit(session: AsyncSession, world: World, step: Json, *, now: datetime) -> None:
    """Carry out a step. Errors: those of `edit_contract`, after which no name has changed either."""
    with _names_kept(world):
        found = additions(step)
        # Additions come first: quantities may be those of a subscription of the same step.
        add = own_terms(world, found)
        later = [
            {"subscription": item["id"], **update}
            for item in found.get("subscriptions", [])
            for update in item.get("updates", [])
        ]
        terms = TermsEdit(
            add,
            [world.overrides[name] for name in step.get("remove_overrides", [])],
            [_quantity(world, update) for update in (*later, *step.get("quantity_updates", []))],
        )
        balances = [await balance_change(session, world, item) for item in step.get("update_balances", [])]
        await edit_contract(
            session, world.connections, world.contracts[step["contract"]],
            ContractEdit(terms, PartsEdit(balances=balances), uniqueness_key=step.get("uniqueness_key")), actor=ACTOR, now=now,
        )  # fmt: skip


@contextmanager
def _names_kept(world: World) -> Iterator[None]:
    before = {kind: dict(getattr(world, kind)) for kind in NAMED}
    try:
        yield
    except Exception:
        for kind, names in before.items():
            setattr(world, kind, names)
        raise


def _quantity(world: World, update: Json) -> QuantityEdit:
    return QuantityEdit(
        world.subscriptions[update["subscription"]],
        parse_instant(update["starting_at"]),
        Decimal(update["quantity"]) if "quantity" in update else None,
        Decimal(update["delta"]) if "delta" in update else None,
    )
