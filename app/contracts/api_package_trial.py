"""The trial of a new package: a contract is made of it and undone.

Owns that a package of which no contract could be made is refused, by the rules of a contract and with the path in the
package. Nothing of the trial stays, neither a row nor a word in the history or the audit log.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from app.change import take_change
from app.checks import Path
from app.contracts import api_package_fields, history, package_ways
from app.contracts.api_added_terms import ContractTermsInput
from app.contracts.api_creating import sign
from app.contracts.api_package_terms import bare, of_package, origin_of
from app.contracts.package_dates import BillingAnchor, told
from app.core.period import floor_hour
from app.customers.tables import Customer
from app.errors import BillingError
from app.graphql.context import Context
from app.store.ids import to_text

TERMS = frozenset(field.name.replace("_", "") for field in fields(ContractTermsInput))


class _Undo(Exception):
    """Leaves the trial without keeping it."""


async def try_package(
    context: Context, definition: Mapping[str, Any], *, way: package_ways.PackageWay, anchor: BillingAnchor
) -> None:
    """Make a contract of the package for a customer who never was, starting now, or with its first whole statement period.

    Only then does nothing last from the contract's start to the period, which would hide that it lasts for no time at all.
    Errors: those of a contract's create, PROVIDER_NOT_CONFIGURED, CURRENCY_MISMATCH.
    """
    session = context.session
    package_ways.check_account(context.providers, way)
    try:
        async with session.begin_nested():
            customer = Customer(created_at=context.now, name="trial")
            session.add(customer)
            await session.flush()
            start = origin_of(definition, floor_hour(context.now), anchor=anchor)
            asked = bare(to_text("customer", customer.id), start)
            whole = of_package(definition, asked, anchor=anchor)
            made = await sign(session, context.providers, whole, now=context.now)
            await package_ways.check_currencies(session, context.providers, way, made.contract)
            await api_package_fields.refuse_unique(session, whole)
            raise _Undo
    except _Undo:
        pass
    except BillingError as error:
        error.path = _place(error.path)
        raise
    finally:
        history.forget_changes(session)
        take_change(session)


def _place(path: Path) -> Path:
    """The place in the package of what a create refused."""
    first, *rest = path or ("input",)
    if rest[:1] == ["interval"]:
        return told((first, *rest[1:]))
    if rest[:1] == ["name"]:
        return (first, "contractName")
    is_term = bool(rest) and rest[0].lower() in TERMS
    return told((first, *(("terms",) if is_term else ()), *rest))
