"""Prints a signed message of every type of event, as receivers get them, for the public verifier of npm to check.

Each is signed with two secrets, as while one rotates; both must be enough.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from uuid import uuid4

from app.core.signing import key_of, signed
from app.notices.kinds import TYPES
from app.notices.secrets import new_secret
from app.notices.service import body_of
from app.notices.tables import Notice
from app.store.ids import to_text


def main() -> None:
    """One JSON document on stdout."""
    now = datetime.now(UTC)
    messages: list[dict[str, object]] = []
    for event_type, meaning in TYPES.items():
        notice = Notice(id=uuid4(), created_at=now, type=event_type, occurred_at=now, data={"name": f"{meaning} ä€𝄞"})
        body = body_of(notice, environment="production")
        secrets = [new_secret(), new_secret()]
        keys = [key for secret in secrets if (key := key_of(secret))]
        headers = signed(body, message_id=to_text("notice", notice.id), now=now, keys=keys)
        messages.append({"secrets": secrets, "headers": headers, "body": body.decode()})
    json.dump(messages, sys.stdout)


main()
