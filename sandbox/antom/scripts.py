"""The scripts' vocabulary (design §8), each word mapped to what Antom really answers.

Codes are from gateways/antom.md §8. Wallets have no cards, so the card words get the code by which a wallet says that
the customer's account cannot be used. Antom has no "do not honor": `PROCESS_FAIL` is its generic refusal.
"""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.wire import News, Wire


@dataclass(frozen=True)
class Step:
    """One scripted debit: final `code`, whether it is first in process, what the wire and the notification do."""

    code: str = "SUCCESS"
    in_process: bool = False
    wire: Wire = Wire.ANSWER
    news: News = News.NORMAL
    revokes: bool = False

    @property
    def recorded(self) -> bool:
        """Whether Antom remembers the debit at all."""
        return self.wire not in (Wire.HOLD, Wire.HTTP_500) and self.code not in UNDECIDED


REFUSALS = frozenset(
    """
    USER_BALANCE_NOT_ENOUGH USER_AMOUNT_EXCEED_LIMIT PAYMENT_AMOUNT_EXCEED_LIMIT PAYMENT_COUNT_EXCEED_LIMIT
    USER_PAYMENT_VERIFICATION_FAILED VERIFY_TIMES_EXCEED_LIMIT UNAVAILABLE_PAYMENT_METHOD ORDER_IS_CLOSED
    ORDER_IS_CANCELED INVALID_ACCESS_TOKEN INVALID_CONTRACT AUTHENTICATION_REQUIRED USER_NOT_EXIST
    USER_STATUS_ABNORMAL USER_KYC_NOT_QUALIFIED VERIFY_UNMATCHED PAYMENT_NOT_QUALIFIED RISK_REJECT SUSPECTED_RISK
    FRAUD_REJECT PAYMENT_PROHIBITED REGULATION_RESTRICTION BUSINESS_NOT_SUPPORT CURRENCY_NOT_SUPPORT INVALID_AMOUNT
    ORDER_STATUS_INVALID NO_PAY_OPTIONS SETTLE_CONTRACT_NOT_MATCH INVALID_MERCHANT_STATUS MERCHANT_KYB_NOT_QUALIFIED
    MERCHANT_NOT_REGISTERED ACCESS_DENIED PROCESS_FAIL SYSTEM_ERROR
    """.split()  # noqa: SIM905 - a list of words reads better
)
"""Codes of `pay` with status F. A script may also name one of these, or one of UNDECIDED, itself."""
UNDECIDED = frozenset({"UNKNOWN_EXCEPTION", "REQUEST_TRAFFIC_EXCEED_LIMIT"})
"""Codes of `pay` with status U that ask for the identical call again. The sandbox made no debit then."""

VOCABULARY = {
    "success": Step(),
    "insufficient_funds": Step("USER_BALANCE_NOT_ENOUGH"),
    "limit_exceeded": Step("USER_AMOUNT_EXCEED_LIMIT"),
    "do_not_honor": Step("PROCESS_FAIL"),
    "issuer_unavailable": Step("UNAVAILABLE_PAYMENT_METHOD"),
    "expired_card": Step("USER_STATUS_ABNORMAL"),
    "lost_card": Step("USER_STATUS_ABNORMAL"),
    "stolen_card": Step("USER_STATUS_ABNORMAL"),
    "closed_account": Step("USER_NOT_EXIST"),
    "invalid_token": Step("INVALID_ACCESS_TOKEN"),
    "revoked_by_payer": Step("INVALID_ACCESS_TOKEN", revokes=True),
    "authentication_required": Step("AUTHENTICATION_REQUIRED"),
    "risk_reject": Step("RISK_REJECT"),
    "processing_then_success": Step(in_process=True),
    "processing_then_failure": Step("USER_BALANCE_NOT_ENOUGH", in_process=True),
    "lost_answer_success": Step(wire=Wire.CUT),
    "lost_answer_failure": Step("USER_BALANCE_NOT_ENOUGH", wire=Wire.CUT),
    "timeout": Step(wire=Wire.HOLD),
    "http_500": Step(wire=Wire.HTTP_500),
    "garbage": Step(wire=Wire.GARBAGE),
    "bad_signature": Step(wire=Wire.BAD_SIGNATURE),
    "double_notification": Step(news=News.DOUBLE),
    "late_notification": Step(news=News.LATE),
    "shuffled_notifications": Step(news=News.SHUFFLED),
}


class BadScript(ValueError):
    """A script uses a word that is neither in the vocabulary nor one of Antom's result codes."""


def parse(script: str) -> tuple[str, ...]:
    """The words of a comma-separated script; an empty one means `success`. Raises BadScript."""
    words = tuple(word.strip() for word in script.split(",") if word.strip()) or ("success",)
    if unknown := [word for word in words if word not in VOCABULARY and word not in REFUSALS | UNDECIDED]:
        raise BadScript(f"unknown script {', '.join(unknown)}; known: {', '.join(VOCABULARY)}")
    return words


def step(script: str, position: int) -> Step:
    """The step at a position, counted from 0; the last one repeats."""
    words = parse(script)
    word = words[min(position, len(words) - 1)]
    return VOCABULARY.get(word) or Step(word)
