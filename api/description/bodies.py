"""Examples of request bodies, by the name of the schema: a few words, and the body they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.description.examples import CUSTOMER, TERMS

_ENDPOINT = {"url": "https://shop.example/webhooks", "event_types": ["*"], "description": "the shop"}

BODIES: Mapping[str, Mapping[str, dict[str, Any]]] = {
    "AgreementBody": {
        "A subscription, monthly on the last day": {
            "reference": "sub-1001",
            "gateway": "antom",
            "payment_method": {"type": "GCASH"},
            "customer": CUSTOMER,
            "terms": TERMS,
            "retry_policy": "standard",
            "notice": {"days_before": 3},
            "return_url": "https://merchant.example/return",
            "metadata": {"plan": "gold"},
        },
        "On demand, up to PHP 2,000.00 a time": {
            "reference": "rides-7",
            "gateway": "antom",
            "payment_method": {"type": "GCASH"},
            "customer": {"id": "cus-7"},
            "terms": {
                "type": "unscheduled",
                "frequency": "irregular",
                "amount_variability": "variable",
                "amount": {"currency": "PHP", "value": 15000},
                "max_amount_per_cycle": 200000,
                "timezone": "Asia/Manila",
            },
            "return_url": "https://merchant.example/return",
        },
    },
    "AmendBody": {
        "A lower price": {"terms": {"amount": {"currency": "PHP", "value": 39900}}},
        "Another retry policy, and a name taken away": {"retry_policy": "gentle", "metadata": {"plan": None}},
    },
    "PauseBody": {"Nothing to say": {}},
    "ResumeBody": {"Let what was missed go": {"missed_cycles": "drop"}, "Collect it": {"missed_cycles": "collect"}},
    "RevokeBody": {"The customer left": {"initiator": "customer", "reason": "moved away"}},
    "CycleBody": {
        "An amount of its own": {"amount": {"currency": "PHP", "value": 39900}},
        "Skip it": {"skip": True},
        "The payer was told": {"notified_at": "2027-02-25T08:00:00Z"},
    },
    "ChargeBody": {
        "An amount on demand": {"amount": {"currency": "PHP", "value": 12000}, "description": "Extra parcel"},
        "An overdue cycle, now": {"cycle": 2},
        "An overdue charge, now": {"charge": "chg_01kg8z1q4w8n3s7v5c2x9m6d1f"},
    },
    "CardChangeBody": {
        "The customer asked for it": {"initiator": "customer", "return_url": "https://merchant.example/account"}
    },
    "PortalLinkBody": {
        "For an hour, in Arabic": {
            "return_url": "https://merchant.example/account",
            "expires_in": 3600,
            "locale": "ar",
        }
    },
    "DeclarationBody": {
        "The whole payment": {
            "customs_code": "NINGBO",
            "merchant_customs_code": "3302462JAG",
            "merchant_customs_name": "Example Store",
        },
        "A part, with the buyer": {
            "amount": {"currency": "PHP", "value": 20000},
            "customs_code": "NINGBO",
            "merchant_customs_code": "3302462JAG",
            "merchant_customs_name": "Example Store",
            "sub_order_id": "parcel-1",
            "buyer": {"certificate_number": "000000000000000000", "name": "Ana Cruz"},
        },
    },
    "RefundBody": {
        "A part": {"amount": {"currency": "PHP", "value": 10000}, "reason": "late delivery"},
        "All that is left": {"reason": "sent back"},
    },
    "CancelBody": {"Nothing to say": {}},
    "RedeliverBody": {"To all": {}, "To one": {"endpoint": "whe_01kg8z0d8r3s6f1g4h7j2k5l9z"}},
    "RotationBody": {"Within an hour": {"overlap": 3600}, "After a leak": {"overlap": 0}},
    "WebhookEndpointChange": {
        "Another address": {"url": "https://shop.example/hooks/autodebit"},
        "Nothing for now": {"disabled": True},
        "Everything missed, and on": {"disabled": False},
    },
    "WebhookEndpointBody": {
        "Everything": _ENDPOINT,
        "Money only": _ENDPOINT | {"event_types": ["charge.succeeded", "charge.failed", "refund.succeeded"]},
    },
    "TestClockBody": {"Before the first cycle": {"now": "2027-01-30T16:00:00Z"}},
    "AdvanceBody": {"To the next cycle": {"to": "2027-02-28T12:00:00Z"}},
}
