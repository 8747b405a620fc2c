"""`GET /v1/invoices/{id}.pdf` and `.csv`: an invoice or draft as a document.

Owns the route: who may, in which locale, and its answers. What the documents say is the invoices slice's.
"""

from __future__ import annotations

from babel.core import Locale, UnknownLocaleError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from app.clock import Clock
from app.door import HttpDoor
from app.errors import BillingError, ErrorCode, InvalidInput, NotFound, NotPermitted
from app.graphql.errors import ApiError
from app.invoices.document_facts import DocumentFacts, facts_of
from app.invoices.pdf import to_pdf
from app.invoices.printed import printed
from app.invoices.spreadsheet import to_csv
from app.settings import Settings
from app.store import ids
from app.store.engine import Store

SCOPE = "invoices:read"


def invoice_routes(settings: Settings, store: Store, clock: Clock) -> list[BaseRoute]:
    """The routes of documents on an open store."""
    door = HttpDoor(settings)

    async def document(request: Request) -> Response:
        try:
            facts = await _read(request, door, store, clock)
            return await _answer(request, facts, settings)
        except ApiError as error:
            return _refusal(error.status, str((error.extensions or {})["code"]), error.message)
        except BillingError as error:
            return _refusal(error.status, str(error.code), error.message)

    return [Route("/v1/invoices/{id}.{kind:str}", document, methods=["GET"])]


async def _read(request: Request, door: HttpDoor, store: Store, clock: Clock) -> DocumentFacts:
    """The invoice, in a transaction that is over before anything is set."""
    authenticate = door.authenticator(request)
    text, kind = request.path_params["id"], request.path_params["kind"]
    async with store.transaction() as session:
        now = clock.now()
        actor = await authenticate(session, now)
        if not actor.may(SCOPE):
            raise NotPermitted(ErrorCode.NOT_PERMITTED, f"This key lacks the scope '{SCOPE}'.")
        found = ids.parse(text)
        facts = None
        if kind in ("pdf", "csv") and found is not None and found[0] == "invoice":
            facts = await facts_of(session, found[1], customer_id=actor.customer_id, now=now)
    if facts is None:
        raise NotFound("Invoice", f"{text}.{kind}")
    return facts


async def _answer(request: Request, facts: DocumentFacts, settings: Settings) -> Response:
    name = facts.number or ids.to_text("invoice", facts.id)
    kind = request.path_params["kind"]
    headers = {"Content-Disposition": f'inline; filename="{name}.{kind}"'}
    if kind == "csv":
        return Response(to_csv(facts), media_type="text/csv; charset=utf-8", headers=headers)
    page = printed(
        facts, seller=settings.seller_name, seller_details=settings.seller_details,
        locale=_locale(request.query_params.get("locale", "en-US")),
    )  # fmt: skip
    return Response(await to_pdf(page), media_type="application/pdf", headers=headers)


def _locale(text: str) -> Locale:
    try:
        return Locale.parse(text[:20], sep="-" if "-" in text else "_")
    except (UnknownLocaleError, ValueError, TypeError) as error:
        raise InvalidInput(
            ErrorCode.INVALID, f"{text[:20]!r} is not a known locale; write one such as en-US.", path=("locale",)
        ) from error


def _refusal(status: int, code: str, message: str) -> Response:
    return JSONResponse({"errors": [{"code": code, "message": message}]}, int(status))
