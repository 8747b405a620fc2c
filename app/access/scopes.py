"""Scopes and the roles that bundle them (decision 29).

Owns the closed list. Which field asks for which scope is declared at the field; a write scope never implies the read
scope, so that a key can be as narrow as a usage sender's.
"""

from __future__ import annotations

from enum import StrEnum

SLICES = (
    *("custom_fields", "customers", "catalog", "usage", "contracts", "invoices", "delivery", "jobs"),
    *("notices", "alerts"),
)
READS = tuple(f"{name}:read" for name in SLICES)
WRITES = tuple(f"{name}:write" for name in SLICES)
SCOPES = frozenset({*READS, *WRITES, "invoices:finalize", "invoices:void", "audit:read", "admin"})


class Role(StrEnum):
    """A usual bundle of scopes."""

    ADMINISTRATOR = "ADMINISTRATOR"
    OPERATOR = "OPERATOR"
    FINANCE = "FINANCE"
    VIEWER = "VIEWER"
    AUDITOR = "AUDITOR"
    USAGE_SENDER = "USAGE_SENDER"


ROLES: dict[Role, frozenset[str]] = {
    Role.ADMINISTRATOR: frozenset({"admin"}),
    Role.OPERATOR: frozenset({*READS, *WRITES}),
    Role.FINANCE: frozenset(
        {*READS, "contracts:write", "invoices:write", "invoices:finalize", "invoices:void", "delivery:write"}
    ),
    Role.VIEWER: frozenset(READS),
    Role.AUDITOR: frozenset({*READS, "audit:read"}),
    Role.USAGE_SENDER: frozenset({"usage:write"}),
}

ROLE_SENTENCES: dict[Role, str] = {
    Role.ADMINISTRATOR: "Everything, including keys and the audit log.",
    Role.OPERATOR: "Reads and writes every slice; does not finalize or void invoices.",
    Role.FINANCE: "Reads everything; writes contracts, finalizes, voids and delivers invoices.",
    Role.VIEWER: "Reads every slice.",
    Role.AUDITOR: "Reads every slice and the audit log.",
    Role.USAGE_SENDER: "Sends usage and sees nothing.",
}
