"""Which problems an operation may answer with: most follow from its shape, the others are named here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from api.problems import KINDS, MEDIA_TYPE, Problem, ProblemDocument, document, invalid

_OWN: Mapping[str, tuple[str, ...]] = {
    "create_agreement": ("reference_taken",),
    "update_agreement": ("state_conflict", "new_authorization_needed"),
    "pause_agreement": ("state_conflict",),
    "resume_agreement": ("state_conflict",),
    "revoke_agreement": ("state_conflict",),
    "set_agreement_cycle": ("state_conflict", "new_authorization_needed"),
    "create_agreement_charge": ("state_conflict",),
    "create_agreement_card_change": ("state_conflict",),
    "create_agreement_portal_link": ("state_conflict",),
    "create_charge_refund": ("state_conflict",),
    "create_charge_declaration": ("state_conflict",),
    "cancel_charge": ("state_conflict",),
    "delete_customer_credential": ("invalid_request", "credential_in_use"),
    "rotate_webhook_endpoint_secret": ("state_conflict",),
    "create_test_clock": ("test_mode_only",),
    "advance_test_clock": ("test_mode_only", "clock_advancing"),
}
"""What only the state of things can tell, by operation."""

_BODY = ("malformed_json", "body_too_large", "unsupported_media_type", "invalid_request")
_STARRED = (
    "idempotency_key_missing",
    "idempotency_key_invalid",
    "idempotency_key_in_use",
    "idempotency_key_reused",
)
_ADDRESS = "https://pay.example"
"""Of the examples."""

_OF_EVERY_KEY = ("unauthorized", "not_acceptable", "rate_limited", "unavailable")

_HEADERS: Mapping[str, Mapping[str, str]] = {
    "401": {"WWW-Authenticate": "The scheme to use: Bearer."},
    "409": {"Retry-After": "With `idempotency_key_in_use`: after how many seconds to repeat the call."},
    "429": {
        "Retry-After": "After how many seconds to repeat the call.",
        "RateLimit-Policy": "The limit: `q` requests in `w` seconds.",
        "RateLimit": "What is left of it: `r` requests now, one more in `t` seconds.",
    },
    "503": {"Retry-After": "After how many seconds to repeat the call."},
}


def codes(operation_id: str, path: str, operation: Mapping[str, Any]) -> list[str]:
    """The codes of every problem this operation may answer with, in the order of `KINDS`."""
    parameters = operation.get("parameters", [])
    found = {"internal_error", *_OWN.get(operation_id, ())}
    if "security" in operation:
        found.update(_OF_EVERY_KEY)
    if "{" in path:
        found.add("not_found")
    if any(_may_be_wrong(parameter) for parameter in parameters):
        found.add("invalid_request")
    if "requestBody" in operation:
        found.update(_BODY)
    if any(parameter["name"] == "Idempotency-Key" for parameter in parameters):
        found.update(_STARRED)
    return [code for code in KINDS if code in found]


def responses(found: Iterable[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The `responses` of an operation that may answer with these codes, and the components they refer to."""
    by_status: dict[str, list[str]] = {}
    for code in found:
        by_status.setdefault(str(KINDS[code].status), []).append(code)
    components = {"-".join((status, *names)): _response(status, names) for status, names in by_status.items()}
    references = {
        status: {"$ref": f"#/components/responses/{name}"} for status, name in zip(by_status, components, strict=True)
    }
    return references, components


def _may_be_wrong(parameter: Mapping[str, Any]) -> bool:
    """Whatever a path's text is, it names something or nothing; every other parameter has rules."""
    where = str(parameter["in"])
    return where == "query" or (where == "path" and bool(parameter["schema"].get("type") != "string"))


def _response(status: str, names: list[str]) -> dict[str, Any]:
    said = [f"* [`{name}`](problems/{name}): {KINDS[name].title}. {KINDS[name].next}" for name in names]
    response: dict[str, Any] = {
        "description": "\n".join(said),
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": f"#/components/schemas/{ProblemDocument.__name__}"},
                "examples": {name: {"summary": KINDS[name].title, "value": _example(name)} for name in names},
            }
        },
    }
    if headers := _HEADERS.get(status):
        response["headers"] = {
            name: {"description": text, "schema": {"type": "string"}} for name, text in headers.items()
        }
    return response


def _example(code: str) -> dict[str, Any]:
    if code == "invalid_request":
        return document(invalid("/amount/value", "input should be greater than 0"), _ADDRESS)
    title = KINDS[code].title
    return document(Problem(code, title[:1].lower() + title[1:]), _ADDRESS)
