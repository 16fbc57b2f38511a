"""The scripts' vocabulary (design §8), each word mapped to what Pivot really answers (gateways/pay-and-save.md §6.3).

A decline is no API error: the call is answered with the session in `PROCESSING`, and the charge ends `FAILED`. Pivot
signs no answers: `bad_signature` is a callback with a wrong `X-API-Key`, which a merchant must not believe.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sandbox.pivot.cards import (
    BLOCKED_BY_FDS,
    EXPIRED_CARD,
    FAILURES,
    NOT_AUTHENTICATED,
    REQUIRE_REVIEW,
    USUAL_ISSUER_CODE,
    Outcome,
)
from sandbox.wire import News, Wire


@dataclass(frozen=True)
class Step:
    """One scripted debit. With `error` it never became a session: the call is answered with that API error."""

    outcome: Outcome = field(default_factory=Outcome)
    settles_later: bool = False
    wire: Wire = Wire.ANSWER
    news: News = News.NORMAL
    error: str | None = None
    revokes: bool = False


INSUFFICIENT = Outcome("INSUFFICIENT_FUND", "51")

VOCABULARY = {
    "success": Step(),
    "insufficient_funds": Step(INSUFFICIENT),
    "limit_exceeded": Step(Outcome("INSUFFICIENT_FUND", "121")),
    "do_not_honor": Step(Outcome("DECLINED_BY_CHANNEL", "05")),
    "issuer_unavailable": Step(Outcome("CHANNEL_UNAVAILABLE", "91")),
    "expired_card": Step(EXPIRED_CARD),
    "lost_card": Step(Outcome("SUSPECTED_FRAUD", "41")),
    "stolen_card": Step(Outcome("SUSPECTED_FRAUD", "43")),
    "closed_account": Step(Outcome("INVALID_ACCOUNT", "46")),
    "invalid_token": Step(error="resource_missing"),
    "revoked_by_payer": Step(error="api_validation_error", revokes=True),
    "authentication_required": Step(NOT_AUTHENTICATED),
    "risk_reject": Step(BLOCKED_BY_FDS),
    "processing_then_success": Step(settles_later=True),
    "processing_then_failure": Step(INSUFFICIENT, settles_later=True),
    "lost_answer_success": Step(wire=Wire.CUT),
    "lost_answer_failure": Step(INSUFFICIENT, wire=Wire.CUT),
    "timeout": Step(wire=Wire.HOLD),
    "http_500": Step(error="internal_error"),
    "garbage": Step(wire=Wire.GARBAGE),
    "bad_signature": Step(wire=Wire.BAD_SIGNATURE),
    "double_notification": Step(news=News.DOUBLE),
    "late_notification": Step(news=News.LATE),
    "shuffled_notifications": Step(news=News.SHUFFLED),
}
ERRORS = ("frequency_above_limit", "bad_gateway", "service_unavailable", "gateway_timeout")
"""API errors a script may name itself; nothing was debited then."""


class BadScript(ValueError):
    """A script uses a word that is neither in the vocabulary nor one of Pivot's own codes."""


def parse(script: str) -> tuple[str, ...]:
    """The words of a comma-separated script, none for an empty one. Raises BadScript."""
    words = tuple(word.strip() for word in script.split(",") if word.strip())
    if unknown := [word for word in words if _step(word) is None]:
        raise BadScript(f"unknown script {', '.join(unknown)}; known: {', '.join(VOCABULARY)}")
    return words


def step(script: str, position: int) -> Step | None:
    """The step at a position, counted from 0; the last one repeats. None without a script."""
    words = parse(script)
    return _step(words[min(position, len(words) - 1)]) if words else None


def _step(word: str) -> Step | None:
    """Also of `REQUIRE_REVIEW`, an API error, a failureCode, and `failureCode/issuer code`."""
    if word in VOCABULARY:
        return VOCABULARY[word]
    if word in ERRORS:
        return Step(error=word)
    if word == "REQUIRE_REVIEW":
        return Step(REQUIRE_REVIEW)
    failure, slash, issuer = word.partition("/")
    if failure not in FAILURES or (slash and issuer not in FAILURES[failure].split()):
        return None
    return Step(Outcome(failure, issuer or USUAL_ISSUER_CODE.get(failure)))
