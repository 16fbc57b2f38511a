"""Examples of what answers and events hold: one agreement's first months, told by everything that shows it.

A test holds each to its schema, and that every operation has one (`api/description/answers.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]

AGREEMENT_ID = "agr_01kg8z1q4w8n3s7v5c2x9m6d0e"

CHARGE_ID = "chg_01kg8z1q4w8n3s7v5c2x9m6d1f"

PHP_499 = {"currency": "PHP", "value": 49900}

DUE, PAID = "2027-02-28T01:00:00Z", "2027-03-05T01:00:02Z"

TERMS: Json = {
    "type": "recurring",
    "amount": PHP_499,
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
    "id": AGREEMENT_ID,
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

ATTEMPT: Json = {
    "number": 1,
    "gateway_request_id": f"{AGREEMENT_ID}-c2-a1",
    "by_customer": False,
    "status": "failed",
    "amount": PHP_499,
    "decline": DECLINE,
    "decision": DECISION,
    "prepared_at": DUE,
    "sent_at": DUE,
    "finished_at": "2027-02-28T01:00:02Z",
}

_SECOND_ATTEMPT: Json = ATTEMPT | {
    "number": 2,
    "gateway_request_id": f"{AGREEMENT_ID}-c2-a2",
    "status": "succeeded",
    "decline": None,
    "decision": None,
    "prepared_at": "2027-03-05T01:00:00Z",
    "sent_at": "2027-03-05T01:00:00Z",
    "finished_at": PAID,
}

CHARGE: Json = {
    "id": CHARGE_ID,
    "agreement": AGREEMENT_ID,
    "cycle": 2,
    "purpose": "cycle",
    "status": "succeeded",
    "amount": PHP_499,
    "description": None,
    "due_at": DUE,
    "next_attempt_at": None,
    "act_by": None,
    "noticed_at": "2027-02-25T01:00:00Z",
    "notice_proven_at": None,
    "carried_to": None,
    "paid_at": PAID,
    "attempts": [ATTEMPT, _SECOND_ATTEMPT],
    "refunds": [],
    "created_at": "2027-01-31T00:58:00Z",
}

REFUND: Json = {
    "id": "rfd_01kg8z5n2p7f4j1d8a6g3c9e0k",
    "charge": CHARGE_ID,
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
    "charge": CHARGE_ID,
    "status": "pending",
    "amount": PHP_499,
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
    "agreement": AGREEMENT_ID,
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
    "changes": [{"pointer": "/terms/amount", "before": PHP_499, "after": {"currency": "PHP", "value": 39900}}],
    "rules": ["merchants_wish"],
    "proof_needed": False,
}
"""What an event's `data` may hold beside the agreement."""
