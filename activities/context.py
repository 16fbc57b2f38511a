"""Every line an activity logs says whose it is: the ids it was given, and which activity it was."""

from __future__ import annotations

from typing import Any

import structlog
from opentelemetry import trace
from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

_NAMED = {
    "agreement_id": "agreement",
    "refund_id": "refund",
    "declaration_id": "declaration",
    "notification_id": "notification",
    "delivery_id": "delivery",
    "clock_id": "clock",
}
"""Fields of the shapes in `activities/contract.py`, and what lines call them."""
_SUBJECTS = {"chg": "charge", "att": "attempt", "rfd": "refund", "crd": "credential", "ccr": "card_change"}
"""What a step is about, by the prefix of its id."""


class LogContext(Interceptor):
    """Binds the ids to the log, and puts them on the activity's span."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        return _Bound(next)


class _Bound(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        found = {key: value for given in input.args for key, value in named(given).items()}
        trace.get_current_span().set_attributes({f"autodebit.{key}": value for key, value in found.items()})
        with structlog.contextvars.bound_contextvars(activity=activity.info().activity_type, **found):
            return await super().execute_activity(input)


def named(given: object) -> dict[str, str]:
    """The ids in what an activity was given. Only ids: what else there is stays out of logs and traces."""
    found = {short: getattr(given, field) for field, short in _NAMED.items() if getattr(given, field, None)}
    subject = getattr(given, "subject", "")
    kind = _SUBJECTS.get(subject[:3]) if isinstance(subject, str) else None
    return found | ({kind: subject} if kind else {})
