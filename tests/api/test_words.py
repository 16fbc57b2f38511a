"""The words of customers' pages are complete in every language, and amounts are exact."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel import Locale
from hypothesis import given
from hypothesis import strategies as st
from iso4217 import Currency

import api.languages
from agreements.money import Money, exponent
from agreements.status import ChargeStatus
from agreements.terms import Frequency
from api.languages import Language, Voice

WORDS = Path(api.languages.__file__).parent / "words"
CURRENCIES = sorted(each.code for each in Currency if each.exponent is not None)


def said(language: Language) -> Iterator[tuple[str, str]]:
    """Every key of a language with its sentence; for what depends on a number, of its general form."""
    for section, words in tomllib.loads((WORDS / f"{language}.toml").read_text()).items():
        if isinstance(words, str):
            continue
        for key, sentence in words.items():
            if isinstance(sentence, dict):
                assert set(sentence) == Locale(language.value).plural_form.tags | {"other"}, key
                sentence = sentence["other"]
            yield f"{section}.{key}", sentence


@pytest.mark.parametrize("language", Language)
def test_every_language_says_everything_with_the_same_values(language: Language) -> None:
    def shape(of: Language) -> dict[str, set[str]]:
        return {key: set(re.findall(r"{(\w+)}", sentence)) for key, sentence in said(of)}

    assert shape(language) == shape(Language.ENGLISH)
    assert all(sentence.strip() for _, sentence in said(language))


@pytest.mark.parametrize("language", Language)
def test_every_status_and_frequency_has_words(language: Language) -> None:
    keys = {key for key, _ in said(language)}
    assert {f"status.{status}" for status in ChargeStatus} <= keys
    assert {f"often.{frequency}" for frequency in Frequency if frequency is not Frequency.OTHER} <= keys


@given(
    money=st.builds(Money, currency=st.sampled_from(CURRENCIES), value=st.integers(1, 10**12)),
    voice=st.builds(
        Voice, st.sampled_from(Language), st.sampled_from([None, "PH", "ID", "KW", "SA", "US", "DE", "XX"])
    ),
)
def test_no_digit_of_an_amount_is_lost(money: Money, voice: Voice) -> None:
    """Whatever separates them: the digits are those of the minor units, behind a 0 where they are fewer."""
    digits = re.sub(r"[^0-9]", "", voice.money(money))
    assert digits == str(money.value).rjust(exponent(money.currency) + 1, "0")


def test_amounts_and_days_look_as_people_write_them() -> None:
    english, arabic = Voice(Language.ENGLISH, "PH"), Voice(Language.ARABIC, "KW")
    assert english.money(Money(currency="PHP", value=149900)) == "₱1,499.00"
    assert english.money(Money(currency="KWD", value=12500)) == "KWD\N{NO-BREAK SPACE}12.500"
    assert Voice(Language.ENGLISH, "ID").money(Money(currency="IDR", value=15000000)).endswith("150.000,00")
    assert "12.500" in arabic.money(Money(currency="KWD", value=12500))
    assert "د.ك" in arabic.money(Money(currency="KWD", value=12500))


@pytest.mark.parametrize(
    ("n", "sentence"), [(2, "كل يومين"), (3, "كل 3 أيام"), (11, "كل 11 يومًا"), (100, "كل 100 يوم")]
)
def test_arabic_counts_as_arabic_does(n: int, sentence: str) -> None:
    assert Voice(Language.ARABIC).say("often.days", n=n).striptags() == sentence
