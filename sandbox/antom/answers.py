"""What Antom's API answers: a result, the fields that go with it, and what happens to it on the wire."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from sqlalchemy.orm import Session

from sandbox import clocks
from sandbox.antom.scripts import UNDECIDED
from sandbox.clocks import Moment
from sandbox.wire import Wire

ANTOM_ZONE = timezone(timedelta(hours=8))
"""Antom's days end in GMT+8, and its times are written with that offset."""

MESSAGES = {
    "SUCCESS": "success.",
    "PAYMENT_IN_PROCESS": "The payment in process.",
    "REFUND_IN_PROCESS": "The refund is in process.",
    "USER_BALANCE_NOT_ENOUGH": "The user balance is not enough for the payment.",
    "USER_AMOUNT_EXCEED_LIMIT": "The payment amount exceeds the user's limit.",
    "PROCESS_FAIL": "A general business failure occurred. Do not retry.",
    "UNAVAILABLE_PAYMENT_METHOD": "The payment method is not available at the moment.",
    "USER_STATUS_ABNORMAL": "The user status is abnormal.",
    "USER_NOT_EXIST": "The user does not exist.",
    "INVALID_ACCESS_TOKEN": "The access token is not valid.",
    "AUTHENTICATION_REQUIRED": "User authentication is required.",
    "RISK_REJECT": "The request is rejected because of the risk control.",
    "ORDER_IS_CLOSED": "The order is closed.",
    "ORDER_NOT_EXIST": "The order does not exist.",
    "REPEAT_REQ_INCONSISTENT": "Repeated requests are inconsistent.",
}
IN_PROGRESS = UNDECIDED | {"PAYMENT_IN_PROCESS", "REFUND_IN_PROCESS"}
"""Codes with status U. Whether REFUND_IN_PROCESS is one is unverified."""


@dataclass(frozen=True)
class Answer:
    """The body of one answer, and how the wire treats it."""

    body: dict[str, Any]
    wire: Wire = Wire.ANSWER


@dataclass(frozen=True)
class Call:
    """One authenticated call: who, when, and the transaction its effects go into."""

    session: Session
    client_id: str
    moment: Moment
    base_url: str

    def inherit(self, clock: str | None) -> Call:
        """This call at the time of an existing object, unless the request named a clock itself."""
        return self if self.moment.clock else replace(self, moment=clocks.read(self.session, clock))


def result(code: str, message: str | None = None) -> dict[str, str]:
    """The `result` object of a code."""
    status = "S" if code == "SUCCESS" else "U" if code in IN_PROGRESS else "F"
    text = message or MESSAGES.get(code, code.replace("_", " ").capitalize() + ".")
    return {"resultCode": code, "resultStatus": status, "resultMessage": text[:256]}


def answer(code: str = "SUCCESS", message: str | None = None, **fields: Any) -> Answer:
    """An answer with a result and the fields that are not None."""
    given = {name: value for name, value in fields.items() if value is not None}
    return Answer({"result": result(code, message), **given})


def amount(currency: str, value: int) -> dict[str, str]:
    """An Amount object; values are strings on the wire."""
    return {"currency": currency, "value": str(value)}


def iso(time: datetime | None) -> str | None:
    """A time in Antom's form: whole seconds, with offset."""
    return None if time is None else time.astimezone(ANTOM_ZONE).isoformat(timespec="seconds")
