"""Declarations at customs as Antom speaks of them (gateways/antom.md §3.9, §3.10)."""

from __future__ import annotations

from typing import Any

import pytest

from agreements.money import Money
from gateways.antom import customs
from gateways.antom.messages import Message
from gateways.port import CustomsBuyer, DeclarationRequest, Verdict

REQUEST = DeclarationRequest(
    request_id="dc_20250801_0001",
    payment_id="20250801194010800100188000000077",
    amount=Money(currency="CNY", value=19900),
    customs_code="ZONGSHU",
    merchant_code="1234567890",
    merchant_name="Example Trade Ltd",
    sub_order_id="so_1",
    buyer=CustomsBuyer("310000199001010000", "Zhang San"),
)


def message(code: str = "SUCCESS", status: str = "S", **fields: Any) -> Message:
    return Message(status, code, fields)


def record(**changes: Any) -> Message:
    row = {"declarationRequestId": REQUEST.request_id, "declarationRequestStatus": "SUCCESS"} | changes
    return message(declarationRecords=[row], declarationRequestsNotFound=[])


def test_the_body_is_that_of_the_documentation() -> None:
    """The note's own sample, field by field; scalars are strings."""
    assert customs.declaration(REQUEST) == {
        "declarationRequestId": "dc_20250801_0001",
        "paymentId": "20250801194010800100188000000077",
        "declarationAmount": {"currency": "CNY", "value": "19900"},
        "customs": {"customsCode": "ZONGSHU", "region": "CN"},
        "merchantCustomsInfo": {"merchantCustomsCode": "1234567890", "merchantCustomsName": "Example Trade Ltd"},
        "splitOrder": "true",
        "suborderId": "so_1",
        "buyerCertificate": {
            "certificateType": "ID_CARD",
            "certificateNo": "310000199001010000",
            "holderName": {"fullName": "Zhang San"},
        },
    }
    assert "Zhang" not in repr(REQUEST)
    assert "3100" not in repr(REQUEST)


def test_a_success_of_the_call_only_means_that_antom_has_it() -> None:
    answer = customs.declared(message(identityCheckResult="CHECK_NOT_PASSED", clearingChannel="NUCC", customsOrderId=7))
    assert answer.verdict is Verdict.PROCESSING
    assert answer.facts == {"identity_check": "CHECK_NOT_PASSED", "clearing_channel": "NUCC"}


@pytest.mark.parametrize(
    ("code", "status", "verdict"),
    [
        ("PARAM_ILLEGAL", "F", Verdict.DECLINED),
        ("UNKNOWN_EXCEPTION", "U", Verdict.UNKNOWN),
        ("REQUEST_TRAFFIC_EXCEED_LIMIT", "U", Verdict.UNKNOWN),
        ("REPEAT_REQ_INCONSISTENT", "F", Verdict.PROCESSING),  # it has the id: the inquiry tells
    ],
)
def test_other_answers_to_a_declaration(code: str, status: str, verdict: Verdict) -> None:
    answer = customs.declared(message(code, status))
    assert (answer.verdict, answer.evidence) == (verdict, code)
    assert (answer.decline is not None) == (verdict is Verdict.DECLINED)


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        ("SUCCESS", Verdict.SUCCEEDED),
        ("FAIL", Verdict.DECLINED),
        ("WHATEVER_ELSE", Verdict.PROCESSING),
        (None, Verdict.PROCESSING),
    ],
)
def test_only_the_words_that_are_known_to_be_final_are(status: str | None, verdict: Verdict) -> None:
    answer = customs.found(record(declarationRequestStatus=status), REQUEST.request_id, {})
    assert answer.verdict is verdict
    assert answer.facts.get("provider_status") == status


def test_an_account_may_say_which_words_are_final() -> None:
    keys = {"customs_succeeded": "CUSTOMS_OK, DONE", "customs_failed": "NO"}
    for status, verdict in (("DONE", Verdict.SUCCEEDED), ("NO", Verdict.DECLINED), ("SUCCESS", Verdict.PROCESSING)):
        assert customs.found(record(declarationRequestStatus=status), REQUEST.request_id, keys).verdict is verdict


def test_why_customs_refused_is_told_by_code_and_never_in_free_text() -> None:
    refused = record(
        declarationRequestStatus="FAIL",
        customsDeclarationResultCode="22001",
        customsDeclarationResultDesc="buyer Zhang San unknown",
    )
    answer = customs.found(refused, REQUEST.request_id, {})
    assert answer.decline is not None
    assert (answer.decline.code, answer.decline.raw_code) == ("customs_refused", "22001")
    assert "Zhang" not in repr(answer)


@pytest.mark.parametrize("records", [None, [], "x", [{"declarationRequestId": "dc_other"}], [3]])
def test_a_record_that_is_not_there_says_nothing(records: Any) -> None:
    answer = customs.found(message(declarationRecords=records), REQUEST.request_id, {})
    assert answer.verdict is Verdict.NOT_FOUND


def test_an_inquiry_that_failed_says_nothing_about_the_declaration() -> None:
    assert customs.found(message("SYSTEM_ERROR", "F"), REQUEST.request_id, {}).verdict is Verdict.UNKNOWN
