"""How customers' pages speak: a language, and the way it writes amounts and dates.

What is said is in `words/*.toml`, one file per language with the same keys in each.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_time, get_timezone_name
from babel.numbers import format_currency, get_currency_symbol
from fastapi import Depends, Request
from markupsafe import Markup

from agreements.money import Money, exponent

_FOLDER = Path(__file__).parent / "words"
_EVERYWHERE = "001"
"""A language's own habits where none of a region are known (CLDR's code for the world)."""


class Language(StrEnum):
    """The languages customers' pages speak."""

    ENGLISH = "en"
    ARABIC = "ar"

    @property
    def name_of_its_own(self) -> str:
        """For choosing it."""
        return str(_words(self)["name"])


@dataclass(frozen=True)
class Voice:
    """A language as it is used in the customer's region (ISO 3166)."""

    language: Language
    region: str | None = None

    @property
    def direction(self) -> str:
        """`ltr` or `rtl`."""
        return str(self._locale.text_direction)

    def say(self, key: str, **values: str | int) -> Markup:
        """A sentence, e.g. of `portal.title`. What is put in keeps its own writing direction, and is escaped.

        Where the sentence depends on a number, that is its value `n`.
        """
        section, _, name = key.partition(".")
        found = _words(self.language)[section][name]
        if isinstance(found, dict):
            found = found[self._locale.plural_form(int(values["n"]))]
        sentence = Markup(found)  # noqa: S704 our own words
        return sentence.format(**{name: _apart(value) for name, value in values.items()})

    def money(self, money: Money) -> str:
        """An amount, always with all the decimals its currency has by ISO 4217 (babel's own know better for some)."""
        digits = exponent(money.currency)
        pattern = self._locale.currency_formats["standard"].pattern.replace("0.00", f"0.{'0' * digits}".rstrip("."))
        if get_currency_symbol(money.currency, self._locale)[-1].isalpha():
            pattern = pattern.replace("¤#", "¤\N{NO-BREAK SPACE}#")
        amount = Decimal(money.value).scaleb(-digits)
        return format_currency(amount, money.currency, pattern, self._locale, currency_digits=False)

    def day(self, day: date) -> str:
        """A calendar day, its month in words."""
        return format_date(day, "long", self._locale)

    def month(self, year: int, month: int) -> str:
        """A month as cards print it, e.g. 02/2029."""
        return f"{month:02}/{year}"

    def moment(self, instant: datetime, zone: str) -> str:
        """Day, time and zone."""
        local = instant.astimezone(ZoneInfo(zone))
        name = get_timezone_name(local, locale=self._locale)
        return f"{self.day(local.date())}, {format_time(local, 'short', locale=self._locale)} ({name})"

    @cached_property
    def _locale(self) -> Locale:
        try:
            return Locale(self.language.value, self.region or _EVERYWHERE)
        except UnknownLocaleError:
            return Locale(self.language.value, _EVERYWHERE)


@dataclass(frozen=True)
class Wish:
    """Which languages somebody asks for: by the address, and by the browser's settings."""

    named: str | None
    accepted: str

    @classmethod
    def of(cls, request: Request) -> Self:
        """The wish of a request."""
        return cls(request.query_params.get("lang"), request.headers.get("accept-language", ""))

    @property
    def explicit(self) -> Language | None:
        """The one the address names, if the pages speak it."""
        return _spoken(self.named or "")

    def voice(self, region: str | None = None, usual: str | None = None) -> Voice:
        """The address's word, else the `usual` language, else the browser's first that is spoken, else English."""
        wanted = (self.explicit, _spoken(usual or ""), *map(_spoken, _by_preference(self.accepted)))
        return Voice(next((found for found in wanted if found), Language.ENGLISH), region)


Wished = Annotated[Wish, Depends(Wish.of)]


def _spoken(tag: str) -> Language | None:
    """The language of a tag (`ar-KW`)."""
    primary = tag.partition("-")[0].strip().lower()
    return Language(primary) if primary in set(Language) else None


def _by_preference(header: str) -> list[str]:
    """The tags of Accept-Language, the best first (RFC 9110 §12.5.4)."""
    ranked: list[tuple[float, str]] = []
    for entry in header.split(","):
        tag, _, parameter = entry.partition(";")
        name, _, value = parameter.strip().partition("=")
        try:
            weight = float(value) if name == "q" else 1.0
        except ValueError:
            weight = 0.0
        if weight > 0:
            ranked.append((weight, tag))
    return [tag for _, tag in sorted(ranked, key=lambda found: -found[0])]


def _apart(value: str | int) -> Markup:
    """A value in the middle of a sentence, of which only its own direction is its own."""
    return Markup("<bdi>{}</bdi>").format(value)


@cache
def _words(language: Language) -> dict[str, Any]:
    return tomllib.loads((_FOLDER / f"{language}.toml").read_text())
