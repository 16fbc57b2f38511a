"""Pivot's saved cards and wallets behind the port. Source: gateways/pay-and-save.md.

Besides the one call that matters, an operation may buy an access token and read what it needs to decide; all of it ends
within `call.timeout`, and at most one call of an operation can move money or end a session.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx

from gateways.pivot import codes, keys, messages, outcomes, references, requests, saved, sessions
from gateways.pivot.messages import Reply, Unreadable
from gateways.pivot.sessions import Session
from gateways.pivot.transport import AccessTokens, Line, NoAnswer
from gateways.port import (
    Account,
    AuthorizationAnswer,
    AuthorizationRequest,
    Call,
    ChargeAnswer,
    ChargeRequest,
    Gateway,
    OpenAnswer,
    RefundRequest,
    ReversalAnswer,
    TakesCards,
    Token,
    TokenAnswer,
    Traits,
    Verdict,
)

_TOKEN_GRACE = timedelta(seconds=30)
"""How long after a payment its token may still be missing before it counts as not saved: "retry briefly" (§9.8)."""
_WRONG_STATE = 422
_REFUND_PAGES = 10
_PER_PAGE = 100


class Pivot:
    """Speaks to Pivot for every account; holds the HTTP client all of them share, and their access tokens."""

    name = "pivot"
    traits = Traits(
        # X-REQUEST-ID is remembered for 24 hours; an hour is left for the repeat's own way there.
        repeat_is_safe=timedelta(hours=23),
        # The server gives a call up after 60 seconds (§1.6); what it did not begin by then does not turn up later.
        settling_time=timedelta(minutes=2),
        # A debit cannot be canceled once it began. Its session ends by itself 15 minutes after its beginning (STRICT).
        cancel_unfinished_after=None,
        authorization_life=timedelta(minutes=15),
        consent_by_payment=True,
        cancel_stands=False,
    )

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._tokens = AccessTokens(client)

    def _line(self, account: Account, call: Call) -> Line:
        return Line(self._tokens, account, call)

    async def authorize(self, account: Account, request: AuthorizationRequest, call: Call) -> AuthorizationAnswer:
        """A payment session on Pivot's page, under `request.payment.request_id`: a repeat gets the same page.

        A page that ended is not opened again: the next one needs a payment with another request id. Without an amount
        it takes `catalog`'s `verification`, which the engine gives back. Raises ValueError without payment or payer.
        """
        if request.payment is None or request.payer is None:
            raise ValueError("Pivot takes consent by a payment, of a payer")
        if request.payment_method != requests.CARD and not keys.debits_wallets(account):
            return AuthorizationAnswer(Verdict.DECLINED, decline=codes.NO_WALLETS)
        if not (request.payer.email or request.payer.reference):
            return AuthorizationAnswer(Verdict.DECLINED, decline=codes.NO_EMAIL)
        try:
            ours = request.payment_method == requests.CARD and keys.takes_cards(account)
            body = (requests.card_page if ours else requests.page)(account, request, request.payment, request.payer)
        except requests.NotSupported:
            return AuthorizationAnswer(Verdict.DECLINED, decline=codes.NOT_RUPIAH)
        key = references.repeat_key("page", request.payment.request_id)
        reply = await self._line(account, call).post("v2/payments", body, key)
        if isinstance(reply, NoAnswer):
            return AuthorizationAnswer(Verdict.UNKNOWN, evidence=reply.evidence)
        return _authorized(reply, request.payment.request_id)

    async def confirm(self, account: Account, handle: str, encrypted_card: str, call: Call) -> AuthorizationAnswer:
        """Brings a session of ours its card (§3.1). A session that takes none any more is read instead."""
        line, path = self._line(account, call), f"v2/payments/{quote(handle, safe='')}"
        key = references.repeat_key("confirm", f"{handle}:{encrypted_card}")
        reply = await line.post(f"{path}/confirm", requests.confirmation(encrypted_card), key)
        if isinstance(reply, Reply) and outcomes.refused(reply):
            if reply.status != _WRONG_STATE:
                decline = codes.decline(reply.code)
                return AuthorizationAnswer(Verdict.DECLINED, decline=decline, evidence=reply.code)
            reply = await line.get(path)
        return _confirmed(_one(reply))

    async def exchange(self, account: Account, payment_method: str, code: str, call: Call) -> TokenAnswer:
        """What became of the customer's payment in the session `code` names, and the token it left."""
        line = self._line(account, call)
        session = _one(await line.get(f"v2/payments/{quote(code, safe='')}"))
        if isinstance(session, NoAnswer):
            return TokenAnswer(Verdict.UNKNOWN, evidence=session.evidence)
        payment = outcomes.outcome(session)
        if payment.verdict in (Verdict.DECLINED, Verdict.CANCELED):
            decline = payment.decline or codes.not_finished(payment.evidence)
            return TokenAnswer(Verdict.DECLINED, payment=payment, decline=decline, evidence=payment.evidence)
        if payment.verdict is not Verdict.SUCCEEDED:
            return TokenAnswer(payment.verdict, payment=payment, evidence=payment.evidence)
        if session.customer_id is None:
            return TokenAnswer(Verdict.UNKNOWN, payment=payment, evidence="no_customer")
        customer = await line.get(f"v1/customers/{quote(session.customer_id, safe='')}")
        if isinstance(customer, NoAnswer) or not customer.ok:
            evidence = customer.evidence if isinstance(customer, NoAnswer) else customer.code
            return TokenAnswer(Verdict.UNKNOWN, payment=payment, evidence=evidence)
        token = _left_by(session, customer.data, payment_method, session.customer_id)
        return _exchanged(session, payment, token, call.now or datetime.now(UTC))

    async def refresh(self, account: Account, payment_method: str, refresh_token: str, call: Call) -> TokenAnswer:
        """There is nothing to refresh, and no call."""
        return TokenAnswer(Verdict.DECLINED, decline=codes.NOT_REFRESHABLE)

    async def open(self, account: Account, request: ChargeRequest, call: Call) -> OpenAnswer:
        """No call: a saved token is documented for one call only, which creates the session and confirms it (§0, §4).

        Design promise 1 rests on our own reference instead: it is committed before that call, the session is found by
        it, and within a day a repeat is answered like the first.
        """
        return OpenAnswer(Verdict.SUCCEEDED)

    async def charge(self, account: Account, request: ChargeRequest, call: Call) -> ChargeAnswer:
        """Debits without the customer (profile `token_never`): PROCESSING, and a look straight after tells the result.

        With any other profile nothing is sent, and the customer is needed: they pay on a page of `authorize`.
        """
        if not keys.debits_unattended(account):
            return ChargeAnswer(Verdict.DECLINED, decline=codes.CUSTOMER_NEEDED, evidence="customer_present")
        if request.payment_method != requests.CARD and not keys.debits_wallets(account):
            return ChargeAnswer(Verdict.DECLINED, decline=codes.NO_WALLETS, evidence="wallet_tokens_off")
        try:
            body = requests.debit(account, request)
        except requests.NotSupported:
            return ChargeAnswer(Verdict.DECLINED, decline=codes.NOT_RUPIAH, evidence="amount_not_supported")
        key = references.repeat_key("debit", request.request_id)
        reply = await self._line(account, call).post("v2/payments", body, key)
        if isinstance(reply, NoAnswer):
            return ChargeAnswer(Verdict.UNKNOWN, evidence=reply.evidence)
        return outcomes.charged(reply, request.request_id, request.amount)

    async def inquire(self, account: Account, request_id: str, call: Call, handle: str | None = None) -> ChargeAnswer:
        """The session by its id where it is known, else by our reference."""
        reply = await self._sessions(account, self._line(account, call), request_id, handle)
        if isinstance(reply, NoAnswer):
            return ChargeAnswer(Verdict.UNKNOWN, evidence=reply.evidence)
        return outcomes.looked_up(reply, request_id) if handle else outcomes.found(reply, request_id)

    async def cancel(self, account: Account, request_id: str, call: Call, handle: str | None = None) -> ReversalAnswer:
        """Ends a session nobody began to pay in. PROCESSING: it cannot be ended and ends by itself; DECLINED: it is
        paid, a refund is the way.
        """
        line = self._line(account, call)
        reply = await self._sessions(account, line, request_id, handle)
        if isinstance(reply, Reply) and reply.ok and reply.data == []:
            return ReversalAnswer(Verdict.NOT_FOUND, evidence="no_session")
        session = _one(reply, request_id)
        if isinstance(session, NoAnswer):
            return ReversalAnswer(Verdict.UNKNOWN, evidence=session.evidence)
        if session.status in outcomes.CANCELLABLE:
            path = f"v2/payments/{quote(session.id, safe='')}/cancel"
            key = references.repeat_key("cancel", request_id)
            answer = await line.post(path, {"cancellationReason": "VOID_SESSION"}, key)
            if isinstance(answer, Reply) and outcomes.refused(answer):
                return ReversalAnswer(Verdict.PROCESSING, evidence=answer.code)  # somebody began just now
            session = _one(answer, request_id)
            if isinstance(session, NoAnswer):
                return ReversalAnswer(Verdict.UNKNOWN, evidence=session.evidence)
        return outcomes.canceled(session)

    async def refund(self, account: Account, request: RefundRequest, call: Call) -> ReversalAnswer:
        """Asks for a refund; its end comes by callback or inquiry."""
        try:
            body = requests.refund(account, request)
        except requests.NotSupported:
            return ReversalAnswer(Verdict.DECLINED, decline=codes.NOT_RUPIAH, evidence="amount_not_supported")
        key = references.repeat_key("refund", request.request_id)
        reply = await self._line(account, call).post("v1/refunds", body, key)
        if isinstance(reply, NoAnswer):
            return ReversalAnswer(Verdict.UNKNOWN, evidence=reply.evidence)
        return outcomes.refunded(reply, request)

    async def inquire_refund(
        self, account: Account, request_id: str, call: Call, handle: str | None = None
    ) -> ReversalAnswer:
        """The refund by its id; without one all refunds are read through, since Pivot finds none by our reference."""
        line = self._line(account, call)
        if handle:
            reply = await line.get(f"v1/refunds/{quote(handle, safe='')}")
            if isinstance(reply, NoAnswer) or not reply.ok:
                return ReversalAnswer(Verdict.UNKNOWN, evidence=_why(reply))
            return outcomes.refund(reply.data, request_id)
        for page in range(1, _REFUND_PAGES + 1):
            reply = await line.get("v1/refunds", page=str(page), perPage=str(_PER_PAGE))
            if isinstance(reply, NoAnswer) or not reply.ok or not isinstance(reply.data, list):
                return ReversalAnswer(Verdict.UNKNOWN, evidence=_why(reply))
            for row in messages.objects(reply.data):
                if references.decoded(str(row.get("clientReferenceId"))) == request_id:
                    return outcomes.refund(row, request_id)
            last_page = page >= reply.pages if reply.pages is not None else not reply.data
            if last_page:
                return ReversalAnswer(Verdict.NOT_FOUND, evidence="no_refund")
        return ReversalAnswer(Verdict.UNKNOWN, evidence="too_many_refunds")

    async def revoke(self, account: Account, token: str, call: Call, customer_id: str | None = None) -> ReversalAnswer:
        """Pivot deletes no token: forgetting it here ends the authorization, and there is no call."""
        return ReversalAnswer(Verdict.SUCCEEDED, evidence="forgotten_here")

    async def _sessions(self, account: Account, line: Line, request_id: str, handle: str | None) -> Reply | NoAnswer:
        if handle:
            return await line.get(f"v2/payments/{quote(handle, safe='')}")
        return await line.get("v2/payments", clientReferenceId=requests.reference(account, request_id))


def _authorized(reply: Reply, request_id: str) -> AuthorizationAnswer:
    if outcomes.refused(reply):
        return AuthorizationAnswer(Verdict.DECLINED, decline=codes.decline(reply.code), evidence=reply.code)
    session = _one(reply, request_id)
    if isinstance(session, NoAnswer):
        return AuthorizationAnswer(Verdict.UNKNOWN, evidence=session.evidence)
    waits_for_card = session.status == "REQUIRE_CONFIRMATION" and session.encryption_key is not None
    if session.payment_url is None and not waits_for_card:
        return AuthorizationAnswer(Verdict.UNKNOWN, handle=session.id, evidence="no_url")
    return AuthorizationAnswer(
        Verdict.SUCCEEDED,
        session.payment_url,
        session.id,
        session.expires_at,
        evidence=session.status,
        card_key=session.encryption_key if waits_for_card else None,
    )


def _confirmed(session: Session | NoAnswer) -> AuthorizationAnswer:
    """Where the customer goes on; without an address the session itself tells what became of the payment."""
    if isinstance(session, NoAnswer):
        return AuthorizationAnswer(Verdict.UNKNOWN, evidence=session.evidence)
    if session.status == "REQUIRE_ACTION" and session.payment_url:
        return AuthorizationAnswer(Verdict.SUCCEEDED, session.payment_url, session.id, evidence=session.status)
    waits = session.status in outcomes.CANCELLABLE
    return AuthorizationAnswer(Verdict.UNKNOWN if waits else Verdict.PROCESSING, evidence=session.status)


def _exchanged(session: Session, payment: ChargeAnswer, token: Token | None, now: datetime) -> TokenAnswer:
    if token is not None:
        return TokenAnswer(Verdict.SUCCEEDED, token=token, payment=payment, evidence=payment.evidence)
    paid_at = next((charge.paid_at for charge in session.charges if charge.paid_at), session.updated_at)
    if paid_at is not None and now - paid_at < _TOKEN_GRACE:
        return TokenAnswer(Verdict.PROCESSING, payment=payment, evidence="token_not_there_yet")
    return TokenAnswer(Verdict.DECLINED, payment=payment, decline=codes.NOT_SAVED, evidence="credential_not_saved")


def _left_by(session: Session, customer: Mapping[str, Any], payment_method: str, customer_id: str) -> Token | None:
    if payment_method != requests.CARD:
        return saved.wallet_token(customer, payment_method, customer_id)
    paid = next((charge.card for charge in session.charges if charge.status == "SUCCESS" and charge.card), None)
    return saved.card_token(customer, paid, customer_id) if paid else None


def _one(reply: Reply | NoAnswer, request_id: str | None = None) -> Session | NoAnswer:
    """The session of an answer, which must be the request's; of a list, its only one."""
    if isinstance(reply, NoAnswer) or not reply.ok:
        return NoAnswer(_why(reply))
    rows = reply.data if isinstance(reply.data, list) else [reply.data]
    try:
        session = sessions.read(rows[0] if len(rows) == 1 else None)
    except Unreadable:
        return NoAnswer("unreadable")
    ours = request_id is None or references.decoded(session.reference) == request_id
    return session if ours else NoAnswer("id_mismatch")


def _why(reply: Reply | NoAnswer) -> str:
    if isinstance(reply, NoAnswer):
        return reply.evidence
    return "unreadable" if reply.ok else reply.code


def gateway(client: httpx.AsyncClient) -> Gateway:
    """The connector as the port, which is also where the type checker holds it to the port."""
    connector = Pivot(client)
    _: TakesCards = connector
    return connector
