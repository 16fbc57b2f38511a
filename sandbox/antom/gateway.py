"""Antom's gateway: who is calling, is the signature right, which API, and the signed answer.

Source: gateways/antom.md §1, §2 and §12.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from pydantic import ValidationError
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from gateways.antom.signing import BadSignature, load_public_key, sign, verify
from sandbox import clocks
from sandbox.agenda import Agenda
from sandbox.antom.answers import Answer, Call, answer, iso
from sandbox.antom.messages import Message
from sandbox.antom.settings import AntomSettings
from sandbox.antom.state import Client
from sandbox.clocks import BadClockHeader, Moment
from sandbox.database import Database
from sandbox.faults import Faults
from sandbox.server import CutConnection
from sandbox.wire import Wire

PREFIXES = ("/ams/api/v1/", "/ams/sandbox/api/v1/")
GARBAGE = b'{"result": {"resultCode": "SUCC'
JSON = "application/json; charset=UTF-8"

Handler = Callable[[Call, Any], Answer]
Operations = dict[str, tuple[type[Message], Handler]]
"""By an API's path after the prefix: its message and what handles it."""


class Refused(Exception):
    """The caller could not be authenticated, or did not speak the protocol; answered without a signature."""


@dataclass(frozen=True)
class Caller:
    """An authenticated request: its signed path and body, and the moment it belongs to."""

    client_id: str
    path: str
    body: bytes


@dataclass
class Gateway:
    """Authenticates, dispatches, signs."""

    database: Database
    agenda: Agenda
    faults: Faults
    settings: AntomSettings
    key: RSAPrivateKey
    operations: Operations

    async def serve(self, request: Request) -> Response:
        """Answers one request of a merchant. The transaction is committed before anything is written or cut."""
        body = await request.body()  # first, so that a caller who dies while it waits has still asked
        await asyncio.sleep(self.faults.latency())
        if self.faults.http_500():
            return Response(status_code=500)
        try:
            with self.database.begin() as session:
                caller = self._authenticate(session, request, body)
                moment, given = self._perform(session, request, caller)
        except Refused as refusal:
            return Response(_encode(answer(str(refusal)).body), media_type=JSON)
        self.agenda.wake()  # the request may have moved its clock
        if self.faults.lost_answer():
            return CutConnection()
        return self._respond(caller, moment, given)

    def _authenticate(self, session: Session, request: Request, body: bytes) -> Caller:
        """Checks the signature over the bytes as received. Raises Refused with the result code."""
        if request.method != "POST":
            raise Refused("METHOD_NOT_SUPPORTED")
        client_id = request.headers.get("client-id", "")
        time = request.headers.get("request-time", "")
        client = session.get(Client, client_id)
        if client is None:
            raise Refused("UNKNOWN_CLIENT")
        path = _signed_path(request)
        try:
            verify(
                _public_key(client.public_key),
                "POST",
                path,
                client_id,
                time,
                body,
                request.headers.get("signature", ""),
            )
        except BadSignature as error:
            raise Refused("INVALID_SIGNATURE") from error
        if not _fresh(time, self.settings.request_time_tolerance):
            raise Refused("INVALID_SIGNATURE")
        if not request.headers.get("content-type", JSON).lower().startswith("application/json"):
            raise Refused("MEDIA_TYPE_NOT_ACCEPTABLE")
        return Caller(client_id, path, body)

    def _perform(self, session: Session, request: Request, caller: Caller) -> tuple[Moment, Answer]:
        try:
            moment = clocks.observe(session, request.headers)
        except BadClockHeader as error:
            return Moment(clocks.real_now()), answer("PARAM_ILLEGAL", str(error))
        base_url = self.settings.public_url or str(request.base_url).rstrip("/")
        call = Call(session, caller.client_id, moment, base_url)
        return moment, self._dispatch(call, request.scope["path"], caller.body)

    def _dispatch(self, call: Call, path: str, body: bytes) -> Answer:
        name = next((path.removeprefix(prefix) for prefix in PREFIXES if path.startswith(prefix)), "")
        if name not in self.operations:
            return answer("NO_INTERFACE_DEF")
        message, handler = self.operations[name]
        try:
            wanted = message.model_validate_json(body)
        except ValidationError as error:
            return answer("PARAM_ILLEGAL", _explain(error))
        return handler(call, wanted)

    def _respond(self, caller: Caller, moment: Moment, given: Answer) -> Response:
        if given.wire is Wire.CUT:
            return CutConnection()
        if given.wire is Wire.HOLD:
            return CutConnection(hold=self.settings.hold)
        if given.wire is Wire.HTTP_500:
            return Response(status_code=500)
        body = GARBAGE if given.wire is Wire.GARBAGE else _encode(given.body)
        signed = body + b" " if given.wire is Wire.BAD_SIGNATURE else body
        time = iso(moment.now) or ""
        headers = {
            "client-id": caller.client_id,
            "response-time": time,
            "signature": sign(self.key, "POST", caller.path, caller.client_id, time, signed),
        }
        return Response(body, headers=headers, media_type=JSON)


_public_key = lru_cache(load_public_key)
"""Reading a key takes longer than checking a signature with it."""


def _signed_path(request: Request) -> str:
    path = request.scope["raw_path"].decode("ascii")
    query = request.scope["query_string"].decode("ascii")
    return f"{path}?{query}" if query else path


def _fresh(time: str, tolerance: timedelta | None) -> bool:
    """Whether a `request-time`, in any of the three spellings of the official SDKs, is close to the real time."""
    try:
        sent = datetime.fromtimestamp(int(time) / 1000, UTC) if time.isdigit() else datetime.fromisoformat(time)
        return tolerance is None or abs(clocks.real_now() - sent) <= tolerance
    except (ValueError, OverflowError, OSError, TypeError):
        return False


def _explain(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}".lstrip(": ")


def _encode(body: dict[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
