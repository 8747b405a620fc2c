"""`metrograph query`: a GraphQL document in process, on the same gateway as over HTTP, without a server."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.actor import Actor, system
from app.commands.shell import Exit, emit, fail
from app.graphql.execution import Operation
from app.main import create_gateway
from app.runtime import Runtime


def read(path: str, variables: str) -> tuple[str, dict[str, Any]]:
    """The document and its variables; ends with a usage error when either cannot be read."""
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
        values = json.loads(variables)
    except (OSError, ValueError) as error:
        fail(str(error), Exit.USAGE)
    if not isinstance(values, dict):
        fail("--variables takes a JSON object.", Exit.USAGE)
    return text, values


async def execute(runtime: Runtime, text: str, variables: dict[str, Any]) -> Exit | None:
    """Run it and print the answer; errors of any kind end with exit code 1."""
    gateway = create_gateway(runtime.settings, runtime.store, runtime.clock, providers=runtime.connections)

    async def authenticate(session: AsyncSession, now: datetime) -> Actor:
        return system("metrograph query", kind="command")

    result = await gateway.run(Operation(text, variables), authenticate, request_id="command")
    emit(result.body(request_id="command"))
    return Exit.FAILED if result.errors else None
