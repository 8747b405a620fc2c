"""An invoice as PDF, set by typst; installed with the extra `pdf`.

Owns the call. The page is data in JSON: names of customers and products are placed as text and never become markup, and
the template reads no file and no network.
"""

from __future__ import annotations

import asyncio
import json
from importlib import import_module
from pathlib import Path
from typing import Any

from app.errors import ErrorCode, InvalidState, LimitExceeded

TEMPLATE = Path(__file__).with_name("invoice.typ")
MAX_LINES = 5_000
_AT_ONCE = asyncio.Semaphore(2)


async def to_pdf(page: dict[str, Any]) -> bytes:
    """The page of `printed`, set. Errors: NOT_SUPPORTED without the extra, `LimitExceeded` above 5,000 lines."""
    try:
        typst = import_module("typst")
    except ImportError as error:
        raise InvalidState(
            ErrorCode.NOT_SUPPORTED,
            "PDF needs the extra: install metrograph[pdf] (pip install 'metrograph[pdf]') and restart. CSV needs nothing.",
            path=("id",),
        ) from error
    count = sum(len(group["rows"]) for group in page["groups"])
    if count > MAX_LINES:
        raise LimitExceeded(
            ErrorCode.LIMIT_EXCEEDED, f"The invoice has {count} lines; a PDF has at most {MAX_LINES}. Ask for CSV.",
            path=("id",),
        )  # fmt: skip
    async with _AT_ONCE:
        return await asyncio.to_thread(
            typst.compile, TEMPLATE, root=TEMPLATE.parent, format="pdf", sys_inputs={"invoice": json.dumps(page)}
        )
