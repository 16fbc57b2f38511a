"""Whose e-mail addresses and phone numbers are taken: those people have, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agreements.views import Customer
from api.customer_body import CustomerBody


@given(st.emails())
def test_every_address_of_rfc_5322_that_people_use_is_taken(address: str) -> None:
    assert CustomerBody(id="c", email=address).email == address


@pytest.mark.parametrize(
    "address",
    [
        "o'brien+shop@mail.example.ie",
        "da..me.@docomo.example",
        "用户@例子.广告",
        "उपयोग@उदाहरण.परीक्षा",
        "müller@xn--mller-kva.example",
        "x" * 64 + "@example.com",
        "x" * 63 + "@" + ".".join(["y" * 63, "y" * 63, "y" * 58, "com"]),
    ],
)
def test_real_people_s_addresses_are_taken(address: str) -> None:
    assert CustomerBody(id="c", email=address).email == address


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "ana",
            "@example.com",
            "ana@",
            "ana@localhost",
            "ana@example..com",
            "ana@.example.com",
            "ana@example.com.",
        ),
        *(
            " ana@example.com",
            "ana@example.com\n",
            "ana cruz@example.com",
            "Ana <ana@example.com>",
            "mailto:a@b.example",
        ),
        *(
            "ana@example.com,ben@example.com",
            "ana@ben@example.com",
            "x" * 65 + "@example.com",
            "a@" + "y" * 64 + ".com",
        ),
        "x" * 64 + "@" + ".".join(["y" * 63, "y" * 63, "y" * 58, "com"]),
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="email"):
        CustomerBody(id="c", email=text)


@given(st.from_regex(r"[1-9][0-9]{6,14}", fullmatch=True, alphabet=st.characters(codec="ascii")))
def test_a_number_in_e_164_is_taken(digits: str) -> None:
    assert CustomerBody(id="c", phone=f"+{digits}").phone == f"+{digits}"


@pytest.mark.parametrize(
    "text",
    [
        *("", "+", "+639170", "+0639170000000", "639170000000", "09170000000", "+63 917 000 0000", "+63-917-000-0000"),
        *("+6391700000001234", "+639170000000\n", "+٦٣٩١٧٠٠٠٠٠٠٠", "tel:+639170000000", "+639170000000;ext=1"),
    ],
)
def test_what_is_no_number_in_e_164_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="phone"):
        CustomerBody(id="c", phone=text)


def test_what_agreements_of_before_say_can_still_be_read() -> None:
    assert Customer(id="c", email="ana at example", phone="0917 000").email == "ana at example"
