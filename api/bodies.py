"""Request bodies: JSON by RFC 8259 and nothing looser, of bounded size and depth; answers are JSON too."""

from __future__ import annotations

import codecs
import json
import math
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import FieldError, Problem

LIMIT = 64 * 1024
_DEPTH = 20


class BodyLimit:
    """ASGI middleware: whoever reads a body gets a 413 as soon as it is known to be over the limit, forms included."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Counts what comes, whether or not its length was declared, and declared truly."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"")
        too_large = declared.isdigit() and int(declared[:20]) > LIMIT
        came = 0

        async def counted() -> Message:
            nonlocal came
            message = {"type": "http.request"} if too_large else await receive()
            came += len(message.get("body", b""))
            if too_large or came > LIMIT:
                # A kind of error that frameworks which parse bodies let through.
                raise HTTPException(413, f"the body is larger than {LIMIT} bytes")
            return message

        await self._app(scope, counted, send)


def parse(body: bytes) -> Any:
    """The JSON value in `body`. Raises a 400 problem for what is not JSON, 422 for text no database can hold."""
    if body.startswith(codecs.BOM_UTF8):
        raise _malformed("it begins with a byte order mark")
    try:
        value = json.loads(
            body.decode(), object_pairs_hook=_object, parse_constant=_not_json, parse_float=_finite, parse_int=_integer
        )
    except RecursionError as error:
        raise _malformed(f"nested deeper than {_DEPTH} levels") from error
    except UnicodeDecodeError as error:
        raise _malformed("not UTF-8") from error
    except json.JSONDecodeError as error:
        raise _malformed(f"{error.msg} at line {error.lineno} column {error.colno}") from error
    _check(value, "", 1)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _malformed("an object names a member twice")
    return found


def _not_json(name: str) -> NoReturn:
    raise _malformed(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _malformed("a number is out of range")
    return number


def _integer(text: str) -> int:
    if len(text) > 40:  # far beyond any field's bound, and cheap to refuse
        raise _malformed("a number is out of range")
    return int(text)


def _check(value: Any, pointer: str, depth: int) -> None:
    if depth > _DEPTH:
        raise _malformed(f"nested deeper than {_DEPTH} levels")
    if isinstance(value, str):
        _check_text(value, pointer)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check(item, f"{pointer}/{index}", depth + 1)
    elif isinstance(value, dict):
        for name, item in value.items():
            _check_text(name, pointer)
            _check(item, f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}", depth + 1)


def _check_text(text: str, pointer: str) -> None:
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        detail = "text with a NUL character or half a surrogate pair"
        raise Problem("invalid_request", detail, [FieldError(pointer=pointer, detail=detail)])


def _malformed(detail: str) -> Problem:
    return Problem("malformed_json", detail)


class _Parsed(Request):
    """A request whose body was read and parsed by the rules above."""

    content: bytes = b""
    value: Any = None

    async def body(self) -> bytes:
        """What was sent; empty if nothing was."""
        return self.content

    async def json(self) -> Any:
        """What it says."""
        return self.value


class StrictRoute(APIRoute):
    """A route whose body goes through `read` and `parse`; the parsed value is left in `request.state.json`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        takes_body = self.body_field is not None
        parameters = {field.alias for field in self.dependant.query_params}

        async def strict(request: Request) -> Response:
            _check_accept(request)
            _check_query(request, parameters)
            parsed = _Parsed(request.scope, request.receive)
            if takes_body:
                parsed.content = await request.body()
            if parsed.content:
                _check_type(request)
                parsed.value = parse(parsed.content)
            parsed.state.json = parsed.value
            return await handle(parsed)

        return strict


def _check_type(request: Request) -> None:
    coding = request.headers.get("content-encoding", "identity")
    if coding.strip().lower() != "identity":
        plain = {"Accept-Encoding": "identity"}  # RFC 9110 §15.5.16
        raise Problem("unsupported_media_type", f"the body is encoded: {coding!r} is not taken", headers=plain)
    given = request.headers.get("content-type", "")
    kind, _, parameters = given.partition(";")
    charset = parameters.strip().lower().removeprefix("charset=").strip('"')
    if kind.strip().lower() != "application/json" or charset not in ("", "utf-8"):
        raise Problem("unsupported_media_type", f"the body's type is {given or 'not given'!r}, not application/json")


def _check_query(request: Request, known: set[str]) -> None:
    """A filter nobody knows would be one that lets everything through, and of two values one would be dropped. Where
    there are none, nothing is misread.
    """
    given = Counter(name for name, _ in request.query_params.multi_items() if known)
    errors = [
        FieldError(pointer=f"/query/{name}", detail="given more than once" if name in known else "unknown parameter")
        for name, times in sorted(given.items())
        if name not in known or times > 1
    ]
    if errors:
        raise Problem("invalid_request", f"{errors[0].pointer}: {errors[0].detail}", errors)


def _check_accept(request: Request) -> None:
    """RFC 9110 §12.5.1: the most specific range that covers JSON decides; without the header anything goes."""
    weights: dict[str, float] = {}
    for given in ",".join(request.headers.getlist("accept")).split(","):
        kind, *parameters = (part.strip().lower() for part in given.split(";"))
        if kind:
            weights[kind] = max(_weight(parameters), weights.get(kind, 0.0))
    covering = [weights[kind] for kind in ("application/json", "application/*", "*/*") if kind in weights]
    if weights and not (covering and covering[0] > 0):
        raise Problem("not_acceptable", "the Accept header leaves out application/json")


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
