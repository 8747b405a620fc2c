"""Calls to AWS services: how a client is made, and what its failures mean.

Owns credentials, waits and the two failures. Leaves each service's own words to its connector. boto3 is synchronous, so
every call runs in a thread.
"""

# boto3 and botocore ship no types; clients are made at run time.
# pyright: reportMissingTypeStubs=false

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, cast

import boto3
from botocore import config as boto_config
from botocore import credentials as boto_credentials
from botocore import exceptions as boto_errors

from connectors.base import Terminal, Transient
from connectors.http import Secret, SettingsTable, counting_lost, log, member, note_lost

REGION = r"[a-z]{2,4}(-[a-z]+)+-\d+"
SLOW_DOWN = frozenset(
    {
        "ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown",
        "RequestThrottled", "ThrottledException",
    }
)  # fmt: skip
NOT_ALLOWED = frozenset(
    {
        "AccessDeniedException", "AccessDenied", "UnrecognizedClientException", "InvalidClientTokenId",
        "InvalidAccessKeyId", "InvalidSignatureException", "SignatureDoesNotMatch", "ExpiredTokenException",
        "ExpiredToken", "MissingAuthenticationToken", "MissingAuthenticationTokenException", "DisabledApiException",
        "AuthorizationError", "AuthorizationErrorException", "InvalidSecurity",
    }
)  # fmt: skip
UNREACHED = (boto_errors.EndpointConnectionError, boto_errors.ConnectTimeoutError)


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsAccess:
    """How an account is reached. Without a role or keys, credentials come from boto3's own chain."""

    region: str = "us-east-1"
    role_arn: str = ""
    external_id: str = ""
    access_key_id: str = ""
    secret_access_key: Secret | None = None
    endpoint_url: str = ""
    timeout_seconds: int = 30
    network_retries: int = 2

    @classmethod
    def read(cls, read: SettingsTable) -> AwsAccess:
        """The keys of a connection's table that concern the access; problems are collected there."""
        return cls(
            region=read.text("region", "us-east-1", pattern=REGION, like="a region such as us-east-1"),
            role_arn=read.text("role_arn", "", pattern=r"arn:aws[\w-]*:iam::\d{12}:role/.+", like="a role's ARN"),
            external_id=read.text("external_id", ""),
            access_key_id=read.text("access_key_id", ""),
            secret_access_key=read.secret("secret_access_key", required=read.has("access_key_id")),
            endpoint_url=read.address("endpoint_url", ""),
            timeout_seconds=read.whole("timeout_seconds", 30, least=1, most=300),
            network_retries=read.whole("network_retries", 2, least=0, most=5),
        )


def make_client(service: str, access: AwsAccess, *, region: str = "", **options: Any) -> Any:
    """A client of one service; `options` are botocore's own."""
    session: Any = boto3.Session(
        aws_access_key_id=access.access_key_id or None,
        aws_secret_access_key=access.secret_access_key.reveal() if access.secret_access_key else None,
        region_name=region or access.region,
    )
    if access.role_arn:
        inner = session._session
        fetcher: Any = boto_credentials.AssumeRoleCredentialFetcher(
            client_creator=inner.create_client,
            source_credentials=session.get_credentials(),
            role_arn=access.role_arn,
            extra_args={"ExternalId": access.external_id} if access.external_id else {},
        )
        inner._credentials = boto_credentials.DeferredRefreshableCredentials(
            method="assume-role", refresh_using=fetcher.fetch_credentials
        )
    config = boto_config.Config(
        retries={"mode": "standard", "total_max_attempts": 1 + access.network_retries},
        connect_timeout=min(10, access.timeout_seconds),
        read_timeout=access.timeout_seconds,
        **options,
    )
    client = session.client(service, config=config, endpoint_url=access.endpoint_url or None)
    client.meta.events.register("needs-retry", _seen)
    return client


def _seen(
    caught_exception: Exception | None = None, response: tuple[Any, Any] | None = None, **_others: object
) -> None:
    """The SDK looks at each of its tries; one that may have had an effect must not be forgotten over the next."""
    is_lost = caught_exception is not None and not isinstance(caught_exception, UNREACHED)
    if is_lost or (response is not None and response[0].status_code >= 500):
        note_lost()


async def call(
    name: str, method: Callable[..., Mapping[str, Any]], /, *, own: frozenset[str] = frozenset(), **parameters: Any
) -> Mapping[str, Any]:
    """Make one call. Errors: `Refused` for the service's own coded refusals, and the two failures for the rest.

    `own` are codes that the service means otherwise than all others do.
    """
    with counting_lost() as lost:
        try:
            return await _asked(name, method, own, parameters)
        except (Refused, Transient, Terminal) as failure:
            if not lost or (isinstance(failure, Transient) and failure.unknown):
                raise
            # The SDK has asked before and lost an answer; how its last try ended proves nothing about that one.
            raise Transient(f"{failure.message} (after a lost answer)", unknown=True) from failure


async def _asked(
    name: str, method: Callable[..., Mapping[str, Any]], own: frozenset[str], parameters: Mapping[str, Any]
) -> Mapping[str, Any]:
    try:
        answer = await asyncio.to_thread(lambda: method(**parameters))
    except boto_errors.ClientError as error:
        _raise_for(name, error, own)
    except (boto_errors.NoCredentialsError, boto_errors.PartialCredentialsError) as error:
        hint = "Give role_arn or keys, or set boto3's own variables."
        raise Terminal("AUTHENTICATION", "No AWS credentials were found.", hint=hint, stop_connection=True) from error
    except boto_errors.CredentialRetrievalError as error:
        raise Transient(f"AWS credentials cannot be had now ({type(error).__name__})") from error
    except boto_errors.ParamValidationError as error:
        raise Refused("INVALID_PARAMETERS", str(error)) from error
    except UNREACHED as error:
        raise Transient(f"AWS cannot be reached ({type(error).__name__})") from error
    except Exception as error:
        # Lost and unreadable answers: the effect may exist. The SDK's parsers fail with errors of any kind.
        raise Transient(f"AWS did not answer ({type(error).__name__})", unknown=True) from error
    log.info("aws %s -> 200 (%s)", name, request_id_of(answer))
    return answer


class Refused(Exception):
    """AWS refused the call by a code of the service's own; nothing was done. What it means is the service's matter.

    `reason` is the finer word that some services add to the code.
    """

    def __init__(self, code: str, message: str, *, request_id: str = "", reason: str = "") -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.request_id = request_id
        self.reason = reason


def request_id_of(answer: object) -> str:
    """AWS's id of a call, from its answer."""
    return str(member(member(answer, "ResponseMetadata"), "RequestId") or "")


def _raise_for(name: str, error: boto_errors.ClientError, own: frozenset[str]) -> NoReturn:
    response = cast("dict[str, Any]", error.response)
    code = str(member(response.get("Error"), "Code") or "Unknown")
    message = f"AWS: {member(response.get('Error'), 'Message') or code}"
    status = int(member(response.get("ResponseMetadata"), "HTTPStatusCode") or 0)
    log.info("aws %s -> %d %s (%s)", name, status, code, request_id_of(response))
    # "InvalidAccessKeyId" and the like come with a namespace before them from some services.
    bare = code.rsplit(".", 1)[-1]
    if bare in own:
        raise Refused(bare, message, request_id=request_id_of(response)) from error
    if bare in SLOW_DOWN or status == 429:
        raise Transient(message) from error
    if bare in NOT_ALLOWED or status in (401, 403):
        hint = "Check the connection's credentials and region, and what they may do."
        raise Terminal("AUTHENTICATION", message, hint=hint, stop_connection=True) from error
    if status >= 500 or status < 300 or bare in ("InternalServiceErrorException", "InternalError"):
        raise Transient(message, unknown=True) from error
    reason = str(response.get("reason") or "")
    raise Refused(bare, message, request_id=request_id_of(response), reason=reason) from error
