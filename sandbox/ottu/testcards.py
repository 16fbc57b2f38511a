"""Test cards a customer may pay with. The first two numbers are in Ottu's documents, the others are usual test numbers.

Expiries move with the clock, so that "expires soon" means the same in any year.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta

FAR = (2039, 1)


@dataclass(frozen=True)
class Specimen:
    """`reply` is what the gateway says when the customer pays with it; `months_left` None: expires in January 2039."""

    number: str
    brand: str
    text: str
    reply: str = "APPROVED"
    challenge: bool = False
    months_left: int | None = None

    def expiry(self, now: datetime) -> tuple[int, int]:
        """Year and month after whose end the card is no longer valid."""
        return FAR if self.months_left is None else months_from(now.date(), self.months_left)


TEST_CARDS = {
    card.number: card
    for card in (
        Specimen("5123450000000008", "MASTERCARD", "pays"),
        Specimen("5555555555554444", "MASTERCARD", "is declined", reply="DO_NOT_HONOR"),
        Specimen("4508750015741019", "VISA", "pays"),
        Specimen("345678901234564", "AMEX", "pays"),
        Specimen("4012000033330026", "VISA", "asks for 3-D Secure, then pays", challenge=True),
        Specimen("4000000000009995", "VISA", "has insufficient funds", reply="INSUFFICIENT_FUNDS"),
        Specimen("5111111111111118", "MASTERCARD", "pays, expires in two months", months_left=2),
        Specimen("2223000000000007", "MASTERCARD", "expires this month", months_left=0),
        Specimen("4012888888881881", "VISA", "expired last month", months_left=-1),
    )
}


def months_from(day: date, months: int) -> tuple[int, int]:
    """Year and month so many months after a day's."""
    years, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return years, month + 1


def read_expiry(text: str) -> tuple[int, int]:
    """`MM/YY` as printed on cards. Raises ValueError."""
    found = re.fullmatch(r"(0[1-9]|1[0-2])/(\d\d)", text.strip())
    if not found:
        raise ValueError("The expiry is written MM/YY.")
    return 2000 + int(found[2]), int(found[1])


def last_day(expiry: tuple[int, int]) -> date:
    """The last day on which a card with this expiry is valid."""
    year, month = months_from(date(*expiry, 1), 1)
    return date(year, month, 1) - timedelta(days=1)
