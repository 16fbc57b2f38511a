"""Bad input of every kind is answered by a problem document, and nothing is started or changed."""

from __future__ import annotations

import gzip
import json
from typing import Any

import httpx
import pytest

from store import merchants
from store.database import Database
from store.merchants import Principal
from tests.api.conftest import Shop, assert_problem, body, rows

NOTHING = {name: 0 for name in ("Agreement", "IdempotencyKey", "Event", "Charge", "WebhookEndpoint", "TestClock")}


def without(*path: str) -> dict[str, Any]:
    """A create body that lacks one member."""
    made = body()
    inner = made
    for name in path[:-1]:
        inner = inner[name]
    del inner[path[-1]]
    return made


def terms(**changes: Any) -> dict[str, Any]:
    return body(terms=changes)


DANA = {"payment_method": {"type": "DANA"}}

WORKDAYS = {"calendar": "PH", "roll": "following"}
# From March on the 31sts are 30 days apart, but 31 July 2055 is a Saturday and rolls towards 31 August.
THIRTY_DAYS: dict[str, Any] = {"start_date": "2055-03-31", "total_cycles": 9, "cycle_interval_days": 30}

MEANINGLESS: list[tuple[str, dict[str, Any], str]] = [
    ("missing reference", without("reference"), "/reference"),
    ("missing gateway", without("gateway"), "/gateway"),
    ("missing method", without("payment_method", "type"), "/payment_method/type"),
    ("missing customer", without("customer", "id"), "/customer/id"),
    ("missing type", without("terms", "type"), "/terms/type"),
    ("missing amount", without("terms", "amount"), "/terms/amount"),
    ("missing frequency", without("terms", "frequency"), "/terms/frequency"),
    ("missing expiry of a recurring one", without("terms", "expiry_date"), "/terms/expiry_date"),
    ("missing return url", without("return_url"), "/return_url"),
    ("unknown field", body(colour="red"), "/colour"),
    ("unknown field of the terms", terms(colour="red"), "/terms/colour"),
    ("unknown field of the customer", body(customer={"id": "c", "vip": True}), "/customer/vip"),
    ("field name that needs escaping", body(**{"a/b~c": 1}), "/a~1b~0c"),
    ("fractional value", terms(amount={"currency": "PHP", "value": 499.5}), "/terms/amount/value"),
    ("value with a zero fraction", terms(amount={"currency": "PHP", "value": 499.0}), "/terms/amount/value"),
    ("value as text", terms(amount={"currency": "PHP", "value": "49900"}), "/terms/amount/value"),
    ("value as truth", terms(amount={"currency": "PHP", "value": True}), "/terms/amount/value"),
    ("zero", terms(amount={"currency": "PHP", "value": 0}), "/terms/amount/value"),
    ("negative", terms(amount={"currency": "PHP", "value": -1}), "/terms/amount/value"),
    ("beyond 64 bits", terms(amount={"currency": "PHP", "value": 2**64}), "/terms/amount/value"),
    ("unknown currency", terms(amount={"currency": "XYZ", "value": 100}), "/terms/amount/currency"),
    ("currency in small letters", terms(amount={"currency": "php", "value": 100}), "/terms/amount/currency"),
    ("currency the method does not take", terms(amount={"currency": "USD", "value": 49900}), "/terms/amount/currency"),
    ("below the method's minimum", terms(amount={"currency": "PHP", "value": 99}), "/terms/amount/value"),
    ("no whole rupiah", body(terms={"amount": {"currency": "IDR", "value": 3_000_050}}, **DANA), "/terms/amount/value"),
    ("dates reversed", terms(start_date="2055-02-01", expiry_date="2055-01-01"), "/terms/expiry_date"),
    ("start before today", terms(start_date="2020-01-01"), "/terms/start_date"),
    ("no such day", terms(start_date="2055-02-30"), "/terms/start_date"),
    ("date as Unix time", terms(start_date=1_800_000_000), "/terms/start_date"),
    ("amount above cap", terms(max_amount_per_cycle=100), "/terms/max_amount_per_cycle"),
    ("variable without cap", terms(amount_variability="variable"), "/terms/max_amount_per_cycle"),
    (
        "variable without amount and cap",
        terms(amount_variability="variable", amount=None),
        "/terms/max_amount_per_cycle",
    ),
    ("fixed without amount", terms(amount=None), "/terms/amount"),
    ("unknown zone", terms(timezone="Mars/Olympus"), "/terms/timezone"),
    ("impossible debit time", terms(debit_time="24:00"), "/terms/debit_time"),
    ("32nd", terms(payment_processing_day=32), "/terms/payment_processing_day"),
    ("gap longer than the period", terms(cycle_interval_days=40), "/terms/cycle_interval_days"),
    ("day in words", terms(payment_processing_day="first"), "/terms/payment_processing_day"),
    ("daily rolls", terms(frequency="daily", business_days=WORKDAYS), "/terms/business_days/roll"),
    ("rolls by no calendar", terms(business_days={"roll": "following"}), "/terms/business_days/calendar"),
    ("unknown calendar", terms(business_days=WORKDAYS | {"calendar": "XX"}), "/terms/business_days/calendar"),
    ("rolls too close", terms(**THIRTY_DAYS, business_days=WORKDAYS), "/terms/cycle_interval_days"),
    ("window over midnight", terms(debit_time="23:30", debit_window_minutes=31), "/terms/debit_window_minutes"),
    ("merging a fixed amount", terms(catch_up={"then": "merge"}), "/terms/catch_up/then"),
    ("catch-up past half the period", terms(catch_up={"within_days": 14}), "/terms/catch_up/within_days"),
    ("unknown gateway", body(gateway="paypal"), "/gateway"),
    ("unknown method", body(payment_method={"type": "CASH"}), "/payment_method/type"),
    ("retry policy that is a number", body(retry_policy=3), "/retry_policy"),
    ("unknown retry policy", body(retry_policy="hopeful"), "/retry_policy"),
    ("unknown test clock", body(test_clock="clk_01jd3w0000000000000000000a"), "/test_clock"),
    ("test clock that is no id", body(test_clock="'; drop table agreements --"), "/test_clock"),
    ("return url of another scheme", body(return_url="javascript:alert(1)"), "/return_url"),
    ("return url without a host", body(return_url="https:///return"), "/return_url"),
    ("return url with credentials", body(return_url="https://u:p@merchant.example/"), "/return_url"),
    ("return url with an impossible port", body(return_url="https://merchant.example:99999/"), "/return_url"),
    ("reference with a line break", body(reference="a\nb"), "/reference"),
    ("reference of 65 characters", body(reference="x" * 65), "/reference"),
    ("empty reference", body(reference=""), "/reference"),
    ("NUL in text", body(reference="a\0b"), "/reference"),
    ("half a surrogate pair", body(customer={"id": "\ud800"}), "/customer/id"),
    ("metadata that is no text", body(metadata={"plan": 3}), "/metadata/plan"),
    ("metadata key of 41 characters", body(metadata={"k" * 41: "v"}), f"/metadata/{'k' * 41}"),
    ("metadata value of 501 characters", body(metadata={"k": "v" * 501}), "/metadata/k"),
    ("metadata of 51 entries", body(metadata={str(n): "" for n in range(51)}), "/metadata"),
    ("a customer id that addresses cannot hold", body(customer={"id": ".."}), "/customer/id"),
    ("no e-mail address", body(customer={"id": "c", "email": "ana at example.com"}), "/customer/email"),
    ("no phone number in E.164", body(customer={"id": "c", "phone": "0917 000 0000"}), "/customer/phone"),
    ("a list for an object", body(customer=[]), "/customer"),
    ("null for an object", body(terms={}) | {"terms": None}, "/terms"),
]


@pytest.mark.parametrize(("sent", "pointer"), [m[1:] for m in MEANINGLESS], ids=[m[0] for m in MEANINGLESS])
async def test_a_body_without_meaning_is_refused_with_a_pointer(
    shop: Shop, database: Database, sent: dict[str, Any], pointer: str
) -> None:
    answer = await shop.http.post(
        "/v1/agreements", content=json.dumps(sent), headers=JSON | shop.bearer | {"Idempotency-Key": "k"}
    )
    assert_problem(answer, 422, "invalid_request", pointer)
    assert await rows(database, shop) == NOTHING


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (body(customer=[]), "must be an object"),
        (body(metadata=[]), "must be an object"),
        (terms(start_date="1999-12-31"), "input should be greater than or equal to 2000-01-01"),
        (terms(expiry_date="3000-01-01"), "input should be less than or equal to 2999-12-31"),
        (body(retry_policy={"patience": 1}), "unknown field"),
    ],
)
async def test_what_is_wrong_is_told_without_words_of_our_language(shop: Shop, sent: dict[str, Any], said: str) -> None:
    problem = assert_problem(await shop.post("/v1/agreements", sent), 422, "invalid_request")
    assert said in [error["detail"] for error in problem["errors"]]


SOUND = json.dumps(body())
JSON = {"content-type": "application/json"}
GZIP = {"content-encoding": "gzip"}

MALFORMED: list[tuple[str, bytes, dict[str, str], int, str]] = [
    ("cut off", SOUND[:-1].encode(), JSON, 400, "malformed_json"),
    ("not JSON", b"hello", JSON, 400, "malformed_json"),
    ("two values", b"{}{}", JSON, 400, "malformed_json"),
    ("duplicate member", SOUND.replace("{", '{"reference": "x",', 1).encode(), JSON, 400, "malformed_json"),
    ("NaN", SOUND.replace("49900", "NaN").encode(), JSON, 400, "malformed_json"),
    ("Infinity", SOUND.replace("49900", "-Infinity").encode(), JSON, 400, "malformed_json"),
    ("overflowing float", SOUND.replace("49900", "1e999").encode(), JSON, 400, "malformed_json"),
    ("5000 digits", SOUND.replace("49900", "9" * 5000).encode(), JSON, 400, "malformed_json"),
    ("too deep", b'{"metadata":' + b"[" * 30 + b"]" * 30 + b"}", JSON, 400, "malformed_json"),
    ("bottomless", b"[" * 60_000, JSON, 400, "malformed_json"),
    ("invalid UTF-8", b'{"reference": "\xff"}', JSON, 400, "malformed_json"),
    ("byte order mark", b"\xef\xbb\xbf" + SOUND.encode(), JSON, 400, "malformed_json"),
    ("UTF-16", SOUND.encode("utf-16"), JSON, 400, "malformed_json"),
    ("no type", SOUND.encode(), {}, 415, "unsupported_media_type"),
    ("form", b"a=b", {"content-type": "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"),
    ("text", SOUND.encode(), {"content-type": "text/plain"}, 415, "unsupported_media_type"),
    ("latin-1", SOUND.encode(), {"content-type": "application/json; charset=latin-1"}, 415, "unsupported_media_type"),
    ("compressed", gzip.compress(SOUND.encode()), JSON | GZIP, 415, "unsupported_media_type"),
    ("said to be compressed", SOUND.encode(), JSON | GZIP, 415, "unsupported_media_type"),
    ("too large", SOUND.encode() + b" " * 65536, JSON, 413, "body_too_large"),
    ("null", b"null", JSON, 422, "invalid_request"),
    ("array", b"[]", JSON, 422, "invalid_request"),
    ("nothing", b"", JSON, 422, "invalid_request"),
]


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"), [m[1:] for m in MALFORMED], ids=[m[0] for m in MALFORMED]
)
async def test_a_malformed_body_is_refused(
    shop: Shop, database: Database, content: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    headers = headers | shop.bearer | {"Idempotency-Key": "k"}
    answer = await shop.http.post("/v1/agreements", content=content, headers=headers)
    assert_problem(answer, status, code)
    assert await rows(database, shop) == NOTHING


async def test_a_body_that_grows_past_the_limit_is_refused_while_it_comes(shop: Shop) -> None:
    async def endless() -> Any:
        for _ in range(100):
            yield b" " * 1024

    headers = JSON | shop.bearer | {"Idempotency-Key": "k"}
    assert_problem(await shop.http.post("/v1/agreements", content=endless(), headers=headers), 413, "body_too_large")


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Basic dTpw", "Bearer sk_test_unknown", "Bearer \xff\xfe", "sk_test_x"],
)
async def test_a_bad_key_is_refused(shop: Shop, database: Database, authorization: str | None) -> None:
    headers: list[tuple[bytes, bytes]] = [(b"idempotency-key", b"k")]
    if authorization is not None:
        headers.append((b"authorization", authorization.encode("latin-1")))
    answer = await shop.http.post("/v1/agreements", json=body(), headers=headers)
    assert_problem(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert await rows(database, shop) == NOTHING


async def test_an_account_that_is_not_connected_in_this_mode_is_refused(shop: Shop, database: Database) -> None:
    async with database.transaction() as session:
        live_key = await merchants.issue_key(session, shop.principal.merchant_id, livemode=True)
    live = Shop(Principal(shop.principal.merchant_id, livemode=True), live_key, "", shop.http)
    assert_problem(await live.post("/v1/agreements", body()), 422, "invalid_request", "/gateway")
    assert await rows(database, live) == NOTHING


@pytest.mark.parametrize(
    "url",
    [
        "http://merchant.example/",
        "https://localhost/",
        "https://10.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://224.0.0.1/",
    ],
)
async def test_live_mode_takes_public_https_addresses_only(live_shop: Shop, database: Database, url: str) -> None:
    assert_problem(await live_shop.post("/v1/agreements", body(return_url=url)), 422, "invalid_request", "/return_url")
    assert_problem(await live_shop.post("/v1/webhook-endpoints", {"url": url}), 422, "invalid_request", "/url")
    assert await rows(database, live_shop) == NOTHING


async def test_live_mode_has_no_test_clocks(shop: Shop, live_shop: Shop, database: Database) -> None:
    clock = (await shop.post("/v1/test-clocks", {"now": "2055-01-01T00:00:00Z"})).json()["id"]
    assert_problem(
        await live_shop.post("/v1/agreements", body(test_clock=clock)), 422, "invalid_request", "/test_clock"
    )
    assert_problem(await live_shop.post("/v1/test-clocks", {"now": "2055-01-01T00:00:00Z"}), 422, "test_mode_only")
    assert_problem(await live_shop.get(f"/v1/test-clocks/{clock}"), 404, "not_found")
    assert await rows(database, live_shop) == NOTHING


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/v1/agreements/agr_nope", 404, "not_found"),
        ("GET", "/v1/agreements/%00", 404, "not_found"),
        ("GET", "/v1/agreements/%ff%fe", 404, "not_found"),
        ("GET", "/v1/charges/chg_01jd3w0000000000000000000a", 404, "not_found"),
        ("GET", "/v1/test-clocks/clk_%00", 404, "not_found"),
        ("GET", "/v1/webhook-endpoints/whe_%27", 404, "not_found"),
        ("GET", "/v1/agreements/", 404, "not_found"),
        ("POST", "/v1/agreements/agr_nope/pause/", 404, "not_found"),
        ("PUT", "/v1/agreements", 405, "method_not_allowed"),
        ("GET", "/v1/agreements?limit=0", 422, "invalid_request"),
        ("GET", "/v1/agreements?limit=x", 422, "invalid_request"),
        ("GET", "/v1/agreements?limit=1_0", 422, "invalid_request"),
        ("GET", "/v1/agreements?limit=%2B5", 422, "invalid_request"),
        ("GET", "/v1/agreements?limit=5&limit=6", 422, "invalid_request"),
        ("GET", "/v1/agreements?status=active&status=revoked", 422, "invalid_request"),
        ("GET", "/v1/agreements?status=asleep", 422, "invalid_request"),
        ("GET", "/v1/agreements?reference=%00", 422, "invalid_request"),
        ("GET", "/v1/agreements?cursor=%00", 422, "invalid_request"),
        ("GET", "/v1/agreements?cursor=WyJcdTAwMDAiXQ", 422, "invalid_request"),  # ["\u0000"]
        ("GET", "/v1/agreements?cursor=W10", 422, "invalid_request"),  # []
        ("GET", "/v1/agreements?cursor=%E2%82%AC", 422, "invalid_request"),
        ("GET", "/v1/events?after=evt_01jd3w0000000000000000000a", 422, "invalid_request"),
        ("GET", "/v1/events?after=WzFlOTksICJ4Il0", 422, "invalid_request"),  # [1e99, "x"]
        ("GET", "/v1/events?after=WzEwMDAwMDAwMDAwMDAwMDAwMDAwMDAsICJ4Il0", 422, "invalid_request"),
        ("GET", "/v1/charges?agreement=%00", 422, "invalid_request"),
        ("GET", "/problems/nonsense", 404, "not_found"),
    ],
)
async def test_the_framework_s_own_errors_look_the_same(
    shop: Shop, method: str, path: str, status: int, code: str
) -> None:
    answer = await shop.http.request(method, path, headers=shop.bearer)
    assert_problem(answer, status, code)


async def test_a_method_that_is_not_allowed_names_those_that_are(shop: Shop) -> None:
    assert "POST" in (await shop.http.put("/v1/agreements")).headers["allow"]


@pytest.mark.parametrize(
    "now", ["2055-01-01", "2055-01-01T00:00:00", 1_800_000_000, "1999-12-31T23:59:59Z", "2055-13-01T00:00:00Z", None]
)
async def test_an_instant_is_written_by_rfc_3339(shop: Shop, database: Database, now: object) -> None:
    assert_problem(await shop.post("/v1/test-clocks", {"now": now}), 422, "invalid_request", "/now")
    assert await rows(database, shop) == NOTHING


async def test_every_problem_has_a_page(http: httpx.AsyncClient) -> None:
    problem = assert_problem(await http.get("/nowhere"), 404, "not_found")
    page = await http.get(problem["type"])
    assert page.status_code == 200
    assert "not_found" in page.text
