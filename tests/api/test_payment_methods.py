"""What a buyer can be offered, and what is listed but refused."""

from __future__ import annotations

import pytest

from tests.api.conftest import Shop, assert_problem, body

PATH = "/v1/payment-methods"


async def test_the_list_tells_what_is_known_of_each_method(shop: Shop) -> None:
    listed = (await shop.get(PATH)).json()["data"]
    methods = {(method["gateway"], method["type"]): method for method in listed}
    assert methods["antom", "ZALOPAY"] == {
        "gateway": "antom",
        "type": "ZALOPAY",
        "name": "ZaloPay",
        "region": "VN",
        "currency": "VND",
        "minimum": 1_000,
        "multiple_of": 1,
        "limits": [
            {"value": 10_000_000, "per": "debit"},
            {"value": 20_000_000, "per": "day"},
            {"value": 100_000_000, "per": "month"},
        ],
        "refreshable": False,
        "refresh_days": None,
        "refund_days": 180,
        "verification": None,
        "customs": False,
        "availability": "available",
        "note": None,
    }
    assert [method["type"] for method in listed if method["customs"]] == ["ALIPAY_CN"]
    assert methods["antom", "TOSSPAY"]["minimum"] is None


async def test_filters_take_either_case_and_know_what_they_are_asked_for(shop: Shop) -> None:
    found = (await shop.get(PATH, region="ph", currency="PhP", gateway="ANTOM")).json()
    assert {method["type"] for method in found["data"]} == {"GCASH", "MAYA", "GRABPAY_PH"}
    assert (await shop.get(PATH, region="ZZ")).json()["data"] == []
    assert_problem(await shop.http.get(PATH), 401, "unauthorized")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gateway", "nobody"),
        ("gateway", ""),
        ("region", "Philippines"),
        ("region", ""),
        ("currency", "P"),
    ],
)
async def test_a_filter_that_cannot_match_is_refused(shop: Shop, name: str, value: str) -> None:
    assert_problem(await shop.get(PATH, **{name: value}), 422, "invalid_request", f"/query/{name}")


async def test_an_unverified_method_is_listed_with_its_reason_and_refused_for_agreements(shop: Shop) -> None:
    found = (await shop.get(PATH, region="ID", gateway="antom")).json()["data"]
    [grab] = [method for method in found if method["availability"] == "unverified"]
    assert grab["type"] == "GRABPAY_ID"
    terms = {"amount": {"currency": "IDR", "value": 5_000_000}, "timezone": "Asia/Jakarta"}
    refused = await shop.post("/v1/agreements", body(payment_method={"type": "GRABPAY_ID"}, terms=terms))
    problem = assert_problem(refused, 422, "invalid_request", "/payment_method/type")
    assert grab["note"] in problem["detail"]
