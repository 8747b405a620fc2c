"""What a mutation answers: a nullable object and `userErrors`.

Owns `UserError`, `UserErrorCode` and the base of every payload. Which errors end up here is decided in `fields.py`.
Errors as data keep top-level errors for faults, and give a client one closed list of codes to branch on.
"""

from __future__ import annotations

from http import HTTPStatus

import strawberry

from app.actor import Actor
from app.errors import CODE_SENTENCES, BillingError, ErrorCode, LimitExceeded
from app.graphql.nodes import Node, as_node
from app.graphql.values import described_enum

UserErrorCode = described_enum(
    ErrorCode,
    name="UserErrorCode",
    description="What went wrong, for programs. Codes are only ever added: keep a default branch.",
    sentences=CODE_SENTENCES,
)


@strawberry.type(description="A caller's mistake. The mutation that reports one changed nothing.")
class UserError:
    code: UserErrorCode = strawberry.field(description="Stable code to branch on.")  # type: ignore[valid-type]
    message: str = strawberry.field(description="What was wrong, with the value, and what would be accepted.")
    path: list[str] | None = strawberry.field(
        default=None, description="Path to the argument or input field, such as input, events, 3, timestamp."
    )
    status: int = strawberry.field(
        description="HTTP status that a REST call would have had; 409 for a reused uniqueness key."
    )
    conflicting: Node | None = strawberry.field(
        default=None, description="The object that stands in the way, when there is one that you may see."
    )

    @classmethod
    def of(cls, error: BillingError, actor: Actor) -> UserError:
        """The public form of an error that a service raised, as far as this caller may see."""
        status = error.status
        if isinstance(error, LimitExceeded):
            status = HTTPStatus.UNPROCESSABLE_ENTITY
        return cls(
            code=error.code,
            message=error.message,
            path=list(error.path) or None,
            status=int(status),
            conflicting=as_node(error.conflicting, actor),  # type: ignore[arg-type]
        )


@strawberry.interface(description="Every mutation's answer: its object, null after an error, and the errors.")
class Payload:
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="What was wrong; empty when the mutation was carried out."
    )
