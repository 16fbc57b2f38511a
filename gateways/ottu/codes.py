"""Why Ottu or the gateway behind it refused; what that means is in the rulebook. Source: gateways/ottu.md §10.

Ottu has no decline codes of its own. The raw code is the best that can be read: MPGS's `gatewayCode` with the issuer's
two characters after a colon (`DECLINED:51`), the issuer's alone, Cybersource's decision, or else Ottu's `result`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from agreements import rulebook
from agreements.declines import Decline
from gateways.ottu.messages import Message

UNDECIDED = frozenset(
    {
        "PENDING",
        "SUBMITTED",
        "UNKNOWN",
        "TIMED_OUT",
        "DEFERRED_TRANSACTION_RECEIVED",
        "AUTHENTICATION_IN_PROGRESS",
        "APPROVED",
        "APPROVED_AUTO",
        "APPROVED_PENDING_SETTLEMENT",
    }
)
"""MPGS codes that do not go with a failure: the outcome is to be asked for (gateways/ottu.md §10.2)."""

AUTHORIZE_ONLY = "authorize"
"""The `operation` of a gateway that only reserves money (gateways/ottu.md §2.1): we take purchases."""

_ISSUER = re.compile(r"[0-9A-Z]{2}", re.ASCII)
_ADVICE = re.compile(r"[0-9]{2}", re.ASCII)
_DEPTH = 6


def decline(raw_code: str, *, network_code: str | None = None, network_advice: str | None = None) -> Decline:
    """The refusal a code stands for today, by the rulebook (`declines/ottu.toml`).

    Providers answer in real time, also for agreements on a test clock: the real day decides.
    """
    meaning = rulebook.current().meaning("ottu", raw_code, datetime.now(UTC).date())
    return Decline(
        category=meaning.category,
        code=meaning.code,
        raw_code=raw_code,
        network_code=network_code,
        network_advice=network_advice,
        message=meaning.message,
    )


def refusal(message: Message) -> Decline:
    """Why an attempt failed, by a payment in the webhook's shape."""
    response = _gateway(message)
    issuer = _matching(_ISSUER, response.get("acquirerCode")) or _matching(_ISSUER, message.param("result"))
    # The name of the field that holds the network's advice is not confirmed for MPGS.
    advice = _matching(_ADVICE, response.get("merchantAdviceCode"))
    return decline(_raw(message, gateway_code(message), issuer), network_code=issuer, network_advice=advice)


def gateway_code(message: Message) -> str | None:
    """MPGS's own word for the outcome, wherever in its raw answer it stands."""
    return Message(_gateway(message)).code("gatewayCode")


def refused_request(status: int, fields: Mapping[str, Any]) -> Decline:
    """Ottu refused a call: over the account (`http_401` and its like), over the token, or over anything else in it."""
    if status in (401, 403, 404):
        return decline(f"http_{status}")
    return decline("http_400:token" if "token" in fields else "http_400")


def field_names(fields: Mapping[str, Any]) -> str:
    """Which fields Ottu found fault with; their texts may hold personal data."""
    names = (name for name in fields if name not in ("detail", "result") and re.fullmatch(r"\w{1,40}", name, re.ASCII))
    return ",".join(sorted(names)[:8])


def _raw(message: Message, gateway: str | None, issuer: str | None) -> str:
    if message.value("token", "is_expired") is True:
        return "token_expired"
    if gateway and gateway not in UNDECIDED:
        return f"{gateway}:{issuer}" if issuer else gateway
    if issuer:
        return issuer
    return "REJECT" if message.param("decision") == "REJECT" else message.result or "failed"


def _gateway(message: Message) -> Mapping[str, Any]:
    """The part of the raw answer with the outcome: nearest to the top, and the last of those (gateways/ottu.md §10.2,
    where an order holds a list of transactions)."""
    level: list[object] = [message.fields.get("gateway_response")]
    for _ in range(_DEPTH):
        found = [each for each in level if isinstance(each, dict) and "gatewayCode" in each]
        if found:
            return found[-1]
        level = [inner for each in level for inner in _within(each)]
    return {}


def _within(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _matching(pattern: re.Pattern[str], value: object) -> str | None:
    return value if isinstance(value, str) and pattern.fullmatch(value) else None
