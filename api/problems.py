"""Errors as RFC 9457 problem documents, the framework's own included.

Every code has a page under `/problems/{code}`; `KINDS` is the whole list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.responses import JSONResponse

MEDIA_TYPE = "application/problem+json"


class Kind(NamedTuple):
    """One kind of error: its HTTP status, a title that never varies, and what the caller can do."""

    status: int
    title: str
    next: str


_FIX_BODY = "Correct the fields named in `errors` and send the request again."

KINDS: Mapping[str, Kind] = {
    "malformed_json": Kind(400, "The body is not well-formed JSON", "Send one JSON value in UTF-8 by RFC 8259."),
    "bad_request": Kind(400, "The request is malformed", "Correct the request as `detail` says."),
    "idempotency_key_missing": Kind(
        400, "The Idempotency-Key header is missing", "Send a fresh key per operation, and the same one on repeats."
    ),
    "idempotency_key_invalid": Kind(
        400, "The Idempotency-Key header is invalid", "Use 1 to 255 printable characters, a UUID for example."
    ),
    "unauthorized": Kind(401, "No valid API key", "Send `Authorization: Bearer sk_…` with a key of this installation."),
    "not_found": Kind(
        404, "There is no such thing", "Check the path, and that the key belongs to its merchant and mode."
    ),
    "method_not_allowed": Kind(405, "The method is not allowed here", "Use one of the methods in the Allow header."),
    "state_conflict": Kind(409, "The present state does not allow this", "Read the object again and decide anew."),
    "reference_taken": Kind(
        409, "The reference is in use", "Choose another reference, or find the agreement by the reference filter."
    ),
    "new_authorization_needed": Kind(
        409, "The payer has not agreed to this", "Make a new agreement, or leave out what `errors` names."
    ),
    "idempotency_key_in_use": Kind(
        409, "The first call with this key still runs", "Repeat the call after the seconds in Retry-After."
    ),
    "clock_advancing": Kind(409, "The test clock is advancing", "Read the clock until it is ready, then advance it."),
    "body_too_large": Kind(413, "The body is too large", "Send at most 64 KiB."),
    "unsupported_media_type": Kind(415, "The body must be JSON", "Send `Content-Type: application/json`."),
    "invalid_request": Kind(422, "The request does not hold together", _FIX_BODY),
    "idempotency_key_reused": Kind(
        422, "The Idempotency-Key belongs to another call", "Use a fresh key for every other method, path or body."
    ),
    "test_mode_only": Kind(422, "Test clocks exist in test mode only", "Use a key that begins with `sk_test_`."),
    "internal_error": Kind(500, "Something broke on our side", "Repeat the call later with the same Idempotency-Key."),
    "unavailable": Kind(
        503, "The service is not available now", "Repeat the call after the seconds in Retry-After, with the same key."
    ),
}

_BY_STATUS = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
}


class FieldError(BaseModel):
    """A field at fault: a JSON pointer into the body; `/query/…` and `/headers/…` name what is outside of it."""

    pointer: str
    detail: str


class ProblemDocument(BaseModel):
    """An error answer (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldError] = []
    next: str


@dataclass(eq=False)
class Problem(Exception):
    """Ends a request with the problem document of `code`."""

    code: str
    detail: str
    errors: Sequence[FieldError] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


def invalid(pointer: str, detail: str) -> Problem:
    """A 422 about one field."""
    return Problem("invalid_request", detail, [FieldError(pointer=pointer, detail=detail)])


def not_found(what: str) -> Problem:
    """A 404 that says nothing about what others own."""
    return Problem("not_found", f"there is no such {what}")


def response(problem: Problem, public_url: str) -> JSONResponse:
    """The answer for a problem. `type` is the address of the code's page."""
    kind = KINDS[problem.code]
    document = ProblemDocument(
        type=f"{public_url}/problems/{problem.code}",
        title=kind.title,
        status=kind.status,
        detail=problem.detail,
        code=problem.code,
        errors=list(problem.errors),
        next=kind.next,
    )
    content = document.model_dump(mode="json", exclude={"errors"} if not problem.errors else None)
    return JSONResponse(content, kind.status, headers=dict(problem.headers), media_type=MEDIA_TYPE)


def of_status(status: int, detail: str, headers: Mapping[str, str] | None) -> Problem:
    """What the framework itself refuses, such as an unknown path."""
    return Problem(_BY_STATUS.get(status, "bad_request"), detail, headers=headers or {})


def of_validation(error: RequestValidationError) -> Problem:
    """What pydantic found, with pointers instead of its locations."""
    errors = [FieldError(pointer=_pointer(found), detail=_detail(found)) for found in error.errors()]
    count = len(errors)
    detail = errors[0].detail if count == 1 else f"{count} fields are at fault"
    return Problem("invalid_request", detail, errors)


def _pointer(found: Mapping[str, Any]) -> str:
    where, *path = found["loc"]
    if path and path[-1] == "[key]":  # pydantic's mark for a key, not a value, of an object
        path.pop()
    if where != "body":
        path.insert(0, {"header": "headers"}.get(where, where))
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)


def _detail(found: Mapping[str, Any]) -> str:
    if found["type"] == "extra_forbidden":
        return "unknown field"
    if found["type"] == "missing":
        return "required"
    message = str(found["msg"]).removeprefix("Value error, ")
    return message[:1].lower() + message[1:]
