"""The payment status query, the only call that asks the gateway, and its limits (gateways/ottu.md §3.5)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import ValidationError
from sqlalchemy import select

from sandbox.ottu.answers import REQUIRED, Answer, Call, Refused, failed, field_errors, not_found
from sandbox.ottu.messages import InquiryRequest
from sandbox.ottu.notices import Notices
from sandbox.ottu.payments import Payments
from sandbox.ottu.results import SUCCEEDED, payment
from sandbox.ottu.scripts import Result
from sandbox.ottu.state import Attempt, Inquiry, Transaction, attempts_of, transaction_of

FIRST_AFTER = timedelta(minutes=10)
AGAIN_AFTER = timedelta(minutes=30)
PER_DAY = 3
PER_MINUTE = 30
"""Of one merchant, over all its transactions."""
DAY = timedelta(days=1)
"""Any 24 hours: whoever keeps within them keeps within every calendar's day."""
MINUTE = timedelta(minutes=1)
INQUIRABLE = SUCCEEDED | {"pending", "attempted", "failed", "expired"}


@dataclass
class Inquiries:
    """Status queries by the merchant, counted in the transaction's own time."""

    payments: Payments
    notices: Notices

    def ask(self, call: Call) -> Answer:
        """What became of a payment; for one that is not paid, the gateway is asked first."""
        call.need("payment.inquiry")
        try:
            request = InquiryRequest.model_validate(call.body)
        except ValidationError as error:
            raise Refused(400, field_errors(error)) from error
        if not (request.session_id or request.order_no):
            raise Refused(400, {"session_id": [REQUIRED]})
        txn = transaction_of(call.session, call.merchant.merchant_id, request.session_id, request.order_no)
        if txn is None:
            raise not_found()
        call = call.inherit(txn)
        _let_through(call, txn)
        self.payments.lapse(call.session, call.moment.now, txn, paying=False)
        attempts = attempts_of(call.session, txn)
        if txn.state not in INQUIRABLE or not attempts:
            return failed("Inquiry is not allowed in the current state.").answer
        if txn.state not in SUCCEEDED:
            self.payments.confirm(call.session, call.moment, txn)
        body = payment(call.session, call.merchant, txn, _decisive(attempts), call.moment.now)
        if request.notify_webhook_url:
            self.notices.payment(call.session, call.moment, txn, body, url=request.webhook_url)
        return Answer(200, body)


def _decisive(attempts: list[Attempt]) -> Attempt:
    """The attempt that paid, else the last one."""
    paid = [attempt for attempt in attempts if attempt.said.result is Result.SUCCESS]
    return (paid or attempts)[-1]


def _let_through(call: Call, txn: Transaction) -> None:
    """Counts a query. Raises Refused when it comes too early or too often."""
    now = call.moment.now
    asked = list(
        call.session.scalars(
            select(Inquiry.asked).where(Inquiry.session_id == txn.session_id).order_by(Inquiry.asked.desc())
        )
    )
    everywhere = list(
        call.session.scalars(
            select(Inquiry.asked)
            .where(Inquiry.merchant_id == txn.merchant_id, Inquiry.clock == call.moment.clock)
            .where(Inquiry.asked > now - MINUTE)
            .order_by(Inquiry.asked.desc())
        )
    )
    allowed = _allowed_from(txn.created, asked, everywhere)
    if now < allowed:
        seconds = int((allowed - now).total_seconds()) + 1
        text = f"Request was throttled. Expected available in {seconds} seconds."
        status = call.merchant.instance.throttled_status
        body = {"detail": text} if status == 429 else {"detail": text, "result": "failed"}
        raise Refused(status, body, **{"Retry-After": str(seconds)})
    call.session.add(Inquiry(txn.merchant_id, txn.session_id, call.moment.clock, now))


def _allowed_from(created: datetime, asked: list[datetime], everywhere: list[datetime]) -> datetime:
    """The earliest time of the next query. Both lists have the latest first."""
    limits = [created + FIRST_AFTER]
    limits += [asked[0] + AGAIN_AFTER] if asked else []
    limits += [asked[PER_DAY - 1] + DAY] if len(asked) >= PER_DAY else []
    limits += [everywhere[PER_MINUTE - 1] + MINUTE] if len(everywhere) >= PER_MINUTE else []
    return max(limits)
