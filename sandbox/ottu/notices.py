"""Ottu's webhooks: where they go, how they travel, what counts as delivered (gateways/ottu.md §7)."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import httpx
from sqlalchemy.orm import Session

from sandbox.agenda import NOW
from sandbox.clocks import Moment
from sandbox.notifier import LATE, OVERTAKEN_BY, Dialect, Notification, Notifier
from sandbox.ottu.results import overtaken
from sandbox.ottu.settings import OttuSettings
from sandbox.ottu.state import Merchant, Transaction
from sandbox.wire import News

USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36"
RETRIES = 2


def dialect(settings: OttuSettings) -> Dialect:
    """How Ottu notifies: three attempts in all, and further ones after a time-out only."""

    def headers(_: Notification, __: str, ___: datetime) -> dict[str, str]:
        return {"content-type": "application/json", "user-agent": USER_AGENT}

    return Dialect(
        waits=(settings.resend_after,) * RETRIES,
        headers=headers,
        acknowledges=_acknowledges,
        answer_within=settings.answer_within,
        only_after_timeouts=True,
    )


def _acknowledges(response: httpx.Response) -> bool:
    return response.status_code in (httpx.codes.OK, httpx.codes.CREATED)


class Notices:
    """Queues webhooks. A merchant without any address is not told."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier

    def payment(
        self,
        session: Session,
        moment: Moment,
        txn: Transaction,
        body: dict[str, Any],
        *,
        news: News = News.NORMAL,
        hold: timedelta | None = None,
        url: str | None = None,
    ) -> int | None:
        """The payment webhook, to the transaction's own address if it has one; the notification's number."""
        merchant = session.get_one(Merchant, txn.merchant_id)
        target = url or txn.given.get("webhook_url") or merchant.webhook_url
        if not target:
            return None
        message = _message("payment", merchant, target, body, moment)
        if news is News.SHUFFLED:
            stale = _message("payment", merchant, target, overtaken(merchant, body), moment)
            self._notifier.queue(session, moment, stale, hold=OVERTAKEN_BY)
        return self._notifier.queue(
            session,
            moment,
            message,
            after=LATE if news is News.LATE else NOW,
            copies=2 if news is News.DOUBLE else 1,
            hold=hold,
        )

    def operation(self, session: Session, moment: Moment, merchant: Merchant, body: dict[str, Any]) -> None:
        """The operation webhook, which has an address of its own."""
        if merchant.operations_webhook_url:
            message = _message("operation", merchant, merchant.operations_webhook_url, body, moment)
            self._notifier.queue(session, moment, message)


def _message(kind: str, merchant: Merchant, url: str, body: dict[str, Any], moment: Moment) -> Notification:
    return Notification(kind, merchant.merchant_id, url, json.dumps(body), moment.clock, moment.now)
