"""Antom Auto Debit behind the port. Source: gateways/antom.md."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import httpx

from gateways.antom import customs, transformers
from gateways.antom.messages import Message
from gateways.antom.transport import NoAnswer, post
from gateways.port import (
    Account,
    AuthorizationAnswer,
    AuthorizationRequest,
    Call,
    ChargeAnswer,
    ChargeRequest,
    DeclarationAnswer,
    DeclarationRequest,
    Declares,
    Gateway,
    OpenAnswer,
    RefundRequest,
    ReversalAnswer,
    TokenAnswer,
    Traits,
    Verdict,
)


class Antom:
    """Speaks to Antom for every account; holds nothing but the HTTP client all of them share."""

    name = "antom"
    traits = Traits(
        # Final results are repeated for the same paymentRequestId, but for how long is not published: one day, within
        # which an attempt is decided or canceled anyway.
        repeat_is_safe=timedelta(days=1),
        # A debit expires one minute after the call, so a late one cannot turn up after that.
        settling_time=timedelta(minutes=1),
        # Expiry plus five minutes (gateways/antom.md section 5).
        cancel_unfinished_after=timedelta(minutes=6),
        # "Consider a consult dead after about 15 minutes" (gateways/antom.md section 3.1).
        authorization_life=timedelta(minutes=15),
    )

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def _post(self, account: Account, operation: str, body: Mapping[str, Any], call: Call) -> Message | NoAnswer:
        return await post(self._client, account, f"v1/{operation}", body, call)

    async def authorize(self, account: Account, request: AuthorizationRequest, call: Call) -> AuthorizationAnswer:
        """consult."""
        body = transformers.consult(request, account.keys)
        answer = await self._post(account, "authorizations/consult", body, call)
        if isinstance(answer, NoAnswer):
            return AuthorizationAnswer(Verdict.UNKNOWN, evidence=answer.evidence)
        return transformers.authorization(answer)

    async def exchange(self, account: Account, payment_method: str, code: str, call: Call) -> TokenAnswer:
        """applyToken with the customer's code."""
        return await self._apply_token(account, transformers.apply_code(payment_method, code, account.keys), call)

    async def refresh(self, account: Account, payment_method: str, refresh_token: str, call: Call) -> TokenAnswer:
        """applyToken with the refresh token."""
        body = transformers.apply_refresh(payment_method, refresh_token, account.keys)
        return await self._apply_token(account, body, call)

    async def _apply_token(self, account: Account, body: Mapping[str, Any], call: Call) -> TokenAnswer:
        answer = await self._post(account, "authorizations/applyToken", body, call)
        if isinstance(answer, NoAnswer):
            return TokenAnswer(Verdict.UNKNOWN, evidence=answer.evidence)
        return transformers.token(answer)

    async def open(self, account: Account, request: ChargeRequest, call: Call) -> OpenAnswer:
        """Antom debits in one call: there is nothing to open."""
        return OpenAnswer(Verdict.SUCCEEDED)

    async def charge(self, account: Account, request: ChargeRequest, call: Call) -> ChargeAnswer:
        """pay with AGREEMENT_PAYMENT."""
        answer = await self._post(account, "payments/pay", transformers.pay(request, account.keys), call)
        if isinstance(answer, NoAnswer):
            return ChargeAnswer(Verdict.UNKNOWN, evidence=answer.evidence)
        return transformers.charge(answer, request)

    async def inquire(self, account: Account, request_id: str, call: Call, handle: str | None = None) -> ChargeAnswer:
        """inquiryPayment by our own id."""
        answer = await self._post(account, "payments/inquiryPayment", {"paymentRequestId": request_id}, call)
        if isinstance(answer, NoAnswer):
            return ChargeAnswer(Verdict.UNKNOWN, evidence=answer.evidence)
        return transformers.inquiry(answer, request_id)

    async def cancel(self, account: Account, request_id: str, call: Call, handle: str | None = None) -> ReversalAnswer:
        """cancel by our own id; a paid debit is given back in full until 00:15 GMT+8 of the next day."""
        answer = await self._post(account, "payments/cancel", {"paymentRequestId": request_id}, call)
        if isinstance(answer, NoAnswer):
            return ReversalAnswer(Verdict.UNKNOWN, evidence=answer.evidence)
        return transformers.canceled(answer)

    async def refund(self, account: Account, request: RefundRequest, call: Call) -> ReversalAnswer:
        """refund."""
        answer = await self._post(account, "payments/refund", transformers.refund(request), call)
        if isinstance(answer, NoAnswer):
            return ReversalAnswer(Verdict.UNKNOWN, evidence=answer.evidence)
        return transformers.refunded(answer, request)

    async def inquire_refund(
        self, account: Account, request_id: str, call: Call, handle: str | None = None
    ) -> ReversalAnswer:
        """inquiryRefund by our own id."""
        answer = await self._post(account, "payments/inquiryRefund", {"refundRequestId": request_id}, call)
        if isinstance(answer, NoAnswer):
            return ReversalAnswer(Verdict.UNKNOWN, evidence=answer.evidence)
        return transformers.refund_inquiry(answer, request_id)

    async def revoke(self, account: Account, token: str, call: Call, customer_id: str | None = None) -> ReversalAnswer:
        """revoke; a TOKEN_CANCELED notification follows."""
        answer = await self._post(account, "authorizations/revoke", {"accessToken": token}, call)
        if isinstance(answer, NoAnswer):
            return ReversalAnswer(Verdict.UNKNOWN, evidence=answer.evidence)
        return transformers.revoked(answer)

    async def declare(self, account: Account, request: DeclarationRequest, call: Call) -> DeclarationAnswer:
        """declare, for payments with ALIPAY_CN."""
        answer = await self._post(account, "customs/declare", customs.declaration(request), call)
        if isinstance(answer, NoAnswer):
            return DeclarationAnswer(Verdict.UNKNOWN, evidence=answer.evidence)
        return customs.declared(answer)

    async def inquire_declaration(self, account: Account, request_id: str, call: Call) -> DeclarationAnswer:
        """inquiryDeclarationRequests by our own id."""
        body = {"declarationRequestIds": [request_id]}
        answer = await self._post(account, "customs/inquiryDeclarationRequests", body, call)
        if isinstance(answer, NoAnswer):
            return DeclarationAnswer(Verdict.UNKNOWN, evidence=answer.evidence)
        return customs.found(answer, request_id, account.keys)


def gateway(client: httpx.AsyncClient) -> Gateway:
    """The connector as the port, which is also where the type checker holds it to the port."""
    connector = Antom(client)
    _: Declares = connector
    return connector
