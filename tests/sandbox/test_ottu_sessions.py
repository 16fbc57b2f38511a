"""The Checkout API of the Ottu sandbox: who may call, what is checked, what is answered (gateways/ottu.md §1, §2)."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.sandbox.ottu_support import AGREEMENT, MERCHANT, START, Merchant

REQUIRED = ["This field is required."]
PATH = "/b/checkout/v1/pymt-txn/"
SCHEDULED = {"frequency", "amount_variability", "expiry_date", "cycle_interval_days", "total_cycles"}


def terms(*without: str, **changes: Any) -> dict[str, Any]:
    return {name: value for name, value in (AGREEMENT | changes).items() if name not in without}


async def user(ottu: Merchant, *permissions: str) -> None:
    """Signs the merchant in as somebody with these permissions."""
    await ottu.register(users=[{"username": "noor", "password": "pa:ss", "permissions": list(permissions)}])
    ottu.authorization = "Basic " + base64.b64encode(b"noor:pa:ss").decode()


# Who is calling


@pytest.mark.parametrize(
    "header", ["", "Api-Key wrong", "Bearer token", "Token token", "Basic !", "Basic bm9vcjp4", "DESERTBK.s3cret"]
)
async def test_a_caller_without_valid_credentials_is_unauthorized(ottu: Merchant, header: str) -> None:
    ottu.authorization = header
    refused = await ottu.call(PATH, ottu.checkout(), expect=401)
    assert list(refused) == ["detail"]


async def test_a_key_reaches_only_its_own_merchants_payments(ottu: Merchant) -> None:
    session = await ottu.create()
    answer = await ottu.admin("merchants", {"merchant_id": "mer_other"})
    prefix, dot, _ = answer["api_key"].partition(".")
    assert (len(prefix), dot) == (8, ".")
    assert (await ottu.admin("merchants", {"merchant_id": "mer_other"})) == answer
    ottu.authorization = f"Api-Key {answer['api_key']}"
    await ottu.call(f"{PATH}{session['session_id']}/", method="GET", expect=404)


async def test_a_user_needs_the_plugins_permission_and_each_gateways(ottu: Merchant) -> None:
    await user(ottu, "Can add e-commerce payments", "Can use mpgs-kwd")
    session = await ottu.create()
    await ottu.call(PATH, ottu.checkout(type="payment_request"), expect=403)
    await ottu.call(PATH, ottu.checkout(pg_codes=["mpgs-kwd", "tap-kwd"]), expect=403)
    path = f"{PATH}{session['session_id']}/"
    await ottu.call(path, method="GET")
    await ottu.call(path, {"customer_phone": "1"}, method="PATCH", expect=403)
    await user(ottu, "Can change e-commerce payments")
    await ottu.call(path, {"customer_phone": "1"}, method="PATCH")
    await ottu.call(path, {"pg_codes": ["tap-kwd"]}, method="PATCH", expect=403)
    await ottu.call(path, ottu.checkout(), method="PUT", expect=403)


async def test_a_user_without_permissions_may_do_nothing(ottu: Merchant) -> None:
    session_id = (await ottu.create())["session_id"]
    await user(ottu)
    await ottu.call(f"{PATH}{session_id}/", method="GET", expect=403)
    await ottu.call("/b/pbl/v2/auto-debit/", {"session_id": session_id, "token": "1"}, expect=403)
    await ottu.operate("cancel", session_id, expect=403)
    await ottu.inquire(session_id, expect=403)
    await ottu.call("/b/pbl/v2/card/", {"customer_id": "c", "type": "sandbox"}, expect=403)
    methods = await ottu.call("/b/pbl/v2/payment-methods/", {"plugin": "e_commerce"})
    assert methods["payment_methods"] == []


# The wire


@pytest.mark.parametrize("path", [PATH, PATH.rstrip("/")])
async def test_both_forms_of_a_path_work(ottu: Merchant, path: str) -> None:
    session = await ottu.call(path, ottu.checkout(), expect=201)
    slash = "/" if path.endswith("/") else ""
    assert await ottu.call(f"{PATH}{session['session_id']}{slash}", method="GET") == session


async def test_unknown_paths_methods_and_bodies_are_refused(ottu: Merchant) -> None:
    assert await ottu.call("/b/pbl/v3/nothing/", {}, expect=404) == {"detail": "Not found."}
    assert await ottu.call("/b/pbl/v2/inquiry/", method="GET", expect=405) == {"detail": 'Method "GET" not allowed.'}
    text = await ottu.send("POST", PATH, headers={"content-type": "text/plain"}, content=b"hello")
    assert text.status_code == 415
    broken = await ottu.send("POST", PATH, headers={"content-type": "application/json"}, content=b"{")
    assert (broken.status_code, list(broken.json())) == (400, ["detail"])
    assert await ottu.call(PATH, [], expect=400) == {"non_field_errors": ["Invalid data. Expected a dictionary."]}


@pytest.mark.parametrize("multipart", [False, True])
async def test_forms_are_read_too(ottu: Merchant, multipart: bool) -> None:
    fields = {"type": "e_commerce", "amount": "3", "currency_code": "KWD", "pg_codes": ["mpgs-kwd", "knet-kwd"]}
    more: dict[str, Any] = {"files": {"attachment": b"%PDF"}} if multipart else {}
    answer = await ottu.send("POST", PATH, data=fields, **more)
    assert answer.status_code == 201, answer.text
    assert (answer.json()["amount"], answer.json()["pg_codes"]) == ("3.000", ["mpgs-kwd", "knet-kwd"])


# Create


async def test_a_session_is_answered_with_what_was_sent_and_where_to_pay(ottu: Merchant) -> None:
    sent = ottu.checkout()
    session = await ottu.create()
    assert len(session["session_id"]) == 40
    assert set(session["session_id"]) <= set("0123456789abcdef")
    assert {name: session[name] for name in sent} == sent
    assert session["checkout_url"].endswith(f"/b/checkout/redirect/start/?session_id={session['session_id']}")
    assert (session["state"], session["operation"], session["language"]) == ("created", "purchase", "en")
    assert (session["expiration_time"], session["due_datetime"]) == ("1 00:00:00", "20/11/2026 09:15:02")
    assert session["card_acceptance_criteria"] == {"min_expiry_time": 30}
    method = session["payment_methods"][0]
    assert (method["code"], method["pg"], method["type"], method["amount"]) == ("mpgs-kwd", "MPGS", "sandbox", "12.500")
    assert await ottu.retrieve(session["session_id"]) == session


@pytest.mark.parametrize(
    ("sent", "currency", "answered"),
    [
        ("19", "KWD", "19.000"),
        (19, "KWD", "19.000"),
        (0.5, "BHD", "0.500"),
        ("4.2", "USD", "4.20"),
        ("1200", "JPY", "1200"),
    ],
)
async def test_amounts_are_padded_to_the_currencys_decimals(
    ottu: Merchant, sent: object, currency: str, answered: str
) -> None:
    gateway = f"mpgs-{currency.lower()}"
    session = await ottu.create(amount=sent, currency_code=currency, pg_codes=[gateway])
    assert session["amount"] == answered


@pytest.mark.parametrize("spelling", ["%d/%m/%Y", "%Y-%m-%d"])
async def test_dates_are_read_in_both_spellings(ottu: Merchant, spelling: str) -> None:
    date = datetime(2027, 2, 1).strftime(spelling)  # noqa: DTZ001 - a date
    session = await ottu.create(agreement=terms(start_date=date, expiry_date=date))
    assert session["agreement"]["start_date"] == session["agreement"]["expiry_date"] == "01/02/2027"


async def test_a_missing_field_is_named(ottu: Merchant) -> None:
    errors = await ottu.call(PATH, {}, expect=400)
    assert errors == dict.fromkeys(("type", "amount", "currency_code", "pg_codes"), REQUIRED)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"type": "gift"}, "type"),
        ({"payment_type": "later"}, "payment_type"),
        ({"amount": "12.5001"}, "amount"),
        ({"amount": "-1"}, "amount"),
        ({"amount": "0"}, "amount"),
        ({"amount": "lots"}, "amount"),
        ({"amount": "NaN"}, "amount"),
        ({"amount": "1" * 14}, "amount"),
        ({"amount": True}, "amount"),
        ({"currency_code": "kwd"}, "currency_code"),
        ({"currency_code": "XYZ"}, "currency_code"),
        ({"currency_code": "USD"}, "pg_codes"),
        ({"pg_codes": []}, "pg_codes"),
        ({"pg_codes": ["nobody"]}, "pg_codes"),
        ({"pg_codes": ["knet-kwd"]}, "pg_codes"),
        ({"customer_id": None}, "customer_id"),
        ({"customer_id": "c" * 65}, "customer_id"),
        ({"agreement": None}, "agreement"),
        ({"payment_type": "one_off"}, "agreement"),
        ({"payment_type": None}, "agreement"),
        ({"order_no": "o" * 38}, "order_no"),
        ({"webhook_url": "ftp://merchant.test"}, "webhook_url"),
        ({"redirect_url": "https://m.test/" + "r" * 2000}, "redirect_url"),
        ({"card_acceptance_criteria": {"min_expiry_time": 366}}, "card_acceptance_criteria"),
        ({"expiration_time": "tomorrow"}, "expiration_time"),
        ({"due_datetime": "2026-11-21"}, "due_datetime"),
        ({"customer_phone": "1" * 17}, "customer_phone"),
        ({"language": "fr"}, "language"),
        ({"billing_address": {"line1": "1 Palm St", "city": "Kuwait"}}, "billing_address"),
    ],
)
async def test_a_wrong_field_is_named(ottu: Merchant, changes: dict[str, Any], field: str) -> None:
    assert list(await ottu.call(PATH, ottu.checkout(**changes), expect=400)) == [field]


@pytest.mark.parametrize(
    ("kind", "needed"),
    [
        ("recurring", SCHEDULED),
        ("unscheduled", {"frequency"}),
        ("installment", SCHEDULED | {"seller"}),
        ("event_based", SCHEDULED | {"seller"}),
        ("other", SCHEDULED | {"seller"}),
    ],
)
async def test_each_kind_of_agreement_has_its_required_terms(ottu: Merchant, kind: str, needed: set[str]) -> None:
    errors = await ottu.call(PATH, ottu.checkout(agreement={"id": "A", "type": kind}), expect=400)
    assert errors == {"agreement": dict.fromkeys(needed, REQUIRED)}
    frequency = "irregular" if kind == "unscheduled" else "monthly"
    await ottu.create(
        agreement={"id": "A", "type": kind} | {n: AGREEMENT[n] for n in needed} | {"frequency": frequency}
    )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"type": "unscheduled", "frequency": "monthly"}, "frequency"),
        ({"total_cycles": 1000}, "total_cycles"),
        ({"cycle_interval_days": 0}, "cycle_interval_days"),
        ({"frequency": "often"}, "frequency"),
        ({"expiry_date": "31/02/2027"}, "expiry_date"),
        ({"max_amount_per_cycle": "x"}, "max_amount_per_cycle"),
        ({"seller": {"short_name": "s" * 65}}, "seller"),
        ({"extra_params": {"payment_processing_day": 32}}, "extra_params"),
    ],
)
async def test_an_agreements_terms_have_limits(ottu: Merchant, change: dict[str, Any], field: str) -> None:
    errors = await ottu.call(PATH, ottu.checkout(agreement=terms(**change)), expect=400)
    assert list(errors["agreement"]) == [field]


async def test_extra_params_are_echoed(ottu: Merchant) -> None:
    given = terms(extra_params={"payment_processing_day": 31})
    assert (await ottu.create(agreement=given))["agreement"] == given


async def test_a_card_can_be_saved_for_nothing_only(ottu: Merchant) -> None:
    saving = {"payment_type": "save_card", "agreement": None}
    assert list(await ottu.call(PATH, ottu.checkout(**saving), expect=400)) == ["amount"]
    assert (await ottu.create(**saving, amount="0"))["amount"] == "0.000"


async def test_one_order_number_may_serve_twice_and_finds_the_newest(ottu: Merchant) -> None:
    first, second = await ottu.create(), await ottu.create()
    assert first["session_id"] != second["session_id"]
    await ottu.call("/b/pbl/v2/operation/", {"operation": "cancel", "order_no": first["order_no"]})
    assert await ottu.state(first["session_id"]) == "created"
    assert await ottu.state(second["session_id"]) == "canceled"


# Update, time


async def test_a_patch_keeps_the_other_fields_and_moves_the_end_from_creation(ottu: Merchant) -> None:
    session = await ottu.create()
    ottu.now = START + timedelta(hours=23)
    changes = {"expiration_time": "3 00:00:00", "due_datetime": "23/11/2026 09:15", "amount": "15"}
    changed = await ottu.call(f"{PATH}{session['session_id']}", changes, method="PATCH")
    assert (changed["expiration_time"], changed["due_datetime"]) == ("3 00:00:00", "23/11/2026 09:15:00")
    assert (changed["amount"], changed["order_no"]) == ("15.000", session["order_no"])
    assert changed["agreement"] == AGREEMENT
    ottu.now = START + timedelta(days=3) - timedelta(seconds=1)
    assert await ottu.state(session["session_id"]) == "created"
    await ottu.advance(timedelta(seconds=1))
    assert await ottu.state(session["session_id"]) == "expired"


async def test_a_put_replaces_and_a_patch_is_checked_as_a_whole(ottu: Merchant) -> None:
    path = f"{PATH}{(await ottu.create())['session_id']}/"
    assert await ottu.call(path, {"customer_id": None}, method="PATCH", expect=400) == {"customer_id": REQUIRED}
    assert "amount" in await ottu.call(path, {"type": "e_commerce"}, method="PUT", expect=400)
    replaced = await ottu.call(path, ottu.checkout(customer_email=None), method="PUT")
    assert "customer_email" not in replaced


async def test_a_session_ends_by_itself_after_a_day(ottu: Merchant) -> None:
    session = await ottu.create()
    state = await ottu.quiet()
    assert datetime.fromisoformat(state["next_due_at"]) == START + timedelta(days=1)
    await ottu.advance(timedelta(days=1))
    assert await ottu.state(session["session_id"]) == "expired"
    path = f"{PATH}{session['session_id']}/"
    refused = await ottu.call(path, {"amount": "1"}, method="PATCH", expect=400)
    assert refused["result"] == "failed"
    assert ottu.inbox.received == []


async def test_where_sessions_do_not_end_by_themselves_the_next_try_to_pay_ends_them(ottu: Merchant) -> None:
    await ottu.register(instance={"expire_sessions": False})
    session = await ottu.create()
    assert (await ottu.quiet())["next_due_at"] is None
    await ottu.advance(timedelta(days=2))
    assert await ottu.state(session["session_id"]) == "created"
    page = await ottu.pay(session["checkout_url"])
    assert (page.status_code, await ottu.state(session["session_id"])) == (410, "expired")


async def test_a_reset_keeps_the_merchants_only(ottu: Merchant) -> None:
    session_id = (await ottu.create())["session_id"]
    await ottu.admin("reset", {})
    await ottu.call(f"{PATH}{session_id}/", method="GET", expect=404)
    await ottu.create()


async def test_two_merchants_cannot_share_a_key(ottu: Merchant) -> None:
    body = {"merchant_id": "mer_thief", "api_key": (await ottu.register())["api_key"]}
    answer = await ottu.http.post(f"{ottu.base_url}/_sandbox/merchants", json=body)
    assert answer.status_code == 409
    assert (await ottu.register())["merchant_id"] == MERCHANT


async def test_a_clock_without_a_time_is_refused(ottu: Merchant) -> None:
    answer = await ottu.send("POST", PATH, ottu.checkout(), headers={"x-sandbox-time": "soon"})
    assert answer.status_code == 400
