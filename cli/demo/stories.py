"""The customers of the demo: what they agree to, what happens to their debits, and what must have come of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from cli.demo.backend import Json

START = "2027-01-30T21:00:00Z"
MONTH_ENDS = (
    "2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31", "2027-06-30",
    "2027-07-31", "2027-08-31", "2027-09-30", "2027-10-31", "2027-11-30", "2027-12-31",
)  # fmt: skip

_TERMS: Json = {
    "type": "recurring",
    "amount_variability": "fixed",
    "frequency": "monthly",
    "cycle_interval_days": 25,
    "payment_processing_day": 31,
    "start_date": "2027-01-31",
    "expiry_date": "2028-12-31",
    "seller": {"name": "Example Store", "short_name": "EXSTORE", "category_code": "5968"},
}


@dataclass(frozen=True, eq=False)
class Story:
    """One customer's year.

    `page` is what they fill in on the provider's page besides agreeing, `script` what the provider does with the debits
    made without them. `moved` are debits on another day than the month's last, by that day.
    """

    customer: str
    pays_with: str
    agreement: Json
    page: dict[str, str]
    script: str
    moved: dict[str, str]
    events: frozenset[str]

    @property
    def gateway(self) -> str:
        return str(self.agreement["gateway"])

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.agreement["terms"]["timezone"])

    @property
    def amount(self) -> dict[str, Any]:
        return dict(self.agreement["terms"]["amount"])

    @property
    def days(self) -> list[str]:
        """The days of the debits that succeed, in the customer's zone."""
        return [self.moved.get(day, day) for day in MONTH_ENDS]


def _agreement(gateway: str, method: str, customer: Json, terms: Json, *, reference: str) -> Json:
    """The create call, all but the clock."""
    return {
        "reference": reference,
        "gateway": gateway,
        "payment_method": {"type": method},
        "customer": customer,
        "terms": _TERMS | terms,
        "return_url": "https://merchant.example/return",
    }


ANA = Story(
    customer="Ana",
    pays_with="GCash through Antom",
    agreement=_agreement(
        "antom",
        "GCASH",
        {"id": "cus-7", "name": "Ana Cruz", "email": "ana@example.com", "region": "PH"},
        {"amount": {"currency": "PHP", "value": 499_00}, "total_cycles": 13, "timezone": "Asia/Manila"},
        reference="sub-1001",
    ),
    page={},
    # Cycle 3 is declined once, the answer to cycle 5's debit gets lost.
    script="success,success,insufficient_funds,success,success,lost_answer_success,success",
    moved={"2027-03-31": "2027-04-01"},
    events=frozenset({"credential.refreshed", "charge.retry_scheduled", "charge.unknown", "agreement.revoked"}),
)

NOOR = Story(
    customer="Noor",
    pays_with="a card through Ottu",
    agreement=_agreement(
        "ottu",
        "mpgs-kwd",
        {"id": "cus-8", "name": "Noor Salem", "email": "noor@example.com", "region": "KW"},
        {"amount": {"currency": "KWD", "value": 12_500}, "total_cycles": 12, "timezone": "Asia/Kuwait"},
        reference="sub-1002",
    ),
    page={"card": "5123450000000008"},
    # Cycle 1 is paid on the page; from cycle 6 on the card has expired.
    script="success,success,success,success,expired_card",
    moved={"2027-06-30": "2027-07-02"},
    events=frozenset({"charge.action_required", "card_change.completed", "agreement.completed"}),
)
NOORS_NEW_CARD = {"card": "4508750015741019"}

SARI = Story(
    customer="Sari",
    pays_with="a card with 3-D Secure through Pivot",
    agreement=_agreement(
        "pivot",
        "CARD",
        {"id": "cus-9", "name": "Sari Wijaya", "email": "sari@example.com", "region": "ID"},
        {"amount": {"currency": "IDR", "value": 150_000_00}, "total_cycles": 12, "timezone": "Asia/Jakarta"},
        reference="sub-1003",
    ),
    # The card whose bank asks the customer; ticking "save" is what leaves a token.
    page={"card": "4440000112290002", "save": "on", "bank": "ask"},
    # Cycle 1 is paid on the page; the bank takes its time over cycle 8.
    script="success,success,success,success,success,success,processing_then_success,success",
    moved={},
    events=frozenset({"agreement.completed"}),
)

STORIES = (ANA, NOOR, SARI)
