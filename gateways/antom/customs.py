"""Declarations at China's customs, for ALIPAY_CN: pure translation. Source: gateways/antom.md §3.9, §3.10.

Which words `declarationRequestStatus` may hold is not published. The account's keys `customs_succeeded` and
`customs_failed` (comma-separated words, by default SUCCESS and FAIL) say which are final; any other means "not yet".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agreements.declines import Decline, DeclineCategory
from gateways.antom import codes
from gateways.antom.messages import Message
from gateways.antom.transformers import amount_of, verdict_of
from gateways.port import DeclarationAnswer, DeclarationRequest, Verdict

_KNOWN_ALREADY = "REPEAT_REQ_INCONSISTENT"
"""An earlier call with this id was taken, with other words: what became of it, the inquiry tells."""
_ACCEPTED = {
    "customsPaymentId": "customs_payment_id",
    "customsOrderId": "customs_order_id",
    "identityCheckResult": "identity_check",
    "clearingChannel": "clearing_channel",
    "clearingTransactionId": "clearing_transaction_id",
    "customsProviderRegistrationId": "registration_id",
}
_FOUND = {
    "customsPaymentId": "customs_payment_id",
    "customsOrderId": "customs_order_id",
    "declarationRequestStatus": "provider_status",
    "customsDeclarationResultCode": "customs_result_code",
    "customsDeclarationReturnTime": "customs_returned_at",
}
"""What is told of a declaration. `customsDeclarationResultDesc` is left out: free text may name the buyer."""


def declaration(request: DeclarationRequest) -> dict[str, Any]:
    """The body of declare."""
    body: dict[str, Any] = {
        "declarationRequestId": request.request_id,
        "paymentId": request.payment_id,
        "declarationAmount": amount_of(request.amount),
        "customs": {"customsCode": request.customs_code, "region": "CN"},
        "merchantCustomsInfo": {
            "merchantCustomsCode": request.merchant_code,
            "merchantCustomsName": request.merchant_name,
        },
        "splitOrder": "true" if request.sub_order_id else "false",
    }
    if request.sub_order_id:
        body["suborderId"] = request.sub_order_id
    if request.buyer:
        body["buyerCertificate"] = {
            "certificateType": "ID_CARD",
            "certificateNo": request.buyer.certificate_number,
            "holderName": {"fullName": request.buyer.name},
        }
    return body


def declared(answer: Message) -> DeclarationAnswer:
    """Reads declare's answer. S means "accepted for transmission", not that customs agreed."""
    verdict = verdict_of(answer)
    if verdict is Verdict.SUCCEEDED or answer.code == _KNOWN_ALREADY:
        return DeclarationAnswer(Verdict.PROCESSING, _facts(answer, _ACCEPTED), evidence=answer.code)
    if verdict is Verdict.DECLINED:
        return DeclarationAnswer(verdict, decline=codes.decline(answer.code), evidence=answer.code)
    return DeclarationAnswer(Verdict.UNKNOWN, evidence=answer.code)


def found(answer: Message, request_id: str, keys: Mapping[str, str]) -> DeclarationAnswer:
    """Reads inquiryDeclarationRequests' answer: `result` is about the query, the record about the declaration."""
    if verdict_of(answer) is not Verdict.SUCCEEDED:
        return DeclarationAnswer(Verdict.UNKNOWN, evidence=answer.code)
    records = answer.fields.get("declarationRecords")
    ours = [
        record
        for record in (records if isinstance(records, list) else [])
        if isinstance(record, dict) and record.get("declarationRequestId") == request_id
    ]
    if len(ours) != 1:
        return DeclarationAnswer(Verdict.NOT_FOUND, evidence="no_record")
    record = Message(answer.status, answer.code, ours[0])
    status = record.code_of("declarationRequestStatus")
    verdict = _said(status, keys)
    refusal = None
    if verdict is Verdict.DECLINED:
        raw_code = record.text("customsDeclarationResultCode") or status
        refusal = Decline(category=DeclineCategory.REVIEW, code="customs_refused", raw_code=raw_code)
    return DeclarationAnswer(verdict, _facts(record, _FOUND), refusal, status or "missing")


def _said(status: str | None, keys: Mapping[str, str]) -> Verdict:
    if status in _words(keys, "customs_succeeded", "SUCCESS"):
        return Verdict.SUCCEEDED
    return Verdict.DECLINED if status in _words(keys, "customs_failed", "FAIL") else Verdict.PROCESSING


def _words(keys: Mapping[str, str], name: str, default: str) -> set[str]:
    return {word.strip() for word in keys.get(name, default).split(",")} - {""}


def _facts(message: Message, names: Mapping[str, str]) -> dict[str, str]:
    told = {ours: message.text(theirs) for theirs, ours in names.items()}
    return {name: value for name, value in told.items() if value is not None}
