"""What gateways answer, and the scripts' vocabulary (design §8), each word mapped to what Ottu really passes on.

Ottu has no decline codes of its own: a word becomes a Mastercard Gateway (MPGS) `gatewayCode` of gateways/ottu.md §10.2
with the issuer's ISO 8583 code beside it. Which code goes with "closed account" or a revocation is our choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, auto

from sandbox.wire import News, Wire


class Result(StrEnum):
    """Of an attempt, as `result` says it."""

    SUCCESS = "success"
    FAILED = "failed"
    PENDING = "pending"
    CANCELED = "canceled"
    ERROR = "error"


class Refusal(StrEnum):
    """An HTTP error instead of an attempt."""

    TOKEN = auto()
    """400 with a field error: the token is none."""
    DETAIL = auto()
    """400 `{detail, result: failed}`."""
    THROTTLED = auto()
    """429."""


@dataclass(frozen=True)
class Reply:
    """What a gateway says about one attempt; no `code`: nothing that Ottu understood."""

    result: Result
    code: str = ""
    acquirer_code: str = ""
    message: str = ""


REPLIES = {
    "APPROVED": Reply(Result.SUCCESS, "APPROVED", "00"),
    "VERIFIED": Reply(Result.SUCCESS, "APPROVED", "85"),
    "PENDING": Reply(Result.PENDING, "PENDING"),
    "CANCELLED": Reply(Result.CANCELED, "CANCELLED", message="Canceled by the customer"),
    "UNKNOWN_ERROR": Reply(Result.ERROR, message="Unknown Error"),
    "INSUFFICIENT_FUNDS": Reply(Result.FAILED, "INSUFFICIENT_FUNDS", "51", "Insufficient funds"),
    "LIMIT_EXCEEDED": Reply(Result.FAILED, "DECLINED", "61", "Limit exceeded"),
    "DO_NOT_HONOR": Reply(Result.FAILED, "DECLINED", "05", "Do not honour"),
    "ISSUER_UNAVAILABLE": Reply(Result.FAILED, "ACQUIRER_SYSTEM_ERROR", "91", "Issuer unavailable"),
    "EXPIRED_CARD": Reply(Result.FAILED, "EXPIRED_CARD", "54", "Expired card"),
    "LOST_CARD": Reply(Result.FAILED, "DECLINED_DO_NOT_CONTACT", "41", "Lost card"),
    "STOLEN_CARD": Reply(Result.FAILED, "DECLINED_DO_NOT_CONTACT", "43", "Stolen card"),
    "CLOSED_ACCOUNT": Reply(Result.FAILED, "DECLINED_DO_NOT_CONTACT", "46", "Closed account"),
    "REVOKED": Reply(Result.FAILED, "DECLINED_DO_NOT_CONTACT", "R1", "Revocation of authorization"),
    "AUTHENTICATION_FAILED": Reply(Result.FAILED, "AUTHENTICATION_FAILED", "1A", "Authentication required"),
    "RISK": Reply(Result.FAILED, "BLOCKED", message="Blocked by risk rules"),
}
"""By the name under which an attempt keeps it."""

GATEWAY_CODES = frozenset(
    """
    DECLINED REFERRED TIMED_OUT SYSTEM_ERROR UNSPECIFIED_FAILURE LOCK_FAILURE DECLINED_PAYMENT_PLAN NOT_SUPPORTED
    EXCEEDED_RETRY_LIMIT INVALID_CSC DECLINED_CSC DECLINED_AVS DECLINED_AVS_CSC DECLINED_INVALID_PIN
    DECLINED_PIN_REQUIRED NOT_ENROLLED_3D_SECURE ABORTED
    """.split()  # noqa: SIM905 - a list of words reads better
)
"""Further codes of MPGS a script may name itself; each ends as `failed` and carries no issuer's code."""


def reply(name: str) -> Reply:
    """The reply an attempt keeps under a name."""
    return REPLIES.get(name) or Reply(Result.FAILED, name, message=name.replace("_", " ").capitalize())


@dataclass(frozen=True)
class Step:
    """One scripted debit: the gateway's reply, what it says later if asked again, what wire and webhook do."""

    reply: str = "APPROVED"
    later: str | None = None
    wire: Wire = Wire.ANSWER
    news: News = News.NORMAL
    revokes: bool = False
    refusal: Refusal | None = None

    @property
    def reached(self) -> bool:
        """Whether the debit came as far as Ottu's books."""
        return self.wire not in (Wire.HOLD, Wire.HTTP_500) and self.refusal is not Refusal.THROTTLED


VOCABULARY = {
    "success": Step(),
    "insufficient_funds": Step("INSUFFICIENT_FUNDS"),
    "limit_exceeded": Step("LIMIT_EXCEEDED"),
    "do_not_honor": Step("DO_NOT_HONOR"),
    "issuer_unavailable": Step("ISSUER_UNAVAILABLE"),
    "expired_card": Step("EXPIRED_CARD"),
    "lost_card": Step("LOST_CARD"),
    "stolen_card": Step("STOLEN_CARD"),
    "closed_account": Step("CLOSED_ACCOUNT"),
    "invalid_token": Step(refusal=Refusal.TOKEN),
    "revoked_by_payer": Step("REVOKED", revokes=True),
    "authentication_required": Step("AUTHENTICATION_FAILED"),
    "risk_reject": Step("RISK"),
    "processing_then_success": Step("PENDING", later="APPROVED"),
    "processing_then_failure": Step("PENDING", later="INSUFFICIENT_FUNDS"),
    "lost_answer_success": Step(wire=Wire.CUT),
    "lost_answer_failure": Step("INSUFFICIENT_FUNDS", wire=Wire.CUT),
    "timeout": Step(wire=Wire.HOLD),
    "http_500": Step(wire=Wire.HTTP_500),
    "garbage": Step(wire=Wire.GARBAGE),
    "bad_signature": Step(wire=Wire.BAD_SIGNATURE),
    "double_notification": Step(news=News.DOUBLE),
    "late_notification": Step(news=News.LATE),
    "shuffled_notifications": Step(news=News.SHUFFLED),
}
OTTUS_OWN = {
    "gateway_error": Step("UNKNOWN_ERROR"),
    "late_success": Step("DO_NOT_HONOR", later="APPROVED"),
    "http_400": Step(refusal=Refusal.DETAIL),
    "http_429": Step(refusal=Refusal.THROTTLED),
}
"""Words beyond the design's: an attempt that ends in `error`, a failure the gateway takes back, refusals by status."""


class BadScript(ValueError):
    """A script uses a word that is neither in the vocabulary nor one of MPGS's codes."""


def parse(script: str) -> tuple[str, ...]:
    """The words of a comma-separated script; an empty one means `success`. Raises BadScript."""
    words = tuple(word.strip() for word in script.split(",") if word.strip()) or ("success",)
    known = VOCABULARY.keys() | OTTUS_OWN.keys() | GATEWAY_CODES
    if unknown := [word for word in words if word not in known]:
        raise BadScript(f"unknown script {', '.join(unknown)}; known: {', '.join((*VOCABULARY, *OTTUS_OWN))}")
    return words


def step(script: str, position: int) -> Step:
    """The step at a position, counted from 0; the last one repeats."""
    words = parse(script)
    word = words[min(position, len(words) - 1)]
    return VOCABULARY.get(word) or OTTUS_OWN.get(word) or Step(word)
