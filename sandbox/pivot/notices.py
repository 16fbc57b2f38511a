"""Pivot's callbacks: events, the static key, and when they are sent again (gateways/pay-and-save.md §5)."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import httpx
from sqlalchemy.orm import Session

from sandbox.agenda import NOW
from sandbox.clocks import Moment
from sandbox.database import Database
from sandbox.notifier import LATE, OVERTAKEN_BY, Dialect, Notification, Notifier
from sandbox.pivot.state import Charge, Client, PaymentSession, Refund
from sandbox.pivot.views import View, refund_view, session_view
from sandbox.wire import News

WAITS = tuple(timedelta(minutes=minutes) for minutes in (5, 15, 60, 180, 360, 720))
"""Between the seven sends; the first goes out at once."""
TRIED_AGAIN = (408, 429)
"""Of the answers below 500, those after which a callback is sent again."""
FORGED = " (forged)"
"""Ending of a callback's type in the outbox when it is sent with a wrong key."""
WRONG_KEY = "not-the-callback-api-key"
REFUND_EVENTS = {"WAITING_BANK_TRANSFER": "REFUND.WAITING_BANK_TRANFER"}
"""Pivot's own spelling."""


def dialect(database: Database, resend: bool) -> Dialect:
    """How Pivot notifies."""

    def headers(message: Notification, _path: str, _now: datetime) -> dict[str, str]:
        with database.begin() as session:
            key = session.get_one(Client, message.client_id).callback_api_key
        forged = message.type.endswith(FORGED)
        return {
            "content-type": "application/JSON",
            "accept": "application/JSON",
            "x-api-key": WRONG_KEY if forged else key,
        }

    return Dialect(
        WAITS if resend else (),
        headers,
        acknowledges=_acknowledges,
        gives_up_on=lambda status: status < 500 and status not in TRIED_AGAIN,
    )


def _acknowledges(response: httpx.Response) -> bool:
    return response.is_success


class Notices:
    """Queues Pivot's callbacks. A merchant that has registered no address gets none."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        self._delay = notifier.delay

    def processing(self, session: Session, moment: Moment, payment: PaymentSession, charge: Charge) -> int | None:
        """PAYMENT.PROCESSING, overtaken by the result if the charge's news is shuffled."""
        shuffled = News[charge.news] is News.SHUFFLED
        hold = self._delay * 2 + OVERTAKEN_BY if shuffled else self._delay
        return self._payment(session, moment, payment, "PAYMENT.PROCESSING", hold=hold)

    def result(self, session: Session, moment: Moment, payment: PaymentSession, charge: Charge | None) -> int | None:
        """PAYMENT.PAID or PAYMENT.CANCELLED, travelling as the charge's script says."""
        event = "PAYMENT.PAID" if payment.status == "PAID" else "PAYMENT.CANCELLED"
        news = News[charge.news] if charge else News.NORMAL
        if self._notifier.faults.forge():
            self.forge(session, moment, payment)
        return self._payment(
            session,
            moment,
            payment,
            event + (FORGED if charge and charge.forged else ""),
            after=LATE if news is News.LATE else NOW,
            copies=2 if news is News.DOUBLE else 1,
            hold=self._delay * 2,
        )

    def forge(self, session: Session, moment: Moment, payment: PaymentSession) -> int | None:
        """Somebody who does not know the key claims the opposite of the truth."""
        lie = "CANCELLED" if payment.status == "PAID" else "PAID"
        view = session_view(session, payment) | {"status": lie}
        event = f"PAYMENT.{lie}"
        return self._queue(session, moment, payment.client_id, event + FORGED, event, view, hold=self._delay)

    def refund(self, session: Session, moment: Moment, payment: PaymentSession, charge: Charge, refund: Refund) -> None:
        """The state a refund has come to."""
        event = REFUND_EVENTS.get(refund.status, f"REFUND.{refund.status}")
        view = refund_view(payment, charge, refund)
        self._queue(session, moment, refund.client_id, event, event, view, hold=self._delay)

    def _payment(
        self,
        session: Session,
        moment: Moment,
        payment: PaymentSession,
        kind: str,
        *,
        after: timedelta = NOW,
        copies: int = 1,
        hold: timedelta,
    ) -> int | None:
        view = session_view(session, payment)
        event = kind.removesuffix(FORGED)
        return self._queue(session, moment, payment.client_id, kind, event, view, after=after, copies=copies, hold=hold)

    def _queue(
        self,
        session: Session,
        moment: Moment,
        client_id: str,
        kind: str,
        event: str,
        data: View,
        *,
        after: timedelta = NOW,
        copies: int = 1,
        hold: timedelta,
    ) -> int | None:
        url = session.get_one(Client, client_id).callback_url
        if not url:
            return None
        body: dict[str, Any] = {"event": event, "data": data}
        message = Notification(kind, client_id, url, json.dumps(body), moment.clock, moment.now)
        return self._notifier.queue(session, moment, message, after=after, copies=copies, hold=hold)
