"""Access tokens and calls to Pivot: bought once, renewed early, replaced once (gateways/pay-and-save.md §1.3-1.6)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from gateways.http import client
from gateways.pivot.connector import Pivot
from gateways.pivot.transport import AccessTokens, _Held
from gateways.port import Account, Call, Verdict
from tests.gateways.pivot_fixtures import CALL, CHARGE, CLIENT_ID, SECRET, account, error, ok, session, token_answer

OURS = account(references="plain")


@dataclass
class Network:
    """A Pivot that hands out bearer-1, bearer-2, …, and believes those in `believed`."""

    believed: Callable[[str], bool] = lambda bearer: True
    life: str = "900"
    token: Callable[[int], httpx.Response] | None = None
    requests: list[httpx.Request] = field(default_factory=list)

    async def take(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        await asyncio.sleep(0)
        if request.url.path == "/v1/access-token":
            number = len(self.of("/v1/access-token"))
            return self.token(number) if self.token else token_answer(f"bearer-{number}", self.life)
        bearer = request.headers["authorization"].removeprefix("Bearer ")
        if not self.believed(bearer):
            return httpx.Response(401, content=b"<html>")  # whatever stands in front of Pivot may say it too
        return httpx.Response(200, json=ok(session("PROCESSING")))

    def of(self, path: str) -> list[httpx.Request]:
        return [request for request in self.requests if request.url.path == path]

    @property
    def bearers(self) -> list[str]:
        return [request.headers["authorization"] for request in self.of("/v2/payments")]

    def pivot(self) -> Pivot:
        return Pivot(client(httpx.MockTransport(self.take)))


async def test_a_token_is_bought_with_the_accounts_credentials() -> None:
    network = Network()
    await network.pivot().charge(OURS, CHARGE, CALL)
    [bought] = network.of("/v1/access-token")
    assert bought.method == "POST"
    assert bought.content == b'{"grantType":"client_credentials"}'
    assert (bought.headers["x-merchant-id"], bought.headers["x-merchant-secret"]) == (CLIENT_ID, SECRET)
    assert network.bearers == ["Bearer bearer-1"]


async def test_calls_at_once_buy_one_token_for_all() -> None:
    network = Network()
    pivot = network.pivot()
    got = await asyncio.gather(*(pivot.charge(OURS, CHARGE, CALL) for _ in range(20)))
    assert {answer.verdict for answer in got} == {Verdict.PROCESSING}
    assert len(network.of("/v1/access-token")) == 1


async def test_another_secret_is_never_served_with_the_token_of_the_right_one() -> None:
    network = Network()
    pivot = network.pivot()
    await pivot.charge(OURS, CHARGE, CALL)
    await pivot.charge(account(references="plain", client_secret="guess"), CHARGE, CALL)
    await pivot.charge(account("https://elsewhere.example", references="plain"), CHARGE, CALL)
    secrets = [request.headers["x-merchant-secret"] for request in network.of("/v1/access-token")]
    assert secrets == [SECRET, "guess", SECRET]


@pytest.mark.parametrize(("life", "age", "bought"), [("900", 839, 1), ("900", 841, 2), ("30", 0, 2), ("soon", 0, 2)])
async def test_a_token_is_renewed_a_minute_before_its_end(life: str, age: float, bought: int) -> None:
    network, now = Network(life=life), [1000.0]
    tokens = AccessTokens(client(httpx.MockTransport(network.take)), steady=lambda: now[0])
    await tokens.bearer(OURS)
    now[0] += age
    assert await tokens.bearer(OURS) == f"bearer-{bought}"


async def test_a_refused_token_is_replaced_once_and_the_call_repeated_under_its_own_id() -> None:
    network = Network(believed=lambda bearer: bearer == "bearer-2")
    got = await network.pivot().charge(OURS, CHARGE, CALL)
    first, second = network.of("/v2/payments")
    assert got.verdict is Verdict.PROCESSING
    assert first.headers["x-request-id"] == second.headers["x-request-id"]
    assert first.content == second.content


async def test_a_token_refused_twice_says_nothing_about_the_debit() -> None:
    network = Network(believed=lambda bearer: False)
    got = await network.pivot().charge(OURS, CHARGE, CALL)
    assert (got.verdict, got.evidence) == (Verdict.UNKNOWN, "credentials_invalid")
    assert len(network.of("/v2/payments")) == 2


async def test_calls_refused_at_once_share_the_new_token() -> None:
    network = Network(believed=lambda bearer: bearer != "bearer-1")
    pivot = network.pivot()
    got = await asyncio.gather(*(pivot.charge(OURS, CHARGE, CALL) for _ in range(10)))
    assert {answer.verdict for answer in got} == {Verdict.PROCESSING}
    assert len(network.of("/v1/access-token")) == 2


async def test_a_token_that_was_replaced_meanwhile_is_not_dropped_for_the_old_ones_refusal() -> None:
    tokens = AccessTokens(client(httpx.MockTransport(Network().take)))
    assert await tokens.bearer(OURS) == "bearer-1"
    tokens.drop(OURS, "bearer-0")
    assert await tokens.bearer(OURS) == "bearer-1"
    tokens.drop(OURS, "bearer-1")
    assert await tokens.bearer(OURS) == "bearer-2"


@pytest.mark.parametrize(
    ("answer", "evidence"),
    [
        (httpx.Response(401, json=error("credentials_invalid")), "credentials_invalid"),
        (httpx.Response(400, json=error("api_validation_error")), "credentials_invalid"),
        (httpx.Response(503), "access_token_http_503"),
        (httpx.Response(200, content=b"{"), "access_token_unreadable"),
        (httpx.Response(200, json=ok({})), "access_token_unreadable"),
        (token_answer("no such\nbearer"), "access_token_unreadable"),
    ],
)
async def test_without_a_token_nothing_is_sent(answer: httpx.Response, evidence: str) -> None:
    network = Network(token=lambda number: answer)
    got = await network.pivot().charge(OURS, CHARGE, CALL)
    assert (got.verdict, got.evidence) == (Verdict.UNKNOWN, evidence)
    assert network.of("/v2/payments") == []


@pytest.mark.parametrize(
    ("ours", "evidence"),
    [
        (account(client_secret=""), "account_keys"),
        (account(client_id="zoë"), "account_keys"),
        (account("ftp://pivot.example"), "account_base_url"),
        (account("https://"), "account_base_url"),
    ],
)
async def test_an_account_that_cannot_be_used_says_so(ours: Account, evidence: str) -> None:
    async with client() as http:
        got = await Pivot(http).charge(ours, CHARGE, CALL)
    assert (got.verdict, got.evidence) == (Verdict.UNKNOWN, evidence)


async def _slow(request: httpx.Request) -> httpx.Response:
    await asyncio.sleep(60)
    raise AssertionError


async def _lost(request: httpx.Request) -> httpx.Response:
    if request.url.path == "/v1/access-token":
        return token_answer()
    raise httpx.ReadError("cut", request=request)


async def _away(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("nobody there", request=request)


@pytest.mark.parametrize(
    ("network", "seconds", "evidence"),
    [(_slow, 0.2, "timeout"), (_lost, 30, "connection"), (_away, 30, "not_connected")],
)
async def test_a_silence_is_unknown_and_ends_in_time(
    network: Callable[[httpx.Request], Awaitable[httpx.Response]], seconds: float, evidence: str
) -> None:
    pivot = Pivot(client(httpx.MockTransport(network)))  # type: ignore[arg-type]
    started = asyncio.get_running_loop().time()
    got = await pivot.charge(OURS, CHARGE, Call(timedelta(seconds=seconds)))
    assert (got.verdict, got.evidence) == (Verdict.UNKNOWN, evidence)
    assert asyncio.get_running_loop().time() - started < 30


async def test_one_callers_deadline_does_not_take_the_token_from_the_others() -> None:
    network = Network()
    release = asyncio.Event()

    async def held_up(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/access-token":
            await release.wait()
        return await network.take(request)

    pivot = Pivot(client(httpx.MockTransport(held_up)))
    hasty = asyncio.create_task(pivot.charge(OURS, CHARGE, Call(timedelta(seconds=0.05))))
    patient = asyncio.create_task(pivot.charge(OURS, CHARGE, CALL))
    assert (await hasty).evidence == "timeout"
    release.set()
    assert (await patient).verdict is Verdict.PROCESSING


async def test_a_test_clocks_time_goes_to_our_sandbox_only_and_never_with_the_token() -> None:
    call = Call(timedelta(seconds=5), "clk_1", datetime(2031, 1, 31, 1, tzinfo=UTC))
    for ours, sent in ((OURS, False), (replace(OURS, sandbox=True), True)):
        network = Network()
        await network.pivot().charge(ours, CHARGE, call)
        [bought], [charged] = network.of("/v1/access-token"), network.of("/v2/payments")
        assert ("x-sandbox-clock" in charged.headers) is sent
        assert "x-sandbox-clock" not in bought.headers


async def test_an_answer_too_large_or_packed_is_not_read() -> None:
    for answer, evidence in (
        (httpx.Response(200, content=b" " * (5 << 20)), "too_large"),
        (httpx.Response(200, headers={"content-encoding": "br"}, content=b"x"), "encoded"),
    ):
        network = Network(token=lambda number: token_answer())

        async def take(request: httpx.Request, answer: httpx.Response = answer) -> httpx.Response:
            return token_answer() if request.url.path == "/v1/access-token" else answer

        pivot = Pivot(client(httpx.MockTransport(take)))
        assert (await pivot.charge(OURS, CHARGE, CALL)).evidence == evidence
        assert network.requests == []


async def test_a_platform_acts_for_its_sub_merchant() -> None:
    network = Network()
    await network.pivot().charge(account(references="plain", submerchant_id="sub-1"), CHARGE, CALL)
    assert network.of("/v2/payments")[0].headers["x-submerchant-id"] == "sub-1"


def test_no_secret_is_shown() -> None:
    assert SECRET not in repr(OURS)
    assert "bearer-1" not in repr(AccessTokens(client(), _held={"x": _Held("bearer-1", 0)}))
