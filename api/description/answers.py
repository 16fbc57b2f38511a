"""Examples of answers, by the name of the schema, and by operation and status where the usual one would mislead."""

from __future__ import annotations

from collections.abc import Mapping

from agreements.consents import canonical, digest
from api.description.examples import (
    AGREEMENT,
    AGREEMENT_ID,
    ATTEMPT,
    CARD_CHANGE,
    CHARGE,
    CHARGE_ID,
    CREDENTIAL,
    DECISION,
    DECLARATION,
    PAID,
    PHP_499,
    REFUND,
    TERMS,
    Json,
)

_NEW: Json = AGREEMENT | {
    "status": "pending_authorization",
    "authorization": {
        "url": "https://wallet.example/authorize?state=as_7hJ2",
        "expires_at": "2027-01-31T01:25:00Z",
        "payment": None,
        "error": None,
    },
    "credential": None,
    "next_charge_at": None,
    "current_cycle": 0,
    "totals": {"cycles_paid": 0, "cycles_failed": 0, "amount_paid": {"currency": "PHP", "value": 0}},
}

_REVOKED: Json = AGREEMENT | {
    "status": "revoked",
    "credential": CREDENTIAL | {"locked": False},
    "next_charge_at": None,
    "revocation": {
        "requested_at": "2027-03-10T08:30:00Z",
        "initiator": "customer",
        "reason": "moved away",
        "provider_status": "pending",
    },
    "ended_at": "2027-03-10T08:30:00Z",
}

_COMING: Json = CHARGE | {
    "id": "chg_01kg8z1q4w8n3s7v5c2x9m6d2g",
    "cycle": 3,
    "status": "scheduled",
    "due_at": "2027-03-31T01:00:00Z",
    "noticed_at": None,
    "paid_at": None,
    "attempts": [],
}

_ON_DEMAND: Json = _COMING | {
    "id": "chg_01kg8z1q4w8n3s7v5c2x9m6d3h",
    "cycle": None,
    "purpose": "on_demand",
    "description": "Extra parcel",
    "due_at": "2027-03-06T10:00:00Z",
    "next_attempt_at": "2027-03-06T10:00:00Z",
}

_STORED_DECISION: Json = {
    "at": "2027-02-28T01:00:02Z",
    "action": "retry",
    "chosen_at": DECISION["at"],
    "rule": DECISION["rule"],
    "rulebook_version": DECISION["rulebook_version"],
    "budget_left": DECISION["budget_left"],
    "inputs": DECISION["inputs"],
}

_ENDPOINT: Json = {
    "id": "whe_01kg8z0d8r3s6f1g4h7j2k5l9z",
    "url": "https://shop.example/webhooks",
    "event_types": ["*"],
    "description": "the shop",
    "livemode": False,
    "status": "enabled",
    "disabled_at": None,
    "disabled_reason": None,
    "failing_since": None,
    "waiting": 0,
    "created_at": "2027-01-30T09:00:00Z",
}

_DELIVERY: Json = {
    "id": "dlv_01kg8z4a1n6d3y8s2c5v7x9wq0",
    "event": "evt_01kg8z3v7m2c9x5r0b4t6y8wq1",
    "type": "charge.succeeded",
    "endpoint": "whe_01kg8z0d8r3s6f1g4h7j2k5l9z",
    "status": "delivered",
    "next_attempt_at": None,
    "finished_at": "2027-02-28T01:00:08.312Z",
    "created_at": "2027-02-28T01:00:02.518Z",
    "attempts": 2,
    "log": [
        {
            "number": 1,
            "at": "2027-02-28T01:00:02.601Z",
            "status": 502,
            "error": "HTTP 502",
            "latency_ms": 840,
            "answer": "<html><head><title>502 Bad Gateway</title></head>",
        },
        {
            "number": 2,
            "at": "2027-02-28T01:00:08.140Z",
            "status": 204,
            "error": None,
            "latency_ms": 172,
            "answer": None,
        },
    ],
}

_CLOCK: Json = {"id": "clk_01kg8yzc5x2v7b4n1m9q3w6e8r", "now": "2027-01-30T16:00:00Z", "status": "ready"}

_TEXT = "I agree that Example Store debits PHP 499.00 from my GCash account on the last day of each month."

_SHOWN: Json = {
    "agreement": AGREEMENT_ID,
    "merchant": "Example Store",
    "payment_method": "GCASH",
    "reference": "sub-1001",
    "terms": TERMS,
}

_EVENT: Json = {
    "id": "evt_01kg8z3v7m2c9x5r0b4t6y8wq1",
    "type": "charge.succeeded",
    "created_at": PAID,
    "sequence": 7,
    "livemode": False,
    "data": {"agreement": AGREEMENT, "charge": CHARGE},
}

ANSWERS: Mapping[str, Json] = {
    "AgreementView": AGREEMENT,
    "ChargeView": CHARGE,
    "ChargeDetail": CHARGE | {"decisions": [_STORED_DECISION]},
    "RefundView": REFUND,
    "DeclarationView": DECLARATION,
    "PortalLinkView": {
        "id": "ptl_01kg8z6q1d4g7h2j9k5m8n3p0r",
        "url": "https://pay.example/portal/3vQ7xKd",
        "expires_at": "2027-03-08T09:00:00Z",
    },
    "CardChangeView": CARD_CHANGE,
    "CredentialView": CREDENTIAL,
    "SavedCredentialView": CREDENTIAL
    | {
        "gateway": "antom",
        "payment_method": {"type": "GCASH"},
        "status": "active",
        "agreements": [AGREEMENT_ID],
        "created_at": "2027-01-31T00:58:00Z",
    },
    "ConsentView": {
        "id": "con_01kg8z2a9s4d7f1g5h8j2k6l0q",
        "agreement": AGREEMENT_ID,
        "how": "provider_page",
        "asked_at": "2027-01-31T00:55:00Z",
        "given_at": "2027-01-31T00:58:00Z",
        "shown": _SHOWN,
        "shown_hash": digest(canonical(_SHOWN)),
        "text": _TEXT,
        "text_hash": digest(_TEXT),
        "sightings": [
            {
                "where": "merchant",
                "at": "2027-01-31T00:54:00Z",
                "ip": "203.0.113.9",
                "user_agent": "Mozilla/5.0",
                "locale": "en-PH",
            }
        ],
        "authorization": "aut_01kg8z2a9s4d7f1g5h8j2k6l0r",
        "card_change": None,
        "credential": CREDENTIAL,
    },
    "EventView": _EVENT,
    "ScheduledCycle": {
        "cycle": 3,
        "date": "2027-03-31",
        "due_at": "2027-03-31T01:00:00Z",
        "rules": [],
        "calendar": None,
        "amount": PHP_499,
        "skipped": False,
    },
    "TimelineEntry": {
        "kind": "decision",
        "at": _STORED_DECISION["at"],
        "charge": CHARGE_ID,
        "cycle": 2,
        "event": None,
        "type": None,
        "sequence": None,
        "details": None,
        "decision": _STORED_DECISION,
    },
    "WebhookEndpointView": _ENDPOINT,
    "DeliveryView": _DELIVERY,
    "WebhookEndpointWithSecret": _ENDPOINT | {"secret": "whsec_bm90IGEgc2VjcmV0LCBqdXN0IGFuIGV4YW1wbGU="},
    "TestClockView": _CLOCK,
    "PaymentMethodView": {
        "gateway": "antom",
        "type": "GCASH",
        "name": "GCash",
        "region": "PH",
        "currency": "PHP",
        "minimum": 100,
        "multiple_of": 1,
        "limits": [{"value": 10000000, "per": "day"}],
        "refreshable": True,
        "refresh_days": 10,
        "refund_days": 365,
        "verification": None,
        "customs": False,
        "availability": "available",
        "note": None,
    },
    "Readiness": {"status": "ok", "postgresql": "ok", "temporal": "ok"},
}
"""By the name of the schema; pages of a list are made from their entries'."""

OF_OPERATIONS: Mapping[tuple[str, str], Json] = {
    ("create_agreement", "201"): _NEW,
    ("create_agreement", "202"): _NEW | {"authorization": dict.fromkeys(("url", "expires_at", "payment", "error"))},
    ("pause_agreement", "200"): AGREEMENT | {"status": "paused", "next_charge_at": None},
    ("revoke_agreement", "200"): _REVOKED,
    ("set_agreement_cycle", "200"): _COMING | {"amount": {"currency": "PHP", "value": 39900}},
    ("create_agreement_charge", "201"): _ON_DEMAND,
    ("create_agreement_charge", "200"): CHARGE
    | {"status": "retrying", "next_attempt_at": "2027-03-02T10:00:00Z", "paid_at": None, "attempts": [ATTEMPT]},
    ("cancel_charge", "200"): _COMING | {"status": "canceled"},
    ("advance_test_clock", "202"): _CLOCK | {"status": "advancing"},
    ("check_health", "200"): {"status": "ok"},
    ("check_readiness", "503"): {"status": "away", "postgresql": "ok", "temporal": "away"},
}
"""Where the usual example would mislead, by operation and status."""
