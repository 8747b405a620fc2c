"""What a commit or credit refers to: units, products and contracts that exist.

Owns looking them up; what a definition says by itself is checked by `definitions.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from app.catalog.tables import ProductRow
from app.catalog.units import offered_units
from app.checks import Path
from app.contracts.tables import Contract
from app.core.currencies import MINOR_DIGITS
from app.core.terms import ProductType
from app.errors import ErrorCode, InvalidInput, NotFound
from app.grants.definitions import NewGrant, Scope
from app.store.ids import to_text


async def check_references(session: AsyncSession, customer_id: UUID, entry: NewGrant, *, path: Path) -> None:
    """Everything that a definition names exists, and is of the right kind and customer."""
    await check_unit(session, entry.unit, path=(*path, "unit"))
    if entry.payment is not None and entry.payment.unit is not None and entry.payment.unit not in MINOR_DIGITS:
        raise InvalidInput(
            ErrorCode.INVALID, f"{entry.payment.unit!r} is no currency; commits are paid in one.", path=(*path, "payment", "unit")
        )  # fmt: skip
    if entry.product_id is not None:
        await check_sold_as(session, entry.product_id, path=(*path, "productId"))
    await check_scope(session, entry.scope, path=path)
    wanted = {*entry.contract_ids, *([entry.invoice_contract_id] if entry.invoice_contract_id else [])}
    found = await session.execute(
        select(Contract.id).where(col(Contract.id).in_(wanted), Contract.customer_id == customer_id)
    )
    missing = sorted(wanted - set(found.scalars()))
    if missing:
        raise NotFound("Contract", to_text("contract", missing[0]), path=(*path, "contractIds"))


async def check_unit(session: AsyncSession, unit: str, *, path: Path) -> None:
    """A currency, or a pricing unit of the seller."""
    if unit in MINOR_DIGITS:
        return
    if not await offered_units(session, {unit}, path=path):
        raise InvalidInput(
            ErrorCode.INVALID,
            f"{unit[:40]!r} is neither an ISO 4217 currency such as USD nor the code of a pricing unit.",
            path=path,
        )


async def check_scope(session: AsyncSession, scope: Scope, *, path: Path) -> None:
    """The products that a scope names exist."""
    await check_products(session, scope.product_ids, path=(*path, "productIds"))
    await check_products(
        session, [item.product_id for item in scope.specifiers if item.product_id], path=(*path, "specifiers")
    )


async def check_products(session: AsyncSession, product_ids: Sequence[UUID], *, path: Path) -> None:
    """Products that exist."""
    found = await session.execute(select(ProductRow.id).where(col(ProductRow.id).in_(product_ids)))
    missing = sorted(set(product_ids) - set(found.scalars()))
    if missing:
        raise NotFound("Product", to_text("product", missing[0]), path=path)


async def check_sold_as(session: AsyncSession, product_id: UUID, *, path: Path) -> None:
    """The product as which a balance is sold exists and is a FIXED one."""
    product = await session.get(ProductRow, product_id)
    if product is None:
        raise NotFound("Product", to_text("product", product_id), path=path)
    if product.type != ProductType.FIXED:
        raise InvalidInput(
            ErrorCode.INVALID, f"{product.name[:80]!r} is a {product.type} product; a balance is sold as a FIXED one.", path=path
        )  # fmt: skip
