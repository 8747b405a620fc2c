"""Ways for a message to leave: a signed webhook, an object in S3, a queue of SQS, a topic of SNS.

Owns what counts as received on each of them. A webhook's receiver says so with our message's id; S3 keeps the first
object of a name and can be asked for it; a queue or topic confirms with an id of its own. All of them may carry a
message twice: its id is the same, and receivers keep the first.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Protocol

import httpx

from connectors import aws
from connectors.base import Outcome, OutcomeStatus, Terminal, Transient
from connectors.http import Secret, create_client, member, send, wait_from
from connectors.signing import signed

TEXT = 500
"""How much of a receiver's own words is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message. `group` is what must stay in order: the contract, or the customer's side."""

    id: str
    body: bytes
    group: str


class Transport(Protocol):
    """Carries messages. A failure is one of the two; a refusal of this very message is an outcome."""

    async def send(self, message: Message) -> Outcome:
        """Bring one message; sending it again unchanged does no harm."""
        ...

    async def find(self, message: Message) -> Outcome | None:
        """Whether it arrived; None where it did not, UNKNOWN where nobody can be asked."""
        ...

    async def close(self) -> None:
        """Give back connections."""
        ...


def _unknown(message: Message) -> Outcome:
    text = "Nobody can be asked whether the message arrived."
    return Outcome(
        reference=message.id, status=OutcomeStatus.UNKNOWN, provider_reference=message.id, code="NO_LOOK_UP",
        message=text,
    )  # fmt: skip


class Webhook:
    """POSTs to one address of the operator's choice, signed; redirects are not followed."""

    def __init__(
        self, url: str, secrets: tuple[Secret, ...], clock: Callable[[], datetime], *, seconds: int, by_status: bool
    ) -> None:
        self._url, self._secrets, self._clock, self._by_status = url, secrets, clock, by_status
        self._client = create_client(url, connect_seconds=min(10, seconds), read_seconds=seconds)

    async def send(self, message: Message) -> Outcome:
        """Accepted when a 2xx names the message's id (or by the status alone, where that is configured)."""
        headers = {"content-type": "application/json", **signed(
            message.body, message_id=message.id, now=self._clock(), secrets=self._secrets
        )}  # fmt: skip
        response, request_id = await send(
            self._client, "POST", self._url, headers=headers, request_id_header="x-request-id", content=message.body
        )
        answer = _decoded(response)
        names_it = member(answer, "messageId") == message.id
        base: dict[str, Any] = {
            "reference": message.id, "provider_reference": message.id, "request_ids": (request_id,),
            "provider_status": str(response.status_code),
        }  # fmt: skip
        if response.is_success and (names_it or self._by_status):
            repeated = names_it and member(answer, "status") == "duplicate"
            return Outcome(status=OutcomeStatus.DUPLICATE if repeated else OutcomeStatus.ACCEPTED, **base)
        if response.status_code == 409 and names_it:
            hint = "Find out what else was sent under this id; it must be taken back there first."
            return Outcome(
                status=OutcomeStatus.COLLISION, code="OTHER_CONTENT", message=_words(answer), hint=hint, **base
            )
        if response.status_code in (400, 422):
            return Outcome(
                status=OutcomeStatus.REFUSED, code=f"HTTP_{response.status_code}",
                message=_words(answer) or "The receiver refuses the message.",
                hint="Correct what the receiver names, then retry.", **base,
            )  # fmt: skip
        raise _failure(response)

    async def find(self, message: Message) -> Outcome | None:
        """Nobody can be asked: the receiver keeps the first message of each id."""
        return _unknown(message)

    async def close(self) -> None:
        """Close the HTTP client."""
        await self._client.aclose()


def _failure(response: httpx.Response) -> Transient | Terminal:
    status, wait = response.status_code, wait_from(response.headers)
    message = f"The receiver answered {status}."
    if status in (408, 425, 429):
        return Transient(message, wait=wait)
    if status >= 500:
        return Transient(message, wait=wait, unknown=True)
    if response.is_success:
        # A login page and a proxy's greeting are 200 as well.
        return Transient("The receiver answered without the id of the message.", unknown=True)
    hint = "Check the connection's url, and that its receiver knows the signing secret."
    return Terminal(f"HTTP_{status}", message, hint=hint, stop_connection=status in (401, 403, 404, 410))


def _decoded(response: httpx.Response) -> object:
    try:
        return json.loads(response.content[:65_536])
    except ValueError:
        return None


def _words(answer: object) -> str | None:
    found = member(answer, "message")
    return found[:TEXT] if isinstance(found, str) else None


class _AwsTransport:
    """What the three services have in common: one client, made at first use in a thread."""

    service: ClassVar[str]
    options: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, access: aws.AwsAccess, secrets: tuple[Secret, ...], clock: Callable[[], datetime]) -> None:
        self._access, self._secrets, self._clock = access, secrets, clock
        self._client: Any = None
        self._making = asyncio.Lock()

    async def find(self, message: Message) -> Outcome | None:
        """Nobody can be asked, unless a service says otherwise."""
        return _unknown(message)

    async def close(self) -> None:
        """Close the client."""
        if self._client is not None:
            await asyncio.to_thread(self._client.close)

    def _headers(self, message: Message) -> dict[str, str]:
        return signed(message.body, message_id=message.id, now=self._clock(), secrets=self._secrets)

    async def _call(self, method: str, **parameters: Any) -> Mapping[str, Any]:
        async with self._making:
            if self._client is None:
                self._client = await asyncio.to_thread(aws.make_client, self.service, self._access, **self.options)

        def read() -> Mapping[str, Any]:
            answer = getattr(self._client, method)(**parameters)
            # The body of an object comes over the network too; a failure there is one of the call.
            return {**answer, "Body": answer["Body"].read()} if "Body" in answer else answer

        return await aws.call(f"{self.service} {method}", read)


class Bucket(_AwsTransport):
    """One object for each message, named by its id; the first of a name stays (S3's If-None-Match)."""

    service = "s3"
    options: ClassVar[Mapping[str, Any]] = {"s3": {"addressing_style": "path"}}

    def __init__(self, access: aws.AwsAccess, secrets: tuple[Secret, ...], clock: Callable[[], datetime], *,
                 bucket: str, prefix: str) -> None:  # fmt: skip
        super().__init__(access, secrets, clock)
        self._bucket, self._prefix = bucket, prefix

    async def send(self, message: Message) -> Outcome:
        """Accepted when it was written, or when an equal one lies there."""
        key = self._key(message)
        try:
            answer = await self._call(
                "put_object", Bucket=self._bucket, Key=key, Body=message.body, ContentType="application/json",
                IfNoneMatch="*", Metadata=self._headers(message),
            )  # fmt: skip
        except aws.Refused as refused:
            # docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html, November 2026: 412 when there is
            # one, 409 when two write at once.
            if refused.code == "ConditionalRequestConflict":
                raise Transient(refused.message) from refused
            found = await self.find(message) if refused.code == "PreconditionFailed" else None
            return found or _refused(message, refused)
        if not answer.get("ETag"):
            raise Transient("S3 answered without the mark of an object.", unknown=True)
        return _confirmed(message, f"s3://{self._bucket}/{key}", answer)

    async def find(self, message: Message) -> Outcome | None:
        """The object of that name, compared with the message."""
        key = self._key(message)
        try:
            answer = await self._call("get_object", Bucket=self._bucket, Key=key)
        except aws.Refused as refused:
            if refused.code in ("NoSuchKey", "404"):
                return None
            raise Terminal(refused.code, refused.message, hint="Check bucket and prefix.") from refused
        equal = answer["Body"] == message.body
        return Outcome(
            reference=message.id, status=OutcomeStatus.DUPLICATE if equal else OutcomeStatus.COLLISION,
            provider_reference=f"s3://{self._bucket}/{key}", code=None if equal else "OTHER_CONTENT",
            message=None if equal else "An object with other content lies there.",
            hint=None if equal else "Find out who wrote it; metrograph never overwrites one.",
        )  # fmt: skip

    def _key(self, message: Message) -> str:
        return f"{self._prefix}{message.id.replace(':', '-')}.json"


class _Published(_AwsTransport):
    """What queues and topics have in common: an address, whose `.fifo` tells that order is kept."""

    method: ClassVar[str]

    def __init__(
        self, access: aws.AwsAccess, secrets: tuple[Secret, ...], clock: Callable[[], datetime], *, address: str
    ) -> None:
        super().__init__(access, secrets, clock)
        self._address = address

    async def send(self, message: Message) -> Outcome:
        """Accepted when the service gives its id of the message."""
        parameters = self._where(message)
        headers = self._headers(message)
        parameters["MessageAttributes"] = {
            name: {"DataType": "String", "StringValue": value} for name, value in headers.items()
        }
        if self._address.endswith(".fifo"):
            # Repeats within five minutes are told by the service itself.
            parameters |= {"MessageGroupId": _group(message), "MessageDeduplicationId": message.id[:128]}
        try:
            answer = await self._call(self.method, **parameters)
        except aws.Refused as refused:
            return _refused(message, refused)
        confirmed = member(answer, "MessageId")
        if not isinstance(confirmed, str) or not confirmed:
            raise Transient("AWS answered without an id of the message.", unknown=True)
        return _confirmed(message, confirmed, answer)

    def _where(self, message: Message) -> dict[str, Any]:
        raise NotImplementedError


class Queue(_Published):
    """A queue of SQS."""

    service = "sqs"
    method = "send_message"

    def _where(self, message: Message) -> dict[str, Any]:
        return {"QueueUrl": self._address, "MessageBody": message.body.decode()}


class Topic(_Published):
    """A topic of SNS, which hands the message to whoever subscribed to it."""

    service = "sns"
    method = "publish"

    def _where(self, message: Message) -> dict[str, Any]:
        return {"TopicArn": self._address, "Message": message.body.decode()}


def _group(message: Message) -> str:
    """Letters and digits that stand for the group; services allow no blanks there."""
    return hashlib.sha256(message.group.encode()).hexdigest()


def _confirmed(message: Message, reference: str, answer: object) -> Outcome:
    return Outcome(
        reference=message.id, status=OutcomeStatus.ACCEPTED, provider_reference=reference, provider_status="sent",
        request_ids=(aws.request_id_of(answer),),
    )  # fmt: skip


def _refused(message: Message, refused: aws.Refused) -> Outcome:
    return Outcome(
        reference=message.id, status=OutcomeStatus.REFUSED, code=refused.code, message=refused.message[:TEXT],
        hint="Correct what AWS names; a repeat will not help.", request_ids=(refused.request_id,),
    )  # fmt: skip
