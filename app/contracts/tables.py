"""Rows of the contracts slice: the agreement with a customer, its period of validity and its statements."""

# pyright: reportAssignmentType=false
# SQLModel types __tablename__ as a descriptor, though it takes the plain text.

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlmodel import Field

from app.store.base import Row, Unique, instant


class Contract(Row, Unique, table=True):
    """One agreement. Without a rate card it has only fixed terms; `ending_before` empty means open-ended."""

    __tablename__ = "contracts"
    customer_id: UUID = Field(foreign_key="customers.id", index=True)
    rate_card_id: UUID | None = Field(default=None, foreign_key="rate_cards.id", index=True)
    name: str | None = Field(default=None, max_length=200)
    currency: str = Field(max_length=3)
    starting_at: datetime = instant()
    ending_before: datetime | None = instant(default=None, nullable=True)
    statement_frequency: str = Field(default="MONTHLY", max_length=16)
    statement_day: str = Field(default="FIRST_OF_MONTH", max_length=16)
    statement_anchor: datetime | None = instant(default=None, nullable=True)
    generate_from: datetime | None = instant(default=None, nullable=True)
    grace_hours: int = 24
    priority: int = 100
    net_payment_terms_days: int | None = None
    billing_configuration_id: UUID | None = Field(default=None, foreign_key="billing_configurations.id")
    revision: int = 1
    archived_at: datetime | None = instant(default=None, nullable=True)
