"""Signatures after Standard Webhooks: the vector of its specification, rotation, and what is no secret."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.core.signing import key_of, secret_text, signed

# The example of standardwebhooks.com.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = datetime.fromtimestamp(1614265330, UTC)


def test_the_example_of_the_specification() -> None:
    key = key_of(SECRET)
    assert key is not None
    assert secret_text(key) == SECRET
    assert signed(b'{"test": 2432232314}', message_id="msg_p5jXN8AQM9LWM0D4loKWxJek", now=NOW, keys=[key]) == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_signature_for_each_key_and_none_without() -> None:
    keys = [bytes([n]) * 24 for n in (1, 2)]
    both = signed(b"{}", message_id="a", now=NOW, keys=keys)["webhook-signature"].split(" ")
    alone = [signed(b"{}", message_id="a", now=NOW, keys=[key])["webhook-signature"] for key in keys]
    assert both == alone
    assert "webhook-signature" not in signed(b"{}", message_id="a", now=NOW, keys=[])


@pytest.mark.parametrize(
    "text",
    ["", "whsec_", SECRET.removeprefix("whsec_"), "whsec_short", "whsec_Zm9v", "whsec_€€€€", "whsec_" + "A" * 200],
)
def test_what_is_no_secret(text: str) -> None:
    assert key_of(text) is None
