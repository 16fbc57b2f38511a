"""Reading what Pivot sent: its envelope, and fields of loose types. Source: gateways/pay-and-save.md §1.6, §6.1."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from agreements.money import Money, exponent

_CODE = re.compile(r"[A-Za-z0-9_]{1,64}", re.ASCII)
_WHOLE_OR_CENTS = re.compile(r"[0-9]{1,18}(\.[0-9]{1,4})?", re.ASCII)
_SUCCESS = "00"


class Unreadable(Exception):
    """Not one of Pivot's messages, or not shaped like one."""


@dataclass(frozen=True)
class Reply:
    """A read answer: HTTP status, the envelope's code, its data, and the field an error is about."""

    status: int
    code: str
    data: Any = None
    field: str = ""
    pages: int | None = None

    @property
    def ok(self) -> bool:
        """Whether the call did what it was to do."""
        return self.status in (200, 201) and self.code == _SUCCESS


def read(status: int, body: bytes) -> Reply:
    """Reads an answer. Raises Unreadable."""
    envelope = parse(body)
    code = envelope.get("code")
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        raise Unreadable("no code")
    if (status < 400) != (code == _SUCCESS):
        raise Unreadable("status and code contradict each other")
    pages = mapping(envelope.get("pagination")).get("totalPages")
    return Reply(status, code, envelope.get("data"), _field(envelope), pages if type(pages) is int else None)


def parse(body: bytes) -> dict[str, Any]:
    """A JSON object with exact numbers. Raises Unreadable."""
    try:
        value = json.loads(body, parse_float=Decimal, parse_constant=_no_number)
    except (ValueError, RecursionError, InvalidOperation) as error:
        raise Unreadable("not JSON") from error
    if not isinstance(value, dict):
        raise Unreadable("not an object")
    return value


def mapping(value: object) -> Mapping[str, Any]:
    """An object, or an empty one in place of null and of what is none."""
    return value if isinstance(value, dict) else {}


def objects(value: object) -> list[Mapping[str, Any]]:
    """The objects of a list; null and what is no list have none."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text(value: object, limit: int = 128) -> str | None:
    """A string; None if absent, empty, longer than `limit` or with control characters."""
    return value if isinstance(value, str) and 0 < len(value) <= limit and value.isprintable() else None


def code(value: object) -> str | None:
    """A string shaped like a code or a status."""
    return value if isinstance(value, str) and _CODE.fullmatch(value) else None


def time(value: object) -> datetime | None:
    """An instant in UTC, up to nine fractional digits of which six count; None if malformed or without an offset."""
    try:
        found = datetime.fromisoformat(text(value) or "")
        return found.astimezone(UTC) if found.tzinfo else None
    except (ValueError, OverflowError):
        return None


def money(value: object) -> Money | None:
    """An amount in minor units; None if malformed. Pivot counts whole units: numbers in payments, strings in refunds.

    Ten thousand rupiah are 10000 or "10000.00"; ISO 4217 gives them two decimals.
    """
    amount = mapping(value)
    currency, written = amount.get("currency"), amount.get("value")
    if isinstance(written, str) and not _WHOLE_OR_CENTS.fullmatch(written):
        return None
    if not isinstance(currency, str) or isinstance(written, bool) or not isinstance(written, int | Decimal | str):
        return None
    try:
        number = Decimal(written)
        if not number.is_finite() or not -4 < number.adjusted() < 16:
            return None
        minor = number.scaleb(exponent(currency))
        return Money(currency=currency, value=int(minor)) if minor == int(minor) else None
    except (ValueError, InvalidOperation):
        return None


def _field(envelope: Mapping[str, Any]) -> str:
    details = objects(mapping(envelope.get("error")).get("details"))
    return text(details[0].get("field")) or "" if details else ""


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number")
