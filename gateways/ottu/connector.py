"""Ottu's auto-debit behind the port. Source: gateways/ottu.md.

Nothing at Ottu makes a debit idempotent: a session is opened, its handle kept, and auto-debit called on it once. The
customer's page is a session as well: whoever gives up on it cancels it and fetches what it came to (`exchange`), for it
may have been paid meanwhile. Some methods look before they ask, so they make two calls; both share the call's time.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx

from gateways.ottu import codes, keys, messages, sessions, signing, transformers
from gateways.ottu.messages import Answer, Message, NoAnswer
from gateways.ottu.transport import Line
from gateways.port import (
    Account,
    AuthorizationAnswer,
    AuthorizationRequest,
    Call,
    ChargeAnswer,
    ChargeRequest,
    Gateway,
    OpenAnswer,
    QueryLimits,
    RefundRequest,
    ReversalAnswer,
    TokenAnswer,
    Traits,
    Verdict,
)

_TO_BE_ASKED = frozenset({"pending", "attempted", "failed", "expired"})
"""States in which Ottu asks the gateway when a status query comes (gateways/ottu.md §2.7)."""


class Ottu:
    """Speaks to Ottu for every account; holds nothing but the HTTP client all of them share."""

    name = "ottu"
    traits = Traits(
        # A second auto-debit on a session is a second attempt, and may be a second debit (gateways/ottu.md §3.3).
        repeat_is_safe=None,
        # A session untouched for so long was not reached: longer than any gateway's window (11 to 20 minutes).
        settling_time=timedelta(minutes=30),
        # Ottu's own three inquiries are over by then, also at the slowest gateway.
        cancel_unfinished_after=timedelta(hours=2),
        authorization_life=sessions.PAGE_LIFE,
        queries=QueryLimits(timedelta(minutes=10), timedelta(minutes=30), 3),
        # With nothing owed, a small payment verifies the card: it goes back at once (gateways/ottu.md §5).
        consent_by_payment=True,
        opens=True,
        cancel_stands=False,
    )

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def authorize(self, account: Account, request: AuthorizationRequest, call: Call) -> AuthorizationAnswer:
        """Opens the session of the customer's first payment."""
        now = call.now or datetime.now(UTC)
        try:
            body = sessions.first_payment(account, request, now)
        except sessions.Incomplete:
            return AuthorizationAnswer(Verdict.UNKNOWN, evidence="incomplete_request")
        opened = transformers.opened(await Line(self._client, account, call).post(sessions.CREATE, body), body)
        if opened.verdict is not Verdict.SUCCEEDED or opened.handle is None:
            return AuthorizationAnswer(opened.verdict, decline=opened.decline, evidence=opened.evidence)
        if opened.url is None:
            return AuthorizationAnswer(Verdict.UNKNOWN, handle=opened.handle, evidence="no_url")
        return AuthorizationAnswer(
            Verdict.SUCCEEDED, opened.url, opened.handle, now + sessions.PAGE_LIFE, evidence=opened.evidence
        )

    async def exchange(self, account: Account, payment_method: str, code: str, call: Call) -> TokenAnswer:
        """Retrieves the session and, once it is paid, the card Ottu linked to its agreement. `code` is the handle."""
        line = Line(self._client, account, call)
        session = await self._retrieved(line, code)
        if isinstance(session, NoAnswer):
            return TokenAnswer(Verdict.UNKNOWN, evidence=session.evidence)
        paid = transformers.first_payment(session, code)
        if paid.verdict is not Verdict.SUCCEEDED:
            ended = paid.verdict in (Verdict.DECLINED, Verdict.CANCELED)
            verdict = Verdict.DECLINED if ended else paid.verdict
            return TokenAnswer(verdict, payment=paid, decline=paid.decline, evidence=paid.evidence)
        customer_id, agreement_id = session.text("customer_id"), session.text("agreement", "id")
        if customer_id is None or agreement_id is None:
            return TokenAnswer(Verdict.UNKNOWN, payment=paid, evidence="unreadable")
        wanted = {"customer_id": customer_id, "type": keys.card_type(account), "agreement_id": agreement_id}
        cards = await line.post(sessions.CARDS, wanted)
        if isinstance(cards, NoAnswer) or not cards.accepted:
            return TokenAnswer(Verdict.UNKNOWN, payment=paid, evidence=_evidence(cards))
        return transformers.token(cards.body, agreement_id, paid)

    async def refresh(self, account: Account, payment_method: str, refresh_token: str, call: Call) -> TokenAnswer:
        """A card's token lives as long as the card: there is nothing to refresh, and no call."""
        return TokenAnswer(Verdict.DECLINED, decline=codes.decline("no_token"), evidence="not_refreshable")

    async def open(self, account: Account, request: ChargeRequest, call: Call) -> OpenAnswer:
        """Opens the session of a debit."""
        try:
            body = sessions.debit(account, request)
        except sessions.Incomplete:
            return OpenAnswer(Verdict.UNKNOWN, evidence="incomplete_request")
        opened = transformers.opened(await Line(self._client, account, call).post(sessions.CREATE, body), body)
        return OpenAnswer(opened.verdict, opened.handle, opened.decline, opened.evidence)

    async def charge(self, account: Account, request: ChargeRequest, call: Call) -> ChargeAnswer:
        """Auto-debit. Where Ottu refuses the call, the session says whether it was for its state or the card's sake."""
        if not request.handle:
            return ChargeAnswer(Verdict.UNKNOWN, evidence="no_handle")
        line = Line(self._client, account, call)
        answer = await line.post(sessions.AUTO_DEBIT, {"session_id": request.handle, "token": request.token})
        if isinstance(answer, Answer) and answer.status == 400:
            session = await self._retrieved(line, request.handle)
            if isinstance(session, NoAnswer):
                return ChargeAnswer(Verdict.UNKNOWN, evidence=f"http_400:{session.evidence}")
            return transformers.refused_debit(session, request, answer.body)
        if isinstance(answer, Answer) and not answer.accepted:
            refusal = codes.refused_request(answer.status, answer.body)
            return ChargeAnswer(Verdict.DECLINED, request.handle, refusal, evidence=_evidence(answer))
        message = _signed(account, answer)
        if isinstance(message, NoAnswer):
            return ChargeAnswer(Verdict.UNKNOWN, evidence=message.evidence)
        return transformers.charged(message, request)

    async def inquire(self, account: Account, request_id: str, call: Call, handle: str | None = None) -> ChargeAnswer:
        """Retrieves the session, which is always allowed; only where it cannot tell, a status query asks the gateway.

        NOT_FOUND is a session nobody tried to pay, or, without a handle, an order number Ottu does not know.
        """
        line = Line(self._client, account, call)
        if not handle:
            return await self._query(line, account, request_id, None)
        session = await self._retrieved(line, handle)
        if isinstance(session, NoAnswer):
            return ChargeAnswer(Verdict.UNKNOWN, evidence=session.evidence)
        found = transformers.retrieved(session, request_id, handle)
        if found.verdict is not Verdict.UNKNOWN or found.evidence not in _TO_BE_ASKED:
            return found
        asked = await self._query(line, account, request_id, handle)
        if asked.verdict is Verdict.UNKNOWN and asked.payment_id is None:
            return ChargeAnswer(Verdict.UNKNOWN, handle, evidence=f"{found.evidence}:{asked.evidence}")
        return asked

    async def _query(self, line: Line, account: Account, request_id: str, handle: str | None) -> ChargeAnswer:
        wanted = {"session_id": handle} if handle else {"order_no": sessions.order_no(request_id)}
        answer = await line.post(sessions.INQUIRY, wanted)
        if isinstance(answer, Answer) and answer.status == 404 and not handle:
            return ChargeAnswer(Verdict.NOT_FOUND, evidence="http_404")
        message = _signed(account, answer)
        if isinstance(message, NoAnswer):
            return ChargeAnswer(Verdict.UNKNOWN, evidence=message.evidence)
        return transformers.inquired(message, request_id, handle)

    async def cancel(self, account: Account, request_id: str, call: Call, handle: str | None = None) -> ReversalAnswer:
        """Closes a session nobody paid, and lets go what was only reserved. DECLINED: it is paid, so a refund is the
        way; or it failed or expired, so an inquiry is.
        """
        line = Line(self._client, account, call)
        if not handle:
            return transformers.closed(await line.post(sessions.OPERATION, sessions.cancel(request_id, None)))
        session = await self._retrieved(line, handle)
        if isinstance(session, NoAnswer):
            return ReversalAnswer(Verdict.UNKNOWN, evidence=session.evidence)
        if not transformers.is_about(session, request_id, handle):
            return ReversalAnswer(Verdict.UNKNOWN, evidence="id_mismatch")
        state = session.state or "missing"
        if state in transformers.OPEN:
            return transformers.closed(await line.post(sessions.OPERATION, sessions.cancel(request_id, handle)))
        if state == "authorized":
            answer = await line.post(sessions.OPERATION, sessions.void(handle), tracking_key=f"{request_id}-void")
            return transformers.voided(_signed(account, answer))
        return ReversalAnswer(transformers.CLOSED.get(state, Verdict.UNKNOWN), evidence=state)

    async def refund(self, account: Account, request: RefundRequest, call: Call) -> ReversalAnswer:
        """Gives money back; its tracking key lets a repeat do nothing but tell how the first one stands."""
        if not request.payment_id:
            return ReversalAnswer(Verdict.UNKNOWN, evidence="no_handle")
        line = Line(self._client, account, call)
        answer = await line.post(sessions.OPERATION, sessions.refund(request), tracking_key=request.request_id)
        if isinstance(answer, Answer) and answer.status == 400 and answer.body.get("operation") != "operation_tracking":
            refusal = codes.refused_request(400, answer.body)
            return ReversalAnswer(Verdict.DECLINED, decline=refusal, evidence=_evidence(answer))
        message = _signed(account, answer)
        if isinstance(message, NoAnswer):
            return ReversalAnswer(Verdict.UNKNOWN, evidence=message.evidence)
        return transformers.refunded(message, request)

    async def inquire_refund(
        self, account: Account, request_id: str, call: Call, handle: str | None = None
    ) -> ReversalAnswer:
        """Makes no call: nothing at Ottu finds a refund by its tracking key but the same refund again, which moves
        money only if the first did not (gateways/ottu.md §8). NOT_FOUND is what makes the engine send it again, and
        the settling time keeps the two apart.
        """
        return ReversalAnswer(Verdict.NOT_FOUND, evidence="repeat_tells")

    async def revoke(self, account: Account, token: str, call: Call, customer_id: str | None = None) -> ReversalAnswer:
        """Deletes the card. DECLINED: an agreement still locks it, and only Ottu's support can release it
        (gateways/ottu.md §4); nothing is charged by it any more all the same.
        """
        if not customer_id:
            return ReversalAnswer(Verdict.UNKNOWN, evidence="no_customer")
        answer = await Line(self._client, account, call).delete(sessions.card_path(account, token, customer_id))
        if isinstance(answer, Answer) and (answer.accepted or answer.status == 404):
            return ReversalAnswer(Verdict.SUCCEEDED, evidence=_evidence(answer))
        if isinstance(answer, Answer) and answer.status == 400:
            refusal = codes.refused_request(400, answer.body)
            return ReversalAnswer(Verdict.DECLINED, decline=refusal, evidence=_evidence(answer))
        return ReversalAnswer(Verdict.UNKNOWN, evidence=_evidence(answer))

    async def _retrieved(self, line: Line, handle: str) -> Message | NoAnswer:
        answer = await line.get(sessions.session_path(handle))
        if isinstance(answer, NoAnswer) or not answer.accepted:
            return NoAnswer(_evidence(answer))
        return Message(answer.body) if isinstance(answer.body, dict) else NoAnswer("unreadable")


def _signed(account: Account, answer: Answer | NoAnswer) -> Message | NoAnswer:
    """The answer as a payment or an operation that Ottu signed."""
    if isinstance(answer, NoAnswer) or not answer.accepted:
        return NoAnswer(_evidence(answer))
    try:
        return messages.verified(answer.body, keys.hmac_key(account))
    except messages.Unreadable:
        return NoAnswer("unreadable")
    except signing.BadSignature:
        return NoAnswer("bad_signature" if answer.body.get("signature") else "unsigned")


def _evidence(answer: Answer | NoAnswer) -> str:
    if isinstance(answer, NoAnswer):
        return answer.evidence
    named = codes.field_names(answer.body) if isinstance(answer.body, dict) and not answer.accepted else ""
    return f"http_{answer.status}:{named}" if named else f"http_{answer.status}"


def gateway(client: httpx.AsyncClient) -> Gateway:
    """The connector as the port, which is also where the type checker holds it to the port."""
    return Ottu(client)
