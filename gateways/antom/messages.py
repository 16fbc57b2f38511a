"""Reading what Antom sent, answer or notification: JSON with a `result` and fields of loose types."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from agreements.money import Money

_CODE = re.compile(r"[A-Za-z0-9_]{1,64}", re.ASCII)
_DIGITS = re.compile(r"[0-9]{1,16}", re.ASCII)


class Unreadable(Exception):
    """Not a JSON object with a well-formed `result`."""


@dataclass(frozen=True)
class Message:
    """A read message. `status` is S, F, U or A and describes the call; `code` names the reason."""

    status: str
    code: str
    fields: Mapping[str, Any]

    def text(self, name: str, limit: int = 64) -> str | None:
        """A string field; None if absent, empty, longer than `limit` or with control characters (NUL and the like)."""
        return _text(self.fields.get(name), limit)

    def code_of(self, name: str) -> str | None:
        """A field that holds a code; None if absent or not shaped like one."""
        value = self.text(name)
        return value if value and _CODE.fullmatch(value) else None

    def inner_text(self, parent: str, name: str, limit: int = 64) -> str | None:
        """A string field of a nested object."""
        value = self.fields.get(parent)
        return _text(value.get(name), limit) if isinstance(value, dict) else None

    def money(self, name: str) -> Money | None:
        """An Amount in minor units; None if absent or malformed. Antom's exponents are those of ISO 4217."""
        value = self.fields.get(name)
        if not isinstance(value, dict) or not isinstance(value.get("currency"), str):
            return None
        digits = value.get("value")
        if isinstance(digits, bool) or not isinstance(digits, (str, int)) or not _DIGITS.fullmatch(str(digits)):
            return None
        try:
            return Money(currency=value["currency"], value=int(digits))
        except ValueError:
            return None

    def time(self, name: str) -> datetime | None:
        """An instant in UTC; None if absent, malformed or without an offset."""
        try:
            value = datetime.fromisoformat(self.text(name) or "")
            return value.astimezone(UTC) if value.tzinfo else None
        except (ValueError, OverflowError):
            return None


def read(body: bytes) -> Message:
    """Reads a body whose signature was verified. Raises Unreadable."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Unreadable("not JSON") from error
    result = fields.get("result") if isinstance(fields, dict) else None
    if not isinstance(result, dict):
        raise Unreadable("no result")
    status, code = result.get("resultStatus"), result.get("resultCode")
    if status not in ("S", "F", "U", "A") or not isinstance(code, str) or not _CODE.fullmatch(code):
        raise Unreadable("malformed result")
    return Message(status, code, fields)


def _text(value: object, limit: int) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= limit and value.isprintable() else None
