"""Request bodies: JSON by RFC 8259 and nothing looser, of bounded size and depth."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.routing import APIRoute

from api.problems import FieldError, Problem

LIMIT = 64 * 1024
_DEPTH = 20


async def read(request: Request) -> bytes:
    """The body. Raises a 413 problem as soon as it is known to be over the limit."""
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared) > LIMIT:
        raise _too_large()
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LIMIT:
            raise _too_large()
    return bytes(body)


def parse(body: bytes) -> Any:
    """The JSON value in `body`. Raises a 400 problem for what is not JSON, 422 for text no database can hold."""
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


def _too_large() -> Problem:
    return Problem("body_too_large", f"the body is larger than {LIMIT} bytes")


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

        async def strict(request: Request) -> Response:
            parsed = _Parsed(request.scope, request.receive)
            if takes_body:
                parsed.content = await read(request)
            if parsed.content:
                _check_type(request)
                parsed.value = parse(parsed.content)
            parsed.state.json = parsed.value
            return await handle(parsed)

        return strict


def _check_type(request: Request) -> None:
    given = request.headers.get("content-type", "")
    kind, _, parameters = given.partition(";")
    charset = parameters.strip().lower().removeprefix("charset=").strip('"')
    if kind.strip().lower() != "application/json" or charset not in ("", "utf-8"):
        raise Problem("unsupported_media_type", f"the body's type is {given or 'not given'!r}, not application/json")
