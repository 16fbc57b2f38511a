"""Examples of answers: one agreement's first months, told by everything that shows it.

They are by the name of the schema, and by operation and status where the usual one would mislead. A test holds each
to its schema, and that every operation has one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agreements.consents import canonical, digest

Json = dict[str, Any]

_AGREEMENT_ID = "agr_01kg8z1q4w8n3s7v5c2x9m6d0e"
_CHARGE_ID = "chg_01kg8z1q4w8n3s7v5c2x9m6d1f"
_PHP_499 = {"currency": "PHP", "value": 49900}
_DUE, _PAID = "2027-02-28T01:00:00Z", "2027-03-05T01:00:02Z"
_OF_THE_CHARGE: Json = {"agreement": _AGREEMENT_ID, "charge": _CHARGE_ID}

TERMS: Json = {
    "type": "recurring",
    "amount": _PHP_499,
    "amount_variability": "fixed",
    "max_amount_per_cycle": None,
    "frequency": "monthly",
    "cycle_interval_days": 25,
    "payment_processing_day": 31,
    "start_date": "2027-01-31",
    "expiry_date": "2028-12-31",
    "total_cycles": 12,
    "timezone": "Asia/Manila",
    "debit_time": "09:00",
    "debit_window_minutes": None,
    "business_days": {"calendar": "PH", "roll": "none"},
    "catch_up": {"within_days": 3, "then": "skip"},
    "seller": {"name": "Example Store", "short_name": "EXSTORE", "category_code": "5968"},
}

CUSTOMER: Json = {
    "id": "cus-7",
    "name": "Ana Cruz",
    "email": "ana@example.com",
    "phone": "+639170000000",
    "region": "PH",
}

CREDENTIAL: Json = {
    "id": "crd_01kg8z2b6t1h9y4n7q3w5k8r0s",
    "kind": "wallet",
    "brand": "GCASH",
    "network": None,
    "last4": None,
    "expiry_month": None,
    "expiry_year": None,
    "marks": [],
    "token_expires_at": "2028-01-31T00:58:00Z",
    "refreshable": True,
    "locked": True,
    "warnings": [],
}

DECLINE: Json = {
    "category": "insufficient_funds",
    "code": "insufficient_funds",
    "raw_code": "USER_BALANCE_NOT_ENOUGH",
    "network_code": None,
    "network_advice": None,
    "message": "The wallet's balance is too low.",
}

DECISION: Json = {
    "action": "retry",
    "at": "2027-03-05T01:00:00Z",
    "act_by": None,
    "rule": "standard/insufficient_funds",
    "rulebook_version": "2026.11.1",
    "budget_left": 3,
    "inputs": {"category": "insufficient_funds", "attempt": 1},
}

AGREEMENT: Json = {
    "id": _AGREEMENT_ID,
    "reference": "sub-1001",
    "status": "active",
    "livemode": False,
    "gateway": "antom",
    "payment_method": {"type": "GCASH"},
    "customer": CUSTOMER,
    "terms": TERMS,
    "retry_policy": "standard",
    "notice": {"days_before": 3, "required": False},
    "return_url": "https://merchant.example/return",
    "test_clock": None,
    "metadata": {"plan": "gold"},
    "authorization": None,
    "credential": CREDENTIAL,
    "action": None,
    "next_charge_at": "2027-03-31T01:00:00Z",
    "current_cycle": 2,
    "totals": {"cycles_paid": 2, "cycles_failed": 0, "amount_paid": {"currency": "PHP", "value": 99800}},
    "revocation": None,
    "created_at": "2027-01-31T00:55:00Z",
    "ended_at": None,
}

_NEW: Json = AGREEMENT | {
    "status": "pending_authorization",
    "authorization": {
        "url": "https://wallet.example/authorize?state=as_7hJ2",
        "expires_at": "2027-01-31T01:25:00Z",
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

_ATTEMPT: Json = {
    "number": 1,
    "gateway_request_id": f"{_AGREEMENT_ID}-c2-a1",
    "by_customer": False,
    "status": "failed",
    "amount": _PHP_499,
    "decline": DECLINE,
    "decision": DECISION,
    "prepared_at": _DUE,
    "sent_at": _DUE,
    "finished_at": "2027-02-28T01:00:02Z",
}

_SECOND_ATTEMPT: Json = _ATTEMPT | {
    "number": 2,
    "gateway_request_id": f"{_AGREEMENT_ID}-c2-a2",
    "status": "succeeded",
    "decline": None,
    "decision": None,
    "prepared_at": "2027-03-05T01:00:00Z",
    "sent_at": "2027-03-05T01:00:00Z",
    "finished_at": _PAID,
}

CHARGE: Json = {
    "id": _CHARGE_ID,
    "agreement": _AGREEMENT_ID,
    "cycle": 2,
    "purpose": "cycle",
    "status": "succeeded",
    "amount": _PHP_499,
    "description": None,
    "due_at": _DUE,
    "next_attempt_at": None,
    "act_by": None,
    "noticed_at": "2027-02-25T01:00:00Z",
    "notice_proven_at": None,
    "carried_to": None,
    "paid_at": _PAID,
    "attempts": [_ATTEMPT, _SECOND_ATTEMPT],
    "refunds": [],
    "created_at": "2027-01-31T00:58:00Z",
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

REFUND: Json = {
    "id": "rfd_01kg8z5n2p7f4j1d8a6g3c9e0k",
    "charge": _CHARGE_ID,
    "origin": "merchant",
    "kind": "refund",
    "gateway_request_id": "rfd_01kg8z5n2p7f4j1d8a6g3c9e0k",
    "status": "pending",
    "amount": {"currency": "PHP", "value": 10000},
    "reason": "late delivery",
    "decline": None,
    "created_at": "2027-03-06T09:00:00Z",
    "finished_at": None,
}

DECLARATION: Json = {
    "id": "dcl_01kg8z5x6y2b9n4v1c7m3k8j0h",
    "charge": _CHARGE_ID,
    "status": "pending",
    "amount": _PHP_499,
    "customs_code": "NINGBO",
    "merchant": {"code": "3302462JAG", "name": "Example Store"},
    "sub_order_id": None,
    "facts": {},
    "decline": None,
    "created_at": "2027-03-06T09:30:00Z",
    "finished_at": None,
}

CARD_CHANGE: Json = {
    "id": "ccr_01kg8z6h3v9w5b2m7t4k1q8x0y",
    "agreement": _AGREEMENT_ID,
    "status": "pending",
    "initiator": "customer",
    "reason": None,
    "charge": None,
    "url": "https://pay.example/card-changes/0pYb4mQ",
    "return_url": None,
    "credential": None,
    "error": None,
    "expires_at": "2027-03-08T09:00:00Z",
    "opened_at": None,
    "finished_at": None,
    "created_at": "2027-03-07T09:00:00Z",
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
    "agreement": _AGREEMENT_ID,
    "merchant": "Example Store",
    "payment_method": "GCASH",
    "reference": "sub-1001",
    "terms": TERMS,
}

MEMBERS: Mapping[str, Any] = {
    "charge": CHARGE,
    "refund": REFUND,
    "declaration": DECLARATION,
    "card_change": CARD_CHANGE,
    "credential": CREDENTIAL,
    "old_credential": CREDENTIAL | {"id": "crd_01kg8z2b6t1h9y4n7q3w5k8r0t", "locked": False},
    "decision": DECISION,
    "decline": DECLINE,
    "reason": "asked for",
    "expires_at": "2028-01-31T00:58:00Z",
    "number": 1,
    "warnings": [{"code": "single_use", "detail": "a card number for a single payment"}],
    "missed_cycles": "drop",
    "changes": [{"pointer": "/terms/amount", "before": _PHP_499, "after": {"currency": "PHP", "value": 39900}}],
    "rules": ["merchants_wish"],
    "proof_needed": False,
}
"""What an event's `data` may hold beside the agreement."""

_EVENT: Json = {
    "id": "evt_01kg8z3v7m2c9x5r0b4t6y8wq1",
    "type": "charge.succeeded",
    "created_at": _PAID,
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
        "agreements": [_AGREEMENT_ID],
        "created_at": "2027-01-31T00:58:00Z",
    },
    "ConsentView": {
        "id": "con_01kg8z2a9s4d7f1g5h8j2k6l0q",
        "agreement": _AGREEMENT_ID,
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
        "amount": _PHP_499,
        "skipped": False,
    },
    "TimelineEntry": {
        "kind": "decision",
        "at": _STORED_DECISION["at"],
        "charge": _CHARGE_ID,
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
    ("create_agreement", "202"): _NEW | {"authorization": {"url": None, "expires_at": None, "error": None}},
    ("pause_agreement", "200"): AGREEMENT | {"status": "paused", "next_charge_at": None},
    ("revoke_agreement", "200"): _REVOKED,
    ("set_agreement_cycle", "200"): _COMING | {"amount": {"currency": "PHP", "value": 39900}},
    ("create_agreement_charge", "201"): _ON_DEMAND,
    ("create_agreement_charge", "200"): CHARGE
    | {"status": "retrying", "next_attempt_at": "2027-03-02T10:00:00Z", "paid_at": None, "attempts": [_ATTEMPT]},
    ("cancel_charge", "200"): _COMING | {"status": "canceled"},
    ("advance_test_clock", "202"): _CLOCK | {"status": "advancing"},
    ("check_health", "200"): {"status": "ok"},
    ("check_readiness", "503"): {"status": "away", "postgresql": "ok", "temporal": "away"},
}
"""Where the usual example would mislead, by operation and status."""
