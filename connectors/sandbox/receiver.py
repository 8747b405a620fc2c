"""A system of the seller's own that takes messages: as webhooks, in a bucket of S3, from SQS and SNS.

Owns what such a receiver does well: it checks the signature over the raw bytes, keeps the first message of each id and
says so, and refuses another one under the same id. The AWS services take what their models say and no more.
Sources: standardwebhooks.com; Amazon S3 conditional writes; SendMessage of SQS; Publish of SNS; all November 2026.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.sandbox.gate import Answer, pass_gate
from connectors.sandbox.store import Connection, SandboxStore

PROVIDER = "custom"
SECRET = "whsec_" + base64.b64encode(b"a-key-that-everybody-may-know-00").decode()
"""What the receiver checks signatures with; connections to it name the same."""
TOLERANCE = timedelta(minutes=5)
REPEATS_FOR = timedelta(minutes=5)
MAX_BYTES = 262_144
_XML = "application/xml"

_HOOK_FAILURES = {
    "refuse_500": Answer(500, {"message": "An internal error has occurred."}),
    "throttle_429": Answer(429, {"message": "Slow down."}, {"retry-after": "1"}),
    "reject": Answer(422, {"message": "Refused on request."}),
    "expired": Answer(401, {"message": "The secret is not valid any more."}),
    "error_in_200": Answer(200, {"error": {"message": "An internal error has occurred."}}),
}


def routes(store: SandboxStore) -> list[Route]:
    """The webhook at `/custom/hook`; the AWS services below `/custom/aws`."""

    async def hook(request: Request) -> Response:
        body = await request.body()

        async def act(connection: Connection, forced: Answer | None) -> Answer:
            fault = forced or _unsigned(request.headers, body, store)
            return fault or await _take(connection, store, body)

        return await pass_gate(request, store, provider=PROVIDER, operation="webhook", act=act, failures=_HOOK_FAILURES)

    async def aws(request: Request) -> Response:
        body = await request.body()
        target = request.headers.get("x-amz-target", "").removeprefix("AmazonSQS.")
        operation = target or dict(parse_qsl(body.decode("utf-8", "replace"))).get("Action", "")
        is_sns = not target
        revoked = "Credential=REVOKED" in request.headers.get("authorization", "")

        async def act(connection: Connection, forced: Answer | None) -> Answer:
            if forced is not None:
                return forced
            if revoked:
                return _aws_error("InvalidClientTokenId", "The security token is invalid.", 403, is_xml=is_sns)
            if is_sns:
                return await _publish(connection, store, dict(parse_qsl(body.decode())))
            return await _queue(connection, store, json.loads(body))

        return await pass_gate(
            request, store, provider=PROVIDER, operation=operation, act=act, failures=_aws_failures(is_xml=is_sns),
            media_type="text/xml" if is_sns else "application/x-amz-json-1.0",
        )  # fmt: skip

    async def bucket(request: Request) -> Response:
        body = await request.body()
        name = f"s3:{request.path_params['bucket']}/{request.path_params['key']}"
        revoked = "Credential=REVOKED" in request.headers.get("authorization", "")

        async def act(connection: Connection, forced: Answer | None) -> Answer:
            if forced is not None:
                return forced
            if revoked:
                return _aws_error("InvalidAccessKeyId", "The access key does not exist.", 403, is_xml=True)
            if request.method == "GET":
                return await _read(connection, name)
            return await _write(connection, store, name, body, request.headers)

        operation = "PutObject" if request.method == "PUT" else "GetObject"
        return await pass_gate(
            request, store, provider=PROVIDER, operation=operation, act=act, failures=_aws_failures(is_xml=True),
            media_type=_XML,
        )  # fmt: skip

    return [
        Route("/custom/hook", hook, methods=["POST"]),
        Route("/custom/aws/", aws, methods=["POST"]),
        Route("/custom/aws", aws, methods=["POST"]),
        Route("/custom/aws/{bucket}/{key:path}", bucket, methods=["GET", "PUT"]),
    ]


def _unsigned(headers: Mapping[str, str], body: bytes, store: SandboxStore) -> Answer | None:
    """Why the message is not believed: no signature fits, or it is from another time."""
    message_id, seconds = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    content = f"{message_id}.{seconds}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    given = headers.get("webhook-signature", "").split(" ")
    if not any(hmac.compare_digest(expected, one) for one in given):
        return Answer(401, {"message": "No signature fits."})
    if abs(store.clock().timestamp() - int(seconds)) > TOLERANCE.total_seconds():
        return Answer(401, {"message": "The message is from another time."})
    return None


async def _take(connection: Connection, store: SandboxStore, body: bytes) -> Answer:
    message_id = str(json.loads(body)["messageId"])
    there = await _keep(connection, store, "hook", message_id, body)
    if there is not None and there != body:
        return Answer(409, {"messageId": message_id, "message": "Another message has this id."})
    return Answer(200, {"messageId": message_id, "status": "accepted" if there is None else "duplicate"})


async def _keep(connection: Connection, store: SandboxStore, channel: str, name: str, body: bytes) -> bytes | None:
    """Keep the first message of a name; what was there before, or None."""
    cursor = await connection.execute(
        "insert into sandbox.messages (channel, id, body, at) values (%s, %s, %s, %s)"
        " on conflict (channel, id) do update set sends = messages.sends + 1 returning body, sends",
        [channel, name, body, store.clock()],
    )
    row = await cursor.fetchone()
    assert row is not None, "an upsert returns its row"
    return None if row["sends"] == 1 else bytes(row["body"])


def _aws_error(code: str, message: str, status: int = 400, *, is_xml: bool) -> Answer:
    if not is_xml:
        return Answer(status, {"__type": f"com.amazonaws.sqs#{code}", "message": message})
    error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
    # S3 has no envelope around its error; both forms are read by whoever looks for Error.
    return Answer(status, f"<ErrorResponse>{error}<RequestId>{uuid.uuid4()}</RequestId></ErrorResponse>".encode())


def _aws_failures(*, is_xml: bool) -> dict[str, Answer]:
    return {
        "refuse_500": _aws_error("InternalError", "An internal error has occurred.", 500, is_xml=is_xml),
        "throttle_429": _aws_error("ThrottlingException", "Rate exceeded.", is_xml=is_xml),
        "reject": _aws_error("InvalidParameterValue", "Refused on request.", is_xml=is_xml),
        "expired": _aws_error("ExpiredToken", "The token has expired.", 403, is_xml=is_xml),
        "error_in_200": _aws_error("InternalError", "An internal error has occurred.", 200, is_xml=is_xml),
    }


async def _queue(connection: Connection, store: SandboxStore, body: dict[str, Any]) -> Answer:
    known = {"QueueUrl", "MessageBody", "MessageAttributes", "MessageGroupId", "MessageDeduplicationId"}
    text = str(body.get("MessageBody", ""))
    if set(body) - known or not text:
        return _aws_error("InvalidParameterValue", f"Takes {sorted(known)}.", is_xml=False)
    if len(text.encode()) > MAX_BYTES:
        return _aws_error("InvalidParameterValue", "One or more parameters are invalid: too long.", is_xml=False)
    fault = _fifo_fault(str(body.get("QueueUrl", "")), body)
    if fault is not None:
        return _aws_error("MissingParameter", fault, is_xml=False)
    await _keep_published(connection, store, "sqs", text, body.get("MessageDeduplicationId"))
    digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    return Answer(200, {"MessageId": str(uuid.uuid4()), "MD5OfMessageBody": digest})


async def _publish(connection: Connection, store: SandboxStore, form: dict[str, str]) -> Answer:
    text = form.get("Message", "")
    if form.get("Action") != "Publish" or not text or len(text.encode()) > MAX_BYTES:
        return _aws_error("InvalidParameter", "Invalid parameter: Message.", is_xml=True)
    fault = _fifo_fault(form.get("TopicArn", ""), form)
    if fault is not None:
        return _aws_error("InvalidParameter", fault, is_xml=True)
    await _keep_published(connection, store, "sns", text, form.get("MessageDeduplicationId"))
    result = f"<PublishResult><MessageId>{uuid.uuid4()}</MessageId></PublishResult>"
    metadata = f"<ResponseMetadata><RequestId>{uuid.uuid4()}</RequestId></ResponseMetadata>"
    return Answer(200, f"<PublishResponse>{result}{metadata}</PublishResponse>".encode())


def _fifo_fault(address: str, parameters: Mapping[str, Any]) -> str | None:
    allowed = r"[A-Za-z0-9!-/:-@\[-`{-~]{1,128}"
    values = [str(parameters.get(name, "")) for name in ("MessageGroupId", "MessageDeduplicationId")]
    if address.endswith(".fifo") != all(values):
        return "MessageGroupId and MessageDeduplicationId belong to .fifo addresses."
    return None if all(not value or re.fullmatch(allowed, value) for value in values) else "Up to 128 characters."


async def _keep_published(
    connection: Connection, store: SandboxStore, channel: str, text: str, repeat_of: str | None
) -> None:
    """Repeats are told for five minutes, and by the given id only; afterwards the message is there twice."""
    name = repeat_of or str(uuid.uuid4())
    await connection.execute(
        "update sandbox.messages set id = id || '@' || at::text where channel = %s and id = %s and at < %s",
        [channel, name, store.clock() - REPEATS_FOR],
    )
    await _keep(connection, store, channel, name, text.encode())


async def _read(connection: Connection, name: str) -> Answer:
    cursor = await connection.execute("select body from sandbox.messages where channel = 's3' and id = %s", [name])
    row = await cursor.fetchone()
    if row is None:
        return _s3_error("NoSuchKey", "The specified key does not exist.", 404)
    return Answer(200, bytes(row["body"]), {"etag": _etag(bytes(row["body"]))})


async def _write(
    connection: Connection, store: SandboxStore, name: str, body: bytes, headers: Mapping[str, str]
) -> Answer:
    if headers.get("if-none-match") != "*":
        return _s3_error("NotImplemented", "This receiver takes If-None-Match: * only.", 501)
    if await _keep(connection, store, "s3", name, body) is not None:
        return _s3_error("PreconditionFailed", "At least one of the preconditions did not hold.", 412)
    return Answer(200, b"", {"etag": _etag(body)})


def _s3_error(code: str, message: str, status: int) -> Answer:
    return Answer(status, f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode())


def _etag(body: bytes) -> str:
    return '"' + hashlib.md5(body, usedforsecurity=False).hexdigest() + '"'
