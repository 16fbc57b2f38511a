"""What is not Ottu's own, unaltered word leaves a debit unknown; and whatever comes, nothing is raised."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateways.http import client
from gateways.ottu.connector import Ottu
from gateways.ottu.messages import Message, Unreadable, parsed, verified
from gateways.ottu.signing import BadSignature, sign
from gateways.port import Account, Call, ReversalAnswer, Verdict
from tests.gateways.ottu_fixtures import (
    AMOUNT,
    CALL,
    CHARGE,
    HMAC_KEY,
    ORDER,
    PAGE,
    PAID,
    REFUND,
    REFUNDED,
    SESSION,
    account,
    answers,
    connector,
    declined,
    signed,
)

RETRIEVED: dict[str, Any] = {
    "session_id": SESSION,
    "order_no": ORDER,
    "amount": "12.500",
    "currency_code": "KWD",
    "customer_id": "cust_7781",
    "agreement": {"id": "agr_1"},
}


def _json(status: int, body: Any, **headers: str) -> Callable[[httpx.Request], httpx.Response]:
    return lambda _: httpx.Response(status, content=json.dumps(body).encode(), headers=headers)


def _raising(error: Exception) -> Callable[[httpx.Request], httpx.Response]:
    def handler(_: httpx.Request) -> httpx.Response:
        raise error

    return handler


UNTRUSTED: dict[str, Callable[[httpx.Request], httpx.Response]] = {
    "unsigned": _json(200, PAID),
    "bad_signature": _json(200, signed(PAID, "another key")),
    "unreadable": lambda _: httpx.Response(200, content=b'{"result": "succ'),
    "http_500": _json(500, signed(PAID)),
    "http_503": lambda _: httpx.Response(503),
    "http_429": _json(429, {"detail": "Request was throttled."}),
    "http_423": _json(423, {"detail": "Locked."}),
    "http_302": lambda _: httpx.Response(302, headers={"location": "https://elsewhere.example/"}),
    "http_202": _json(202, signed(PAID)),
    "http_403": lambda _: httpx.Response(403, content=b"<html>a firewall</html>"),
    "http_400": lambda _: httpx.Response(400, content=b"[]"),
    "encoded": _json(200, signed(PAID), **{"content-encoding": "gzip"}),
    "too_large": lambda _: httpx.Response(200, content=b" " * (2 << 20)),
    "timeout": _raising(httpx.ReadTimeout("")),
    "connection": _raising(httpx.RemoteProtocolError("")),
    "not_connected": _raising(httpx.ConnectError("")),
}


@pytest.mark.parametrize("evidence", UNTRUSTED)
async def test_nothing_untrusted_decides_a_debit(evidence: str) -> None:
    calls: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        # As it comes from the network: a stream that is not unpacked yet.
        made = UNTRUSTED[evidence](request)
        return httpx.Response(made.status_code, headers=made.headers, stream=httpx.ByteStream(made.content))

    if evidence == "encoded":
        packed = httpx.Response(200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(b"\x1f"))
        got = await connector(lambda _: packed).charge(account(), CHARGE, CALL)
    else:
        got = await connector(handler).charge(account(), CHARGE, CALL)
        assert len(calls) == 1
    assert (got.verdict, got.evidence, got.decline) == (Verdict.UNKNOWN, evidence, None)


async def test_a_signature_over_altered_fields_is_wrong() -> None:
    altered = signed(declined()) | {"result": "success", "state": "paid", "amount": "12.500"}
    got = await connector(answers((200, altered))).charge(account(), CHARGE, CALL)
    assert (got.verdict, got.evidence) == (Verdict.UNKNOWN, "bad_signature")


async def test_both_calls_of_a_method_share_its_time() -> None:
    # Either alone would be in time; the first leaves a busy machine a second and a half.
    takes = [0.3, 1.7]

    async def slow(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(takes.pop(0))
        return httpx.Response(200, json=RETRIEVED | {"state": "attempted"})

    async with httpx.AsyncClient(transport=httpx.MockTransport(slow)) as http:
        got = await Ottu(http).inquire(account(), ORDER, Call(timedelta(seconds=1.8)), SESSION)
    assert (got.verdict, got.evidence) == (Verdict.UNKNOWN, "attempted:timeout")


@pytest.mark.parametrize(
    "broken",
    [
        replace(account(), keys={"api_key": "a.b"}),
        replace(account(), keys={"hmac_key": "x"}),
        account(api_key="line\nbreak"),
        account(base_url="https://\x00"),
        account(base_url="gopher://ottu.example"),
    ],
)
async def test_an_account_that_needs_repair_sends_nothing(broken: Account) -> None:
    calls: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        if request.url.scheme not in ("http", "https"):
            raise httpx.UnsupportedProtocol("")
        return httpx.Response(500)

    got = await connector(handler).charge(broken, CHARGE, CALL)
    assert got.verdict is Verdict.UNKNOWN
    assert got.evidence in ("account_keys", "account_base_url")
    assert all(call.url.scheme == "gopher" for call in calls)


async def test_a_request_carries_the_key_and_the_clock_only_to_a_sandbox() -> None:
    sent: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(500)

    for sandbox in (True, False):
        await connector(handler).refund(account(sandbox), REFUND, CALL)
    mine, theirs = sent
    assert mine.headers["authorization"] == "Api-Key DESERTBK.s3cret"
    assert (mine.url.path, mine.headers["tracking-key"]) == ("/b/pbl/v2/operation/", "rfd_1")
    assert json.loads(mine.content) == {"operation": "refund", "session_id": SESSION, "amount": "12.500"}
    assert mine.headers["x-sandbox-clock"] == "clk_1"
    assert not [name for name in theirs.headers if name.startswith("x-sandbox")]


# Looking before believing


@pytest.mark.parametrize(
    ("state", "verdict", "evidence"),
    [
        ("created", Verdict.DECLINED, "http_400:created"),
        ("attempted", Verdict.DECLINED, "http_400:attempted"),
        ("expired", Verdict.DECLINED, "http_400:expired"),
        ("canceled", Verdict.DECLINED, "http_400:canceled"),
        ("pending", Verdict.UNKNOWN, "pending"),
        ("paid", Verdict.SUCCEEDED, "paid"),
    ],
)
async def test_a_refused_debit_is_what_its_session_says(state: str, verdict: Verdict, evidence: str) -> None:
    refused = (400, {"detail": "Wrong state.", "result": "failed"})
    got = await connector(answers(refused, (200, RETRIEVED | {"state": state}))).charge(account(), CHARGE, CALL)
    assert (got.verdict, got.evidence) == (verdict, evidence)


async def test_a_refused_debit_whose_session_cannot_be_seen_is_unknown() -> None:
    got = await connector(answers((400, {"token": ["x"]}), (500, {}))).charge(account(), CHARGE, CALL)
    assert (got.verdict, got.evidence) == (Verdict.UNKNOWN, "http_400:http_500")


@pytest.mark.parametrize("asked", [(429, {"detail": "x"}), (400, {"detail": "x", "result": "failed"}), (500, {})])
async def test_an_attempted_session_is_unknown_until_the_gateway_was_asked(asked: tuple[int, Any]) -> None:
    seen = (200, RETRIEVED | {"state": "attempted"})
    got = await connector(answers(seen, asked)).inquire(account(), ORDER, CALL, SESSION)
    assert (got.verdict, got.evidence, got.payment_id) == (Verdict.UNKNOWN, f"attempted:http_{asked[0]}", SESSION)


async def test_an_attempted_session_the_gateway_calls_paid_is_paid() -> None:
    seen = (200, RETRIEVED | {"state": "expired"})
    got = await connector(answers(seen, (200, signed(PAID)))).inquire(account(), ORDER, CALL, SESSION)
    assert (got.verdict, got.amount) == (Verdict.SUCCEEDED, AMOUNT)


async def test_a_session_that_is_gone_is_not_one_that_was_never_paid() -> None:
    got = await connector(answers((404, {"detail": "Not found."}))).inquire(account(), ORDER, CALL, SESSION)
    assert (got.verdict, got.evidence) == (Verdict.UNKNOWN, "http_404")


@pytest.mark.parametrize(
    ("state", "answer", "verdict"),
    [
        ("attempted", (200, {"result": "success"}), Verdict.SUCCEEDED),
        ("attempted", (200, {"result": "failed"}), Verdict.UNKNOWN),
        ("created", (400, {"result": "failed"}), Verdict.UNKNOWN),
        ("authorized", (200, signed(REFUNDED | {"txn": {"state": "voided"}})), Verdict.SUCCEEDED),
        ("authorized", (200, signed(REFUNDED)), Verdict.UNKNOWN),
        ("authorized", (400, {"result": "failed"}), Verdict.UNKNOWN),
        ("canceled", None, Verdict.SUCCEEDED),
        ("paid", None, Verdict.DECLINED),
        ("failed", None, Verdict.DECLINED),
        ("expired", None, Verdict.DECLINED),
        ("invalided", None, Verdict.UNKNOWN),
    ],
)
async def test_a_cancel_goes_by_the_sessions_state(
    state: str, answer: tuple[int, Any] | None, verdict: Verdict
) -> None:
    script = [(200, RETRIEVED | {"state": state}), *([answer] if answer else [])]
    got = await connector(answers(*script)).cancel(account(), ORDER, CALL, SESSION)
    assert got.verdict is verdict


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ((400, {"detail": "x", "operation": "refund", "result": "failed"}), Verdict.DECLINED),
        ((400, {"detail": "x", "operation": "operation_tracking", "result": "failed"}), Verdict.UNKNOWN),
        ((401, {"detail": "x"}), Verdict.UNKNOWN),
        ((200, REFUNDED), Verdict.UNKNOWN),
        ((200, signed(REFUNDED)), Verdict.SUCCEEDED),
    ],
)
async def test_a_refund_fails_only_where_ottu_refuses_it(answer: tuple[int, Any], verdict: Verdict) -> None:
    assert (await connector(answers(answer)).refund(account(), REFUND, CALL)).verdict is verdict


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ((204, b""), Verdict.SUCCEEDED),
        ((404, {"detail": "Not found."}), Verdict.SUCCEEDED),
        ((400, {"detail": "This card is used."}), Verdict.DECLINED),
        ((403, {"detail": "x"}), Verdict.UNKNOWN),
        ((500, b""), Verdict.UNKNOWN),
    ],
)
async def test_a_card_is_gone_when_ottu_says_so(answer: tuple[int, Any], verdict: Verdict) -> None:
    got = await connector(answers(answer)).revoke(account(), "94/00", CALL, "cust&7781")
    assert got.verdict is verdict


async def test_a_cards_address_is_quoted() -> None:
    sent: list[httpx.URL] = []

    def handler(request: httpx.Request) -> httpx.Response:
        sent.append(request.url)
        return httpx.Response(204)

    await connector(handler).revoke(replace(account(), livemode=True), "94/00", CALL, "a&b")
    assert sent[0].raw_path == b"/b/pbl/v2/card/94%2F00/?customer_id=a%26b&type=production"


# Numbers and signatures


def test_a_signed_number_is_verified_as_it_was_written() -> None:
    body = (
        b'{"amount": 12.500, "result": "success", "signature": "'
        + sign({"amount": "12.500", "result": "success"}, HMAC_KEY).encode()
        + b'"}'
    )
    message = verified(parsed(body), HMAC_KEY)
    assert message.value("amount") == Decimal("12.500")


@pytest.mark.parametrize("body", [b"", b"NaN", b'{"a": Infinity}', b"[" * 100_000, b'{"a": 1e99999999999999999999}'])
def test_what_is_no_json_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        parsed(body)


def test_half_a_character_is_a_wrong_signature_like_any_other() -> None:
    with pytest.raises(BadSignature):
        verified(parsed(b'{"amount": "\\ud800", "signature": "\\udfff"}'), HMAC_KEY)


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("12.500", "KWD", 12_500),
        ("19", "KWD", 19_000),
        ("0.001", "BHD", 1),
        ("4.2", "USD", 420),
        ("1200", "JPY", 1_200),
        (Decimal("12.5"), "KWD", 12_500),
        (3, "AED", 300),
        ("0.000", "KWD", None),
        ("0.0001", "KWD", None),
        ("1.5", "JPY", None),
        ("-1.000", "KWD", None),
        ("1e3", "KWD", None),
        ("١", "KWD", None),
        ("12.500 KWD", "KWD", None),
        (True, "KWD", None),
        ("1", "XYZ", None),
        ("1", None, None),
        ("9" * 13, "KWD", None),
    ],
)
def test_amounts_are_read_exactly_or_not_at_all(amount: object, currency: str | None, minor: int | None) -> None:
    got = Message({"amount": amount, "currency_code": currency}).money()
    assert (got and got.value) == minor


# Whatever comes


def _values(numbers: st.SearchStrategy[float]) -> st.SearchStrategy[Any]:
    return st.recursive(
        st.none() | st.booleans() | st.integers() | numbers | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=8,
    )


JSON, FINITE = _values(st.floats()), _values(st.floats(allow_nan=False, allow_infinity=False))
KNOWN = st.sampled_from([RETRIEVED, PAID, REFUNDED, declined("DECLINED", "51")])
FIELDS = st.sampled_from([*PAID, "txn", "token", "pg_params", "gateway_response", "agreement", "operation", "detail"])


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Anything: bytes, JSON, and right messages with wrong fields, signed or not."""
    kind = draw(st.integers(0, 3))
    if kind == 0:
        return draw(st.binary(max_size=40))
    if kind == 1:
        return json.dumps(draw(JSON)).encode()
    body = {**draw(KNOWN), **draw(st.dictionaries(FIELDS, FINITE, max_size=3))}
    body["state"] = draw(st.sampled_from(["created", "attempted", "paid", "authorized", "pending", "new"]))
    text = json.dumps(body).encode()
    return text if kind == 2 else json.dumps(signed(parsed(text)), default=str).encode()


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([200, 201, 204, 400, 401, 404, 429, 500]), bodies()), min_size=2, max_size=2))
def test_no_answer_whatsoever_raises(script: list[tuple[int, bytes]]) -> None:
    handler: list[Callable[[httpx.Request], httpx.Response]] = [answers()]

    async def all_methods() -> list[Any]:
        async with client(httpx.MockTransport(lambda request: handler[0](request))) as http:
            ottu, got = Ottu(http), []
            for ask in (
                lambda: ottu.authorize(account(), PAGE, CALL),
                lambda: ottu.exchange(account(), "mpgs-kwd", SESSION, CALL),
                lambda: ottu.open(account(), CHARGE, CALL),
                lambda: ottu.charge(account(), CHARGE, CALL),
                lambda: ottu.inquire(account(), ORDER, CALL, SESSION),
                lambda: ottu.inquire(account(), ORDER, CALL),
                lambda: ottu.cancel(account(), ORDER, CALL, SESSION),
                lambda: ottu.cancel(account(), ORDER, CALL),
                lambda: ottu.refund(account(), REFUND, CALL),
                lambda: ottu.revoke(account(), "94", CALL, "cust"),
            ):
                handler[0] = answers(*script)
                got.append(await ask())
            return got

    for answer in asyncio.run(all_methods()):
        assert answer.verdict in Verdict
        assert isinstance(answer, ReversalAnswer) or answer.decline is None or answer.verdict is not Verdict.UNKNOWN
