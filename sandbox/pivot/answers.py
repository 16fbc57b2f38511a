"""What Pivot's API answers: envelope, errors, money and time (gateways/pay-and-save.md §1.6, §6)."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import iso4217
from sqlalchemy.orm import Session

from sandbox import clocks
from sandbox.clocks import Moment
from sandbox.pivot.state import Client
from sandbox.wire import Wire

Row = TypeVar("Row")

_ERRORS = {
    "api_validation_error": (400, "API_ERROR", "The request was invalid"),
    "credentials_invalid": (401, "API_ERROR", "The credentials are missing, wrong or expired"),
    "forbidden_access": (403, "API_ERROR", "The account may not use this feature"),
    "not_found": (404, "GATEWAY_ERROR", "There is nothing at this address"),
    "resource_missing": (404, "GATEWAY_ERROR", "The resource does not exist"),
    "method_not_allowed": (405, "API_ERROR", "The method is not supported"),
    "duplicate_error": (409, "GATEWAY_ERROR", "The request conflicts with an existing record"),
    "idempotency_error": (409, "API_ERROR", "The request id was used for another request"),
    "invalid_state": (422, "API_ERROR", "The request is valid, but not in this state"),
    "frequency_above_limit": (429, "API_ERROR", "Too many requests"),
    "internal_error": (500, "GATEWAY_ERROR", "Something went wrong"),
    "bad_gateway": (502, "GATEWAY_ERROR", "The channel gave no usable answer"),
    "service_unavailable": (503, "GATEWAY_ERROR", "The service is not available"),
    "gateway_timeout": (504, "GATEWAY_ERROR", "The channel did not answer in time"),
}
"""HTTP status, type and message by code. The codes of 405 and 422 are invented: the documentation names none."""


@dataclass(frozen=True)
class Answer:
    """One answer, and how the wire treats it."""

    body: dict[str, Any]
    status: int = 200
    wire: Wire = Wire.ANSWER


@dataclass(frozen=True)
class Call:
    """One authenticated call: who, when, and the transaction its effects go into."""

    session: Session
    client: Client
    moment: Moment
    base_url: str
    path: dict[str, str] = field(default_factory=dict)
    """Parts of the path, such as `id`."""

    def inherit(self, clock: str | None) -> Call:
        """This call at the time of an existing object, unless the request named a clock itself."""
        return self if self.moment.clock else replace(self, moment=clocks.read(self.session, clock))


class ApiError(Exception):
    """Ends a call with an error of Pivot's; what the call did until then is undone."""

    def __init__(self, code: str, field: str = "", message: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.details = [{"field": field, "message": message}] if message else []

    @property
    def answer(self) -> Answer:
        return failed(self.code, self.details)


def failed(code: str, details: list[dict[str, str]] | None = None) -> Answer:
    """An error of Pivot's."""
    status, kind, message = _ERRORS[code]
    error = {"type": kind, "details": details or [], "traceId": secrets.token_hex(16)}
    return Answer({"code": code, "message": message, "error": error}, status)


def success(data: object, wire: Wire = Wire.ANSWER, **more: object) -> Answer:
    """The envelope of what went well."""
    return Answer({"code": "00", "message": "Success", "data": data, **more}, wire=wire)


def listed(rows: Sequence[Row], view: Callable[[Row], object], page: int, per_page: int) -> Answer:
    """One page of a list, each row as `view` shows it."""
    total = len(rows)
    pagination = {"page": page, "perPage": per_page, "totalItems": total, "totalPages": -(-total // per_page)}
    return success([view(row) for row in rows[(page - 1) * per_page : page * per_page]], pagination=pagination)


def amount(currency: str, value: int) -> dict[str, object]:
    """An amount in whole units, as payments carry it."""
    return {"value": value, "currency": currency}


def amount_text(currency: str, value: int) -> dict[str, object]:
    """An amount as refunds carry it."""
    return {"currency": currency, "value": f"{value}.00"}


def minor_units(currency: str, value: int) -> int:
    """Whole units in ISO 4217 minor units, in which the ledger counts: a rupiah has 100 sen."""
    return int(value * 10 ** int(iso4217.Currency(currency).exponent or 0))


def seconds(time: datetime | None) -> str | None:
    """A time in whole seconds."""
    return None if time is None else f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def nanoseconds(time: datetime) -> str:
    """A time with nine decimals, as Pivot writes when something was created or updated."""
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}061Z"
