"""What Ottu's API answers, and its error shapes (gateways/ottu.md §1.6). Texts other than "required" are invented."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from sqlalchemy.orm import Session
from starlette.datastructures import Headers

from sandbox import clocks
from sandbox.clocks import Moment
from sandbox.ottu.state import Merchant, Transaction
from sandbox.wire import Wire

REQUIRED = "This field is required."
Errors = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """Status and JSON body of one answer, and how the wire treats it."""

    status: int
    body: Any = None
    wire: Wire = Wire.ANSWER
    headers: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):
    """A call that is answered with an error and changes nothing."""

    def __init__(self, status: int, body: Errors, **headers: str) -> None:
        super().__init__(status, body)
        self.answer = Answer(status, body, headers=headers)


@dataclass(frozen=True)
class User:
    """Somebody who signs in with Basic authentication. An API key has no user and every permission."""

    username: str
    permissions: frozenset[str]


@dataclass(frozen=True)
class Call:
    """One authenticated call: who, when, what, and the transaction its effects go into."""

    session: Session
    merchant: Merchant
    user: User | None
    moment: Moment
    base_url: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Headers
    body: dict[str, Any]

    def inherit(self, txn: Transaction) -> Call:
        """This call at the time of a transaction, unless the request named a clock itself."""
        return self if self.moment.clock else replace(self, moment=clocks.read(self.session, txn.clock))

    def need(self, *permissions: str) -> None:
        """Raises Refused (403) unless the caller has one of the permissions."""
        if self.user is not None and not self.user.permissions & set(permissions):
            raise Refused(403, {"detail": "You do not have permission to perform this action."})


def not_found() -> Refused:
    return Refused(404, {"detail": "Not found."})


def failed(detail: str, status: int = 400, **more: str) -> Refused:
    """An OperationErrorResponse."""
    return Refused(status, {"detail": detail[:255], **more, "result": "failed"})


def field_errors(error: ValidationError) -> Errors:
    """Django REST framework's form: texts in a list under their field, nested as the fields are."""
    errors: Errors = {}
    for detail in error.errors(include_url=False):
        *outer, last = [str(part) for part in detail["loc"]] or ["non_field_errors"]
        place = errors
        for part in outer:
            place = place.setdefault(part, {})
        place.setdefault(last, []).append(_text(detail))
    return errors


def _text(detail: ErrorDetails) -> str:
    context = detail.get("ctx", {})
    match detail["type"]:
        case "missing":
            return REQUIRED
        case "string_too_long":
            return f"Ensure this field has no more than {context['max_length']} characters."
        case "string_too_short":
            return "This field may not be blank."
        case "literal_error":
            return f'"{detail["input"]}" is not a valid choice.'
        case "value_error":
            return str(context["error"])
        case _:
            return "This field may not be null." if detail["input"] is None else f"{detail['msg']}."
