"""Every event type there is: when it happens, and what its `data` holds beside the agreement.

The one list of event types; the description's webhooks, the reference page and the check of an endpoint's
`event_types` are made from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from api.description import examples


class EventKind(NamedTuple):
    """One type of event: when it happens, what `data` always holds, and what it may hold."""

    happens: str
    holds: tuple[str, ...] = ()
    may_hold: tuple[str, ...] = ()


EVENTS: Mapping[str, EventKind] = {
    "agreement.authorization_requested": EventKind("The provider's page is ready for the customer."),
    "agreement.authorized": EventKind("The customer agreed; `warnings` say what may end it early.", ("warnings",)),
    "agreement.activated": EventKind("Debits can be made from now on."),
    "agreement.past_due": EventKind("A cycle is unpaid after its due instant and is not written off."),
    "agreement.action_required": EventKind("The customer must act; `agreement.action` says what and until when."),
    "agreement.paused": EventKind("No debit is made until the agreement is resumed.", ("reason",)),
    "agreement.resumed": EventKind("Debits go on.", ("missed_cycles",)),
    "agreement.amended": EventKind("Terms, retry policy or metadata were changed.", ("changes",)),
    "agreement.completed": EventKind("Every cycle is paid, failed or skipped: the agreement has ended."),
    "agreement.expired": EventKind("The expiry date has passed: the agreement has ended."),
    "agreement.revoked": EventKind("Merchant, customer or provider ended the agreement; no debit can start any more."),
    "agreement.authorization_failed": EventKind("There is no consent and none will come: the end.", ("reason",)),
    "cycle.upcoming": EventKind(
        "A debit is coming of which the payer is to be told; `rules` say why.", ("charge", "rules", "proof_needed")
    ),
    "cycle.skipped": EventKind("A cycle passes uncollected.", ("charge", "reason")),
    "charge.succeeded": EventKind("A charge was collected.", ("charge",)),
    "charge.failed": EventKind(
        "A charge was given up; its agreement may go on.", ("charge",), ("decline", "decision", "reason")
    ),
    "charge.retry_scheduled": EventKind(
        "A charge is tried again at `charge.next_attempt_at`, after a decline or because somebody asked for it.",
        ("charge", "decision"),
        ("decline",),
    ),
    "charge.action_required": EventKind(
        "A charge waits for the customer until `charge.act_by`.", ("charge",), ("decline", "decision", "reason")
    ),
    "charge.unknown": EventKind(
        "The outcome of a debit is not known. The provider is asked until it is; with a `decision` a person has to.",
        ("charge",),
        ("decision",),
    ),
    "charge.canceled": EventKind("Nobody owes a charge any more.", ("charge",), ("reason",)),
    "charge.reversed": EventKind("A debit that was not to be kept was undone.", ("charge",)),
    "refund.succeeded": EventKind("Money went back.", ("charge", "refund")),
    "refund.failed": EventKind("Money did not go back, or came back to us.", ("charge", "refund")),
    "declaration.succeeded": EventKind("Customs took a payment's declaration.", ("charge", "declaration")),
    "declaration.failed": EventKind("The provider or customs refused a declaration.", ("charge", "declaration")),
    "declaration.unresolved": EventKind(
        "A month without a final word about a declaration: a person has to look.", ("charge", "declaration")
    ),
    "credential.refreshed": EventKind("The payment token was replaced ahead of its expiry."),
    "credential.refresh_failed": EventKind("The payment token could not be replaced.", ("decline",)),
    "credential.expiring": EventKind(
        "A card or token runs out soon, and only the customer can replace it.", ("credential", "expires_at")
    ),
    "card_change.requested": EventKind("A link was made by which the customer gives another card.", ("card_change",)),
    "card_change.reminder": EventKind(
        "A link was not used yet; tell the customer again. Not where they asked for it.", ("card_change", "number")
    ),
    "card_change.completed": EventKind(
        "The new credential is in use, and the old one is not; `warnings` are of the new one.",
        ("card_change", "credential", "old_credential", "warnings"),
    ),
    "card_change.failed": EventKind("The provider refused; the old credential stays.", ("card_change", "decline")),
    "card_change.expired": EventKind("The link can no longer be used.", ("card_change", "reason")),
}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


_OR_NULL = {"type": "null"}
_CHANGE = {
    "type": "object",
    "required": ["pointer", "before", "after"],
    "properties": {"pointer": {"type": "string"}, "before": {}, "after": {}},
}
_MEMBERS: Mapping[str, dict[str, Any]] = {
    "agreement": _ref("AgreementView"),
    "charge": _ref("ChargeView"),
    "refund": _ref("RefundView"),
    "declaration": _ref("DeclarationView"),
    "card_change": _ref("CardChangeView"),
    "credential": _ref("CredentialView"),
    "old_credential": _ref("CredentialView"),
    "expires_at": {"type": "string", "format": "date-time", "description": "Of a card the end of its month."},
    "number": {"type": "integer", "minimum": 1, "description": "Which reminder of the link this is."},
    "warnings": {"type": "array", "items": _ref("CredentialWarning")},
    "decision": _ref("Decision"),
    "decline": {"anyOf": [_ref("Decline"), _OR_NULL]},
    "reason": {"type": ["string", "null"]},
    "missed_cycles": _ref("MissedCycles"),
    "changes": {"type": "array", "items": _CHANGE, "description": "`pointer` is a JSON pointer into the agreement."},
    "rules": {"type": "array", "items": {"type": "string"}},
    "proof_needed": {"type": "boolean", "description": "No debit before `notified_at` of the cycle is set."},
}
_HEADERS = {
    "webhook-id": "The event's id, the same in every attempt.",
    "webhook-timestamp": "When this attempt was sent, in seconds since 1970.",
    "webhook-signature": "`v1,` and the base64 HMAC-SHA256 of `{id}.{timestamp}.{body}`, one for each valid secret.",
}
_ANSWERS = {
    "2XX": {"description": "Received. Answer within 15 seconds and do the work afterwards."},
    "410": {"description": "Never send this event again."},
    "default": {"description": "Anything else, and no answer within 15 seconds: it is sent again, 14 times in 7 days."},
}


def schema(type_: str) -> dict[str, Any]:
    """What an event of this type looks like. `data` may gain members; treat those you do not know as absent."""
    kind = EVENTS[type_]
    members = ("agreement", *kind.holds, *kind.may_hold)
    data = {
        "type": "object",
        "required": ["agreement", *kind.holds],
        "properties": {name: _MEMBERS[name] for name in members},
    }
    properties = {
        "id": {"type": "string", "description": "The same in the feed, in every delivery and in every repeat."},
        "type": {"const": type_},
        "created_at": {"type": "string", "format": "date-time", "description": "In the agreement's own time."},
        "sequence": {"type": "integer", "minimum": 1, "description": "Counts an agreement's events without gaps."},
        "livemode": {"type": "boolean"},
        "data": data,
    }
    return {"type": "object", "required": list(properties), "properties": properties, "description": kind.happens}


def webhooks() -> tuple[dict[str, Any], dict[str, Any]]:
    """The description's `webhooks`, and the schemas they refer to."""
    schemas = {_component(type_): schema(type_) for type_ in EVENTS}
    return {type_: {"post": _webhook(type_)} for type_ in EVENTS}, schemas


def example(type_: str) -> dict[str, Any]:
    """An event of this type, as it arrives."""
    kind = EVENTS[type_]
    data = {"agreement": examples.AGREEMENT} | {name: examples.MEMBERS[name] for name in kind.holds}
    return {
        "id": "evt_01kg8z3v7m2c9x5r0b4t6y8wq1",
        "type": type_,
        "created_at": "2027-02-28T01:00:02Z",
        "sequence": 7,
        "livemode": False,
        "data": data,
    }


def _webhook(type_: str) -> dict[str, Any]:
    return {
        "tags": ["webhooks"],
        "operationId": "on_" + type_.replace(".", "_"),
        "summary": type_,
        "description": EVENTS[type_].happens,
        "parameters": list(_headers()),
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": _ref(_component(type_)),
                    "examples": {"example": {"value": example(type_)}},
                }
            },
        },
        "responses": _ANSWERS,
    }


def _headers() -> Iterator[dict[str, Any]]:
    for name, text in _HEADERS.items():
        yield {"name": name, "in": "header", "required": True, "description": text, "schema": {"type": "string"}}


def _component(type_: str) -> str:
    """`agreement.past_due` becomes `AgreementPastDueEvent`."""
    return "".join(word.capitalize() for word in type_.replace(".", "_").split("_")) + "Event"
