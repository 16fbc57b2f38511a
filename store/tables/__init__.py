"""The tables. Every process sees them through this module."""

from store.tables.agreements import Agreement, Authorization, CardChange, Credential
from store.tables.audits import AuditFinding, AuditMark
from store.tables.charges import Attempt, Charge, DecisionRecord, Refund
from store.tables.consents import Consent
from store.tables.declarations import Declaration
from store.tables.events import Event, IdempotencyKey, Notification
from store.tables.merchants import ApiKey, GatewayAccount, Merchant, TestClock
from store.tables.portal import PortalLink
from store.tables.reconciliation import SettlementDifference, SettlementFile, SettlementRow
from store.tables.stops import StopSwitch
from store.tables.trail import TrailEntry
from store.tables.webhooks import Delivery, DeliveryAttempt, RetiredSecret, WebhookEndpoint

__all__ = [
    "Agreement",
    "ApiKey",
    "Attempt",
    "AuditFinding",
    "AuditMark",
    "Authorization",
    "CardChange",
    "Charge",
    "Consent",
    "Credential",
    "DecisionRecord",
    "Declaration",
    "Delivery",
    "DeliveryAttempt",
    "Event",
    "GatewayAccount",
    "IdempotencyKey",
    "Merchant",
    "Notification",
    "PortalLink",
    "Refund",
    "RetiredSecret",
    "SettlementDifference",
    "SettlementFile",
    "SettlementRow",
    "StopSwitch",
    "TestClock",
    "TrailEntry",
    "WebhookEndpoint",
]
