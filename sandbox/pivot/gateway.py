"""Pivot's front door: access tokens, request ids, which operation, and the envelope of the answer.

Source: gateways/pay-and-save.md §1 and §6. Nothing is signed; a caller is who its access token belongs to.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox import clocks
from sandbox.agenda import Agenda
from sandbox.clocks import BadClockHeader, Moment
from sandbox.database import Database
from sandbox.faults import Faults
from sandbox.pivot.answers import Answer, ApiError, Call, failed, success
from sandbox.pivot.messages import Message, TokenRequest
from sandbox.pivot.settings import PivotSettings
from sandbox.pivot.state import AccessToken, Client, Remembered, new_id, web_token
from sandbox.server import CutConnection
from sandbox.wire import Wire

GARBAGE = b'{"code": "00", "message": "Succ'
REQUEST_ID = re.compile(r"[A-Za-z0-9]{16,36}")

M = TypeVar("M", bound=Message)
Handler = Callable[[Call, Any], Answer]
Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Operation:
    """One call of the API: what it reads, from the body or (of a GET) the query, and what answers it."""

    message: type[Message]
    handler: Handler
    creates_payment: bool = False


@dataclass
class Gateway:
    """Authenticates, remembers, dispatches."""

    database: Database
    agenda: Agenda
    faults: Faults
    settings: PivotSettings

    def endpoint(self, operation: Operation) -> Endpoint:
        """The route of an operation."""

        async def serve(request: Request) -> Response:
            return await self._serve(request, lambda body, call: self._once(request, operation, body, call))

        return serve

    async def issue_token(self, request: Request) -> Response:
        """`POST /v1/access-token`: any number of tokens live side by side, each for its own 900 seconds."""
        return await self._serve(request, self._token, self._by_secret)

    async def _serve(
        self,
        request: Request,
        work: Callable[[bytes, Call], Answer],
        authenticate: Callable[[Session, Request], Client] | None = None,
    ) -> Response:
        """Answers one request. The transaction is committed before anything is written or cut."""
        body = await request.body()  # first, so that a caller who dies while it waits has still asked
        await asyncio.sleep(self.faults.latency())
        if self.faults.http_500():
            return self._respond(failed("internal_error"))
        try:
            with self.database.begin() as session:  # apart: time has passed whatever becomes of the call
                moment = clocks.observe(session, request.headers)
            with self.database.begin() as session:
                client = (authenticate or self._by_token)(session, request)
                answer = work(body, self._call(session, client, moment, request))
        except BadClockHeader as error:
            answer = failed("api_validation_error", [{"field": "X-Sandbox-Clock", "message": str(error)}])
        except ApiError as error:
            answer = error.answer
        self.agenda.wake()
        if self.faults.lost_answer():
            return CutConnection()
        return self._respond(answer)

    def _call(self, session: Session, client: Client, moment: Moment, request: Request) -> Call:
        base_url = self.settings.public_url or str(request.base_url).rstrip("/")
        return Call(session, client, moment, base_url, dict(request.path_params))

    def _by_token(self, session: Session, request: Request) -> Client:
        """A token ages with the clock it was issued on. Raises ApiError."""
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        token = session.get(AccessToken, text.strip()) if scheme.lower() == "bearer" else None
        if token is None or clocks.read(session, token.clock).now >= token.expires_at:
            raise ApiError("credentials_invalid")
        return session.get_one(Client, token.client_id)

    def _by_secret(self, session: Session, request: Request) -> Client:
        client = session.get(Client, request.headers.get("x-merchant-id", ""))
        secret = request.headers.get("x-merchant-secret", "")
        if client is None or not hmac.compare_digest(client.client_secret.encode(), secret.encode()):
            raise ApiError("credentials_invalid")
        return client

    def _token(self, body: bytes, call: Call) -> Answer:
        _read(TokenRequest, _parsed(body)[0])
        expires_at = call.moment.now + self.settings.token_life
        claims: dict[str, object] = {
            "iss": "backend-portal",
            "sub": new_id(),
            "exp": int(expires_at.timestamp()),
            "clientId": call.client.client_id,
            "merchantId": call.client.client_id,
        }
        token = web_token(claims)
        call.session.add(AccessToken(token, call.client.client_id, call.moment.clock, expires_at))
        life = str(int(self.settings.token_life.total_seconds()))
        return success({"accessToken": token, "expiresIn": life, "tokenType": "Bearer"})

    def _once(self, request: Request, operation: Operation, body: bytes, call: Call) -> Answer:
        """Performs a call, or gives its first answer again for 24 hours. Only what went well is remembered."""
        if request.method == "GET":
            return operation.handler(call, _read(operation.message, dict(request.query_params)))
        given, payload = _parsed(body)
        request_id = self._request_id(request, operation)
        key = f"{request.method} {request.url.path} {payload}"
        if request_id and (earlier := _remembered(call, request_id)):
            if earlier.request != key:
                raise ApiError("idempotency_error")
            return Answer(json.loads(earlier.body))
        answer = operation.handler(call, _read(operation.message, given))
        if request_id and answer.status == 200 and answer.wire is not Wire.HOLD:
            until = call.moment.now + self.settings.remembers_requests_for
            text = json.dumps(answer.body)
            call.session.add(
                Remembered(call.client.client_id, request_id, key, text, call.moment.clock, until),
            )
        return answer

    def _request_id(self, request: Request, operation: Operation) -> str | None:
        text = request.headers.get("x-request-id")
        if text is None and not (operation.creates_payment and self.settings.requires_request_id):
            return None
        if self.settings.requires_request_id and not REQUEST_ID.fullmatch(text or ""):
            raise ApiError("api_validation_error", "X-REQUEST-ID", "must be 16 to 36 letters and digits")
        return text

    def _respond(self, answer: Answer) -> Response:
        if answer.wire is Wire.CUT:
            return CutConnection()
        if answer.wire is Wire.HOLD:
            return CutConnection(hold=self.settings.hold)
        if answer.wire is Wire.GARBAGE:
            return Response(GARBAGE, media_type="application/json")
        return JSONResponse(answer.body, answer.status)


def _remembered(call: Call, request_id: str) -> Remembered | None:
    earlier = call.session.get(Remembered, (call.client.client_id, request_id))
    if earlier is None:
        return None
    if clocks.read(call.session, earlier.clock).now < earlier.until:
        return earlier
    call.session.delete(earlier)
    call.session.flush()
    return None


def _parsed(body: bytes) -> tuple[object, str]:
    """The JSON of a body and a hash of what it says. An empty body is an empty object. Raises ApiError."""
    try:
        given = json.loads(body or b"{}", parse_constant=_no_number)
        text = json.dumps(given, sort_keys=True, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise ApiError("api_validation_error", "", "the body is no JSON") from error
    return given, hashlib.sha256(text).hexdigest()


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def _read(message: type[M], given: object) -> M:
    """The request in the form its handler takes. Raises ApiError."""
    try:
        return message.model_validate(given)
    except ValidationError as error:
        details = [_detail(dict(problem)) for problem in error.errors(include_url=False, include_input=False)]
        raise Invalid(details) from error


class Invalid(ApiError):
    """Several fields at fault."""

    def __init__(self, details: list[dict[str, str]]) -> None:
        super().__init__("api_validation_error")
        self.details = details


def _detail(problem: dict[str, Any]) -> dict[str, str]:
    path = ".".join(str(part) for part in problem["loc"])
    return {"field": path, "message": "must be filled" if problem["type"] == "missing" else str(problem["msg"])}
