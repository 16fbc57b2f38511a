"""Reading what Ottu sent, answer or webhook: JSON with fields of loose types. Source: gateways/ottu.md §1.5, §3.2."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from agreements.money import Money, exponent, major_units
from gateways.ottu import signing

_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
_HANDLE = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
_DECIMAL = re.compile(r"[0-9]{1,13}(\.[0-9]{1,6})?", re.ASCII)


class Unreadable(Exception):
    """Not JSON, or not of the expected shape."""


@dataclass(frozen=True)
class Answer:
    """What Ottu said; not verified yet. `body` is what the JSON held, None for an empty one."""

    status: int
    body: Any

    @property
    def accepted(self) -> bool:
        """Understood; says nothing about money (gateways/ottu.md §3.4)."""
        return self.status < 300


@dataclass(frozen=True)
class NoAnswer:
    """Nothing trustworthy came back: anything may have happened. `evidence` says why, without personal data.

    `timeout`, `not_connected` (nothing was sent), `connection` (lost on the way), `http_<status>`, `too_large`,
    `encoded`, `unsigned`, `bad_signature`, `unreadable`, `id_mismatch`; and, with nothing sent, `account_keys` or
    `account_base_url` when an operator has to repair the account.
    """

    evidence: str


@dataclass(frozen=True)
class Message:
    """A JSON object. Every reading is None where a field is absent or not what it should be."""

    fields: Mapping[str, Any]

    def value(self, *path: str) -> object:
        """What stands at a path of names."""
        value: object = self.fields
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    def text(self, *path: str, limit: int = 128) -> str | None:
        """A string; none that is empty, longer than `limit` or with control characters (NUL and the like)."""
        value = self.value(*path)
        return value if isinstance(value, str) and 0 < len(value) <= limit and value.isprintable() else None

    def code(self, *path: str) -> str | None:
        """A string shaped like a code."""
        value = self.text(*path, limit=64)
        return value if value and _CODE.fullmatch(value) else None

    def handle(self, *path: str) -> str | None:
        """A session's id, which becomes part of addresses."""
        value = self.text(*path)
        return value if value and _HANDLE.fullmatch(value) else None

    def param(self, name: str) -> str | None:
        """One of `pg_params`, which come as text or as objects with a `value` (gateways/ottu.md §10.1)."""
        return self.code("pg_params", name) or self.code("pg_params", name, "value")

    @property
    def result(self) -> str | None:
        """What became of the attempt."""
        return self.code("result")

    @property
    def state(self) -> str | None:
        """Where the session stands."""
        return self.code("state")

    def money(self, name: str = "amount") -> Money | None:
        """An amount above zero in the message's currency, from decimal text or number."""
        return self._money(self.value(name), self.text("currency_code", limit=3))

    def money_of(self, parent: str) -> Money | None:
        """The amount of a nested object with a currency of its own."""
        return self._money(self.value(parent, "amount"), self.text(parent, "currency_code", limit=3))

    def _money(self, value: object, currency: str | None) -> Money | None:
        if currency is None or not _is_decimal(value):
            return None
        try:
            minor = Decimal(str(value)).scaleb(exponent(currency))
            return Money(currency=currency, value=int(minor)) if minor == int(minor) else None
        except ValueError:
            return None

    def taken(self) -> Money | None:
        """The amount of a success, where all that is said about it agrees: a payment in parts or of nothing is none."""
        amount = self.money()
        said = (self.money(name) for name in ("paid_amount", "settled_amount") if self.value(name) is not None)
        rest = self.value("remaining_amount")
        paid_up = rest is None or (_is_decimal(rest) and Decimal(str(rest)) == 0)
        return amount if paid_up and all(other == amount for other in said) else None


def decimal_text(money: Money) -> str:
    """The amount as Ottu writes it: major units with all of the currency's decimals."""
    return major_units(money.value, money.currency)


def parsed(body: bytes) -> Any:
    """Reads JSON; numbers keep the digits they were written with, for the signature. Raises Unreadable."""
    try:
        return json.loads(body, parse_float=Decimal, parse_constant=_refused)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise Unreadable("not JSON") from error


def verified(body: object, hmac_key: str) -> Message:
    """A message that Ottu signed. Raises Unreadable, signing.BadSignature."""
    if not isinstance(body, dict):
        raise Unreadable("not an object")
    try:
        signing.verify(body, hmac_key)
    except RecursionError as error:
        raise Unreadable("too deep") from error
    return Message(body)


def _is_decimal(value: object) -> bool:
    plain = isinstance(value, str | int | Decimal) and not isinstance(value, bool)
    return plain and _DECIMAL.fullmatch(str(value)) is not None


def _refused(constant: str) -> object:
    raise ValueError(constant)
