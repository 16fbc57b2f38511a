"""The engine's own metrics, as Prometheus knows them. docs/observability.md lists them; a test keeps the two alike.

One registry per process, apart from the library's global one: nothing gets in that is not named here. Labels only ever
take words of a bounded vocabulary, never an id of an agreement, a merchant or a customer.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

from agreements.invariants import Invariant

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

_CALLS = (0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 12, 15)
"""Seconds. Providers take tenths of a second to seconds; time-outs are 12 s, a call of two requests at most 15 s."""
_REQUESTS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Seconds. Reads take milliseconds; creating an agreement waits up to 5 s for the provider's page."""

SENT = Counter(
    "autodebit_attempts_sent",
    "Debits committed as sent, each just before the provider was called.",
    ("gateway", "mode"),
    registry=REGISTRY,
)
UNKNOWN = Counter(
    "autodebit_attempts_unknown",
    "Attempts that came to be unknown: no trustworthy answer, to be asked about.",
    ("gateway", "mode"),
    registry=REGISTRY,
)
ATTEMPTS = Counter(
    "autodebit_attempts",
    "Attempts that came to an end, by how; `decline` is the category of a refusal, else `none`.",
    ("gateway", "mode", "outcome", "decline"),
    registry=REGISTRY,
)
CHARGES = Counter(
    "autodebit_charges",
    "Charges that came to an end, by how; one that failed and is collected later counts again as succeeded.",
    ("gateway", "mode", "purpose", "outcome", "decline"),
    registry=REGISTRY,
)
DECISIONS = Counter(
    "autodebit_decisions",
    "Decisions about charges: retry, give_up, needs_customer, needs_new_card, revoke, operator; and stop and go.",
    ("gateway", "mode", "action", "rule"),
    registry=REGISTRY,
)
REFUNDS = Counter(
    "autodebit_refunds",
    "Refunds and cancels that came to an end, by who wanted them and how they ended.",
    ("gateway", "mode", "origin", "outcome"),
    registry=REGISTRY,
)
AUTHORIZATIONS = Counter(
    "autodebit_authorizations",
    "Requests for a customer's consent, by the status they came to.",
    ("gateway", "mode", "status"),
    registry=REGISTRY,
)
REFRESHES = Counter(
    "autodebit_credential_refreshes",
    "Refreshes of payment tokens: succeeded, or failed for good.",
    ("gateway", "mode", "outcome"),
    registry=REGISTRY,
)
EVENTS = Counter("autodebit_events", "Events committed, by type.", ("type", "mode"), registry=REGISTRY)
NOTIFICATIONS = Counter(
    "autodebit_notifications",
    "Messages of providers and customers' browsers, by what was made of them; `settled` ones were `signalled` before.",
    ("gateway", "source", "result"),
    registry=REGISTRY,
)
WEBHOOKS = Counter(
    "autodebit_webhook_attempts",
    "Attempts to deliver a webhook: delivered, refused (an answer other than 2xx) or failed (no answer).",
    ("result",),
    registry=REGISTRY,
)
WEBHOOK_SECONDS = Histogram(
    "autodebit_webhook_attempt_duration_seconds",
    "How long receivers took, until answer or failure.",
    ("result",),
    buckets=_CALLS,
    registry=REGISTRY,
)
GATEWAY_SECONDS = Histogram(
    "autodebit_gateway_call_duration_seconds",
    "Calls to providers, by the verdict of their answer; `error` is a fault of ours.",
    ("gateway", "mode", "operation", "outcome"),
    buckets=_CALLS,
    registry=REGISTRY,
)
REQUEST_SECONDS = Histogram(
    "autodebit_http_request_duration_seconds",
    "Requests to the API, by the template of their route; `none` where there is no such route.",
    ("method", "route", "status"),
    buckets=_REQUESTS,
    registry=REGISTRY,
)
VIOLATIONS = Counter(
    "autodebit_invariant_violations",
    "Violations of an invariant that the background audit came upon for the first time.",
    ("invariant",),
    registry=REGISTRY,
)
AUDITED = Counter("autodebit_audited_agreements", "Agreements the background audit looked at.", registry=REGISTRY)
SETTLEMENT_DIFFERENCES = Counter(
    "autodebit_settlement_differences",
    "Differences between providers' settlement files and the ledger that were found for the first time.",
    ("gateway", "reason"),
    registry=REGISTRY,
)

# An increase is only seen by Prometheus where there was a value before.
for _invariant in Invariant:
    VIOLATIONS.labels(_invariant.value)


def mode(livemode: bool) -> str:
    """The label's word."""
    return "live" if livemode else "test"
