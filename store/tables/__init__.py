"""The tables. Every process sees them through this module."""

from store.tables.agreements import Agreement, Authorization, CardChange, Credential
from store.tables.charges import Attempt, Charge, DecisionRecord, Refund
from store.tables.events import Delivery, Event, IdempotencyKey, Notification, WebhookEndpoint
from store.tables.merchants import ApiKey, GatewayAccount, Merchant, TestClock
from store.tables.portal import PortalLink
from store.tables.trail import TrailEntry

__all__ = [
    "Agreement",
    "ApiKey",
    "Attempt",
    "Authorization",
    "CardChange",
    "Charge",
    "Credential",
    "DecisionRecord",
    "Delivery",
    "Event",
    "GatewayAccount",
    "IdempotencyKey",
    "Merchant",
    "Notification",
    "PortalLink",
    "Refund",
    "TestClock",
    "TrailEntry",
    "WebhookEndpoint",
]
