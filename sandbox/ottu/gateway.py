"""Ottu's front door: who is calling, which API, JSON or form, and the answer (gateways/ottu.md §1).

A path works with and without its trailing slash: the specification has one, Ottu's own SDK leaves it out.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateways.ottu.signing import sign
from sandbox import clocks
from sandbox.agenda import Agenda
from sandbox.clocks import BadClockHeader
from sandbox.database import Database
from sandbox.faults import Faults
from sandbox.ottu.answers import Answer, Call, Refused, User, not_found
from sandbox.ottu.settings import OttuSettings
from sandbox.ottu.state import Merchant
from sandbox.server import CutConnection
from sandbox.wire import Wire

GARBAGE = b'{"result": "succ'
LISTS = frozenset({"pg_codes", "currencies", "pg_names", "tags", "payment_services"})
"""Fields that a form may repeat."""

Handler = Callable[[Call], Answer]
Routes = dict[str, dict[str, Handler]]


@dataclass
class Gateway:
    """Authenticates and dispatches. `routes` maps a path, with `{name}` for a part, to its handlers by method."""

    database: Database
    agenda: Agenda
    faults: Faults
    settings: OttuSettings
    routes: Routes

    def __post_init__(self) -> None:
        self._patterns = [(_pattern(path), handlers) for path, handlers in self.routes.items()]

    async def serve(self, request: Request) -> Response:
        """Answers one request of a merchant. The transaction is committed before anything is written or cut."""
        await request.body()  # first, so that a caller who dies while it waits has still asked
        await asyncio.sleep(self.faults.latency())
        if self.faults.http_500():
            return Response(status_code=500)
        try:
            body = await _body(request)
            with self.database.begin() as session:
                given = self._perform(session, request, body)
        except Refused as refusal:
            given = refusal.answer
        self.agenda.wake()  # the request may have moved its clock
        if self.faults.lost_answer():
            return CutConnection()
        return self._respond(given)

    def _perform(self, session: Session, request: Request, body: dict[str, Any]) -> Answer:
        handlers, path = self._found(request.scope["path"])
        merchant, user = _authenticate(session, request.headers.get("authorization", ""))
        handler = handlers.get(request.method)
        if handler is None:
            raise Refused(405, {"detail": f'Method "{request.method}" not allowed.'}, Allow=", ".join(handlers))
        try:
            moment = clocks.observe(session, request.headers)
        except BadClockHeader as error:
            raise Refused(400, {"detail": str(error)}) from error
        base_url = self.settings.public_url or str(request.base_url).rstrip("/")
        query = dict(request.query_params)
        call = Call(session, merchant, user, moment, base_url, path, query, request.headers, body)
        try:
            return handler(call)
        except Refused as refusal:  # here, so that what time did to the transaction is kept
            return refusal.answer

    def _found(self, path: str) -> tuple[dict[str, Handler], dict[str, str]]:
        for pattern, handlers in self._patterns:
            if match := pattern.fullmatch(path):
                return handlers, match.groupdict()
        raise not_found()

    def _respond(self, given: Answer) -> Response:
        if given.wire is Wire.CUT:
            return CutConnection()
        if given.wire is Wire.HOLD:
            return CutConnection(hold=self.settings.hold)
        if given.wire is Wire.HTTP_500:
            return Response(status_code=500)
        if given.wire is Wire.GARBAGE:
            return Response(GARBAGE, given.status, media_type="application/json")
        if given.body is None:
            return Response(status_code=given.status)
        body = given.body
        if given.wire is Wire.BAD_SIGNATURE:
            body = body | {"signature": sign(body, secrets.token_hex())}
        return JSONResponse(body, given.status, dict(given.headers))


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.sub(r"\{(\w+)\}", r"(?P<\1>[-\\w]+)", path.rstrip("/"))
    return re.compile(f"{parts}/?")


def _authenticate(session: Session, header: str) -> tuple[Merchant, User | None]:
    """By API key, or by a user's name and password. Raises Refused (401)."""
    scheme, _, credentials = header.partition(" ")
    if scheme.lower() == "api-key":
        merchant = session.scalar(select(Merchant).where(Merchant.api_key == credentials.strip()))
        if merchant is not None:
            return merchant, None
        raise _unauthenticated("Invalid API key.")
    if scheme.lower() == "basic":
        return _signed_in(session, credentials)
    raise _unauthenticated("Authentication credentials were not provided.")


def _signed_in(session: Session, credentials: str) -> tuple[Merchant, User]:
    try:
        username, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise _unauthenticated("Invalid basic header.") from error
    for merchant in session.scalars(select(Merchant)):
        for user in json.loads(merchant.users):
            if (user["username"], user["password"]) == (username, password):
                return merchant, User(username, frozenset(user["permissions"]))
    raise _unauthenticated("Invalid username/password.")


def _unauthenticated(detail: str) -> Refused:
    return Refused(401, {"detail": detail}, **{"WWW-Authenticate": "Api-Key"})


async def _body(request: Request) -> dict[str, Any]:
    """The fields sent. Raises Refused when they cannot be read."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    raw = await request.body()
    if not raw:
        return {}
    if kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
        async with request.form() as form:
            return _form(form)
    if kind != "application/json":
        raise Refused(415, {"detail": f'Unsupported media type "{kind}" in request.'})
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise Refused(400, {"detail": f"JSON parse error - {error}"}) from error
    if not isinstance(body, dict):
        raise Refused(400, {"non_field_errors": ["Invalid data. Expected a dictionary."]})
    return body


def _form(form: FormData) -> dict[str, Any]:
    """A form's texts; what looks like a JSON object or list is read as such. Files are ignored."""
    fields: dict[str, Any] = {}
    for name in form:
        values = [_structured(value) for value in form.getlist(name) if isinstance(value, str)]
        repeated = name in LISTS and not (values and isinstance(values[0], list))
        if values:
            fields[name] = values if repeated else values[-1]
    return fields


def _structured(value: str) -> Any:
    if value.startswith(("{", "[")):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
