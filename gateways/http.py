"""The one HTTP client all connectors share."""

from __future__ import annotations

from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

_CONNECT_SECONDS = 3.0
_IDLE_SECONDS = 15.0
"""Shorter than servers usually keep an idle connection: reusing one the server just closed costs an inquiry."""


def client(transport: httpx.AsyncBaseTransport | None = None) -> httpx.AsyncClient:
    """A client for calls that move money: verified TLS, no redirects, no retries, no cookies, nothing from the host.

    Its time-outs are per step only; every call must also set its own deadline (`asyncio.timeout`), since a server that
    sends a byte now and then never trips a read time-out. `trust_env` is off so that neither a proxy variable nor a
    .netrc of the host can divert a signed debit; the account's base URL is the only place that decides where it goes.
    Cookies are refused because the client is shared by all merchants. `transport` stands in for the network in tests.
    """
    return httpx.AsyncClient(
        verify=True,
        follow_redirects=False,
        trust_env=False,
        cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
        timeout=httpx.Timeout(30.0, connect=_CONNECT_SECONDS),
        limits=httpx.Limits(max_connections=200, max_keepalive_connections=50, keepalive_expiry=_IDLE_SECONDS),
        headers={"user-agent": "autodebit", "accept": "application/json", "accept-encoding": "identity"},
        transport=transport,
    )
