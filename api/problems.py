"""Errors as RFC 9457 problem documents, the framework's own included.

Every code has a page under `/problems/{code}`; `KINDS` is the whole list.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Any, NamedTuple

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

MEDIA_TYPE = "application/problem+json"


class Kind(NamedTuple):
    """One kind of error: its HTTP status, a title that never varies, what it means, and what the caller can do."""

    status: int
    title: str
    means: str
    next: str


_FIX_BODY = "Correct the fields named in `errors` and send the request again."

KINDS: Mapping[str, Kind] = {
    "malformed_json": Kind(
        400,
        "The body is not well-formed JSON",
        "The body is no JSON text in UTF-8, names a member twice, or is nested too deep.",
        "Send one JSON value in UTF-8 by RFC 8259.",
    ),
    "bad_request": Kind(
        400,
        "The request is malformed",
        "The request cannot be read as HTTP should be; nothing of it was carried out.",
        "Correct the request as `detail` says.",
    ),
    "idempotency_key_missing": Kind(
        400,
        "The Idempotency-Key header is missing",
        "The call makes or moves something, and must be repeatable without doing so twice. Nothing was done.",
        "Send a fresh key per operation, and the same one on repeats.",
    ),
    "idempotency_key_invalid": Kind(
        400,
        "The Idempotency-Key header is invalid",
        "The header is there more than once, is empty, too long or not printable ASCII, or its quotes do not match.",
        "Use 1 to 255 printable ASCII characters, a UUID for example.",
    ),
    "unauthorized": Kind(
        401,
        "No valid API key",
        "The Authorization header is missing, is no bearer key, or holds a key this installation does not know.",
        "Send `Authorization: Bearer sk_…` with a key of this installation.",
    ),
    "not_found": Kind(
        404,
        "There is no such thing",
        "Nothing has this path or id, or it belongs to another merchant or to the other mode.",
        "Check the path, and that the key belongs to its merchant and mode.",
    ),
    "method_not_allowed": Kind(
        405,
        "The method is not allowed here",
        "The path exists, and does not take this HTTP method.",
        "Use one of the methods in the Allow header.",
    ),
    "state_conflict": Kind(
        409,
        "The present state does not allow this",
        "The request is sound, but what it is about is not in a state in which it could be done; `detail` says why.",
        "Read the object again and decide anew.",
    ),
    "credential_in_use": Kind(
        409,
        "An agreement uses the credential",
        "It is locked as long as an agreement that has not ended is charged with it. Nothing was deleted.",
        "End the agreements named in `agreements`, or change their cards, first.",
    ),
    "reference_taken": Kind(
        409,
        "The reference is in use",
        "Another agreement of this merchant and mode has the same `reference`. None was made.",
        "Choose another reference, or find the agreement by the reference filter.",
    ),
    "new_authorization_needed": Kind(
        409,
        "The payer has not agreed to this",
        "The change goes beyond what the payer consented to, so it needs their consent anew.",
        "Make a new agreement, or leave out what `errors` names.",
    ),
    "idempotency_key_in_use": Kind(
        409,
        "The first call with this key still runs",
        "The same call was made before and has not been answered yet; its one result will be the answer to both.",
        "Repeat the call after the seconds in Retry-After.",
    ),
    "clock_advancing": Kind(
        409,
        "The test clock is advancing",
        "A clock goes to one instant at a time, and does everything due on the way first.",
        "Read the clock until it is ready, then advance it.",
    ),
    "body_too_large": Kind(
        413, "The body is too large", "The body is larger than 64 KiB and was not read.", "Send at most 64 KiB."
    ),
    "not_acceptable": Kind(
        406,
        "The answer would be JSON",
        "The Accept header excludes `application/json`, and there is no other form. Nothing was done.",
        "Send `Accept: application/json`, or leave the header out.",
    ),
    "unsupported_media_type": Kind(
        415,
        "The body must be JSON",
        "The Content-Type header is missing or names something other than JSON in UTF-8, or the body is compressed.",
        "Send `Content-Type: application/json`, and the body as it is.",
    ),
    "invalid_request": Kind(
        422,
        "The request does not hold together",
        "A field is missing, unknown, out of bounds, or contradicts another; `errors` names each by a JSON pointer.",
        _FIX_BODY,
    ),
    "idempotency_key_reused": Kind(
        422,
        "The Idempotency-Key belongs to another call",
        "The key was first used with another method, path or body. This call was not carried out.",
        "Use a fresh key for every other method, path or body.",
    ),
    "test_mode_only": Kind(
        422,
        "Test clocks exist in test mode only",
        "The key is a live one, and live agreements run in real time.",
        "Use a key that begins with `sk_test_`.",
    ),
    "rate_limited": Kind(
        429,
        "Too many requests",
        "The key has made more requests than its mode allows, or the address has too often shown no key that works."
        " The RateLimit headers tell what is left. Nothing was done.",
        "Repeat the call after the seconds in Retry-After, with the same Idempotency-Key.",
    ),
    "internal_error": Kind(
        500,
        "Something broke on our side",
        "A defect of ours. Whether the call was carried out is not known; a repeat with the same key tells.",
        "Repeat the call later with the same Idempotency-Key.",
    ),
    "unavailable": Kind(
        503,
        "The service is not available now",
        "PostgreSQL or Temporal does not answer. Whether the call was carried out is not known; a repeat tells.",
        "Repeat the call after the seconds in Retry-After, with the same key.",
    ),
}

_BY_STATUS = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    413: "body_too_large",
    415: "unsupported_media_type",
}


class FieldError(BaseModel):
    """A field at fault: a JSON pointer into the body; `/query/…` and `/headers/…` name what is outside of it."""

    pointer: str
    detail: str


class ProblemDocument(BaseModel):
    """An error answer (RFC 9457). Decide by `code`; treat one you do not know by its status."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    type: str
    """The address of the code's page."""
    title: str
    """The same for every problem of the code."""
    status: int
    detail: str
    """What went wrong this time."""
    code: str
    agreements: Annotated[list[str], Field(exclude_if=lambda found: not found)] = []
    """Those that stand in the way; left out where none does."""
    errors: list[FieldError] = []
    """The fields at fault; left out where none is."""
    next: str
    """What the caller can do."""


@dataclass(eq=False)
class Problem(Exception):
    """Ends a request with the problem document of `code`."""

    code: str
    detail: str
    errors: Sequence[FieldError] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    agreements: Sequence[str] = ()


def invalid(pointer: str, detail: str) -> Problem:
    """A 422 about one field."""
    return Problem("invalid_request", detail, [FieldError(pointer=pointer, detail=detail)])


def not_found(what: str) -> Problem:
    """A 404 that says nothing about what others own."""
    return Problem("not_found", f"there is no such {what}")


def document(problem: Problem, public_url: str) -> dict[str, Any]:
    """A problem as it is answered. `type` is the address of the code's page."""
    kind = KINDS[problem.code]
    told = ProblemDocument(
        type=f"{public_url}/problems/{problem.code}",
        title=kind.title,
        status=kind.status,
        detail=problem.detail,
        code=problem.code,
        agreements=list(problem.agreements),
        errors=list(problem.errors),
        next=kind.next,
    )
    return told.model_dump(mode="json", exclude=set() if problem.errors else {"errors"})


def response(problem: Problem, public_url: str) -> JSONResponse:
    """The answer for a problem."""
    return JSONResponse(
        document(problem, public_url),
        KINDS[problem.code].status,
        headers=dict(problem.headers),
        media_type=MEDIA_TYPE,
    )


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


_IN_WORDS = {
    "extra_forbidden": "unknown field",
    "missing": "required",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "dict_type": "must be an object",
}
_DATE = re.compile(r"datetime\.date\((\d+), (\d+), (\d+)\)")
"""Where pydantic speaks of Python."""


def _detail(found: Mapping[str, Any]) -> str:
    if found["type"] in _IN_WORDS:
        return _IN_WORDS[found["type"]]
    message = _DATE.sub(lambda day: date(*map(int, day.groups())).isoformat(), str(found["msg"]))
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]
