"""Who is believed about a caller's address."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet
from pydantic import ValidationError
from starlette.requests import Request
from starlette.types import Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from api.peers import Peer, peer
from settings import Settings


def _settings(trusted_proxies: str) -> Settings:
    return Settings(
        database_url="postgresql+asyncpg://user:password@host:5432/autodebit",
        temporal_address="host:7233",
        vault_keys=Fernet.generate_key().decode(),
        vault_hash_key="hash key",
        trusted_proxies=trusted_proxies,
    )


async def _seen(client: tuple[str, int] | None, trusted_proxies: str = "", **headers: str) -> Peer:
    """What the application sees of a request, behind the middleware as `create_app` sets it up."""
    seen: list[Peer] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(peer(Request(scope)))

    trusted = [str(each) for each in _settings(trusted_proxies).trusted_proxies]
    raw = [(name.replace("_", "-").encode(), value.encode("latin1")) for name, value in headers.items()]
    scope = {"type": "http", "client": client, "headers": raw, "scheme": "http", "method": "GET", "path": "/"}
    await ProxyHeadersMiddleware(app, trusted)(scope, None, None)  # type: ignore[arg-type]
    return seen[0]


async def test_nobody_may_say_where_they_come_from_unless_a_trusted_proxy_does() -> None:
    forged = {"x_forwarded_for": "198.51.100.9"}
    assert (await _seen(("203.0.113.7", 1234), **forged)).ip == "203.0.113.7"
    assert (await _seen(("203.0.113.7", 1234), "10.0.0.0/8", **forged)).ip == "203.0.113.7"
    assert (await _seen(("10.1.2.3", 1234), "10.0.0.0/8", **forged)).ip == "198.51.100.9"


async def test_behind_several_proxies_the_last_address_that_is_not_ours_counts() -> None:
    claimed = "192.0.2.1, 198.51.100.9, 10.9.9.9"
    assert (await _seen(("10.1.2.3", 1), "10.0.0.0/8, 2001:db8::1", x_forwarded_for=claimed)).ip == "198.51.100.9"


async def test_an_address_of_ipv4_is_the_same_however_a_server_writes_it() -> None:
    """By its own notation a limit would count all of IPv4 as one caller, a single /64."""
    assert (await _seen(("::ffff:203.0.113.7", 1))).ip == "203.0.113.7"
    assert (await _seen(("10.1.2.3", 1), "10.1.2.3", x_forwarded_for="::FFFF:203.0.113.7")).ip == "203.0.113.7"
    assert (await _seen(("2001:DB8::7", 1))).ip == "2001:db8::7"


@pytest.mark.parametrize("claimed", ["unknown", "<script>", "198.51.100.999"])
async def test_what_is_no_address_is_none(claimed: str) -> None:
    assert (await _seen(("10.1.2.3", 1), "10.1.2.3", x_forwarded_for=claimed)).ip is None
    assert (await _seen(None)).ip is None


async def test_a_user_agent_is_kept_short_and_printable_and_neither_is_shown_in_a_repr() -> None:
    seen = await _seen(("203.0.113.7", 1), user_agent="Mozilla\x00/5.0 " + "x" * 1000)
    assert seen.user_agent == ("Mozilla/5.0 " + "x" * 1000)[:512]
    assert (await _seen(("203.0.113.7", 1))).user_agent is None
    assert "203.0.113.7" not in repr(seen)
    assert "Mozilla" not in repr(seen)


@pytest.mark.parametrize("wrong", ["*", "10.0.0.1/8", "proxy.example", "10.0.0.1, *"])
def test_a_proxy_is_an_address_or_a_network_never_everybody(wrong: str) -> None:
    with pytest.raises(ValidationError):
        _settings(wrong)
