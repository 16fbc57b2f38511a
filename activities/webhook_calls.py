"""The calls to merchants' receivers: connections of their own, kept out of our own network (`webhook_network`).

Nothing here shares a connection, a thread or a time-out with the calls to providers: receivers may be as slow, and as
hostile, as they like.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpcore
import httpx

from activities.webhook_network import FAILURES, JudgedAddresses, PrivateAddress, Receivers, Resolve
from agreements.deliveries import LONGEST_ASKED
from store.deliveries import Attempted

_CONNECT_SECONDS = 3.0
_LOOK_UPS = 16
"""Threads for name look-ups: a name server that never answers holds one until the system gives up."""
_READ = 1024
"""Bytes of an answer's body that are read."""
_SHOWN = 300
"""Characters of it that the log shows."""

# What must not be kept, should a receiver send it back: keys, secrets, anything as long as a card number.
_SECRETS = re.compile(r"\b(?:whsec_|sk_(?:test|live)_)[\w+/=-]+|\bBearer\s+\S+|\b\d(?:[ -]?\d){12,18}\b", re.I)


class WebhookCalls:
    """Sends one request and tells what came of it. Made once per worker; `close` it at the end."""

    def __init__(
        self,
        *,
        timeout: timedelta = timedelta(seconds=15),
        resolve: Resolve | None = None,
        network: httpcore.AsyncNetworkBackend | None = None,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        """`timeout` is for one attempt as a whole (design §4); `resolve`, `network` and `trust` stand in for DNS, TCP
        and the system's certificates in tests.
        """
        self._timeout = timeout
        self._look_ups = ThreadPoolExecutor(_LOOK_UPS, thread_name_prefix="webhook-names")
        look_up, tcp = resolve or self._look_up, network or httpcore.AnyIOBackend()
        trusting = trust or httpx.create_ssl_context(trust_env=False)
        # Apart, because a connection that was made in test mode may lead to a private address.
        self._receivers = {
            livemode: Receivers(JudgedAddresses(look_up, tcp, public_only=livemode), trusting)
            for livemode in (False, True)
        }

    async def close(self) -> None:
        """Closes every connection."""
        for receivers in self._receivers.values():
            await receivers.aclose()
        self._look_ups.shutdown(wait=False, cancel_futures=True)

    async def post(
        self, url: str, headers: Mapping[str, str], body: str, *, livemode: bool, secrets: Sequence[str] = ()
    ) -> Attempted:
        """Never raises for the receiver's sake. Private addresses are refused in live mode; `secrets` are kept out of
        what is told of the answer.
        """
        at, started = datetime.now(UTC), time.monotonic()
        answer: httpcore.Response | None = None
        read = b""
        error: str | None
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                answer = await self._receivers[livemode].ask(_request(url, headers, body.encode()))
                try:
                    read = await _first_bytes(answer)
                finally:
                    await answer.aclose()
            error = None if httpx.codes.is_success(answer.status) else f"HTTP {answer.status}"
        except (OSError, UnicodeError, PrivateAddress, httpx.InvalidURL, *FAILURES) as failure:
            error = _in_words(failure, self._timeout)
        return Attempted(
            at=at,
            latency=timedelta(seconds=time.monotonic() - started),
            error=error,
            status=answer.status if answer is not None else None,
            answer=shown(read, secrets) or None,
            asked=_asked_for(answer, datetime.now(UTC)) if answer is not None else timedelta(0),
        )

    async def _look_up(self, name: str) -> Sequence[str]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._look_ups, lambda: socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        )
        return list(dict.fromkeys(str(address[0]) for *_, address in found))


def shown(body: bytes, secrets: Sequence[str] = ()) -> str:
    """The first bytes of an answer as the log keeps them: printable, and without anything that looks like a secret."""
    text = _SECRETS.sub("[redacted]", body.decode(errors="replace"))
    for secret in secrets:
        text = text.replace(secret.removeprefix("whsec_"), "[redacted]")
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()[:_SHOWN]


def _request(url: str, headers: Mapping[str, str], content: bytes) -> httpcore.Request:
    """One that takes nothing from the host, no proxy and no credentials, and gets no cookies."""
    to = httpx.URL(url)
    ours = {b"host": to.netloc, b"user-agent": b"autodebit", b"accept": b"application/json"}
    ours |= {b"accept-encoding": b"identity", b"content-length": b"%d" % len(content)}
    return httpcore.Request(
        "POST",
        httpcore.URL(scheme=to.raw_scheme, host=to.raw_host, port=to.port, target=to.raw_path),
        headers=[*ours.items(), *((name.encode(), value.encode()) for name, value in headers.items())],
        content=content,
        extensions={"timeout": {"connect": _CONNECT_SECONDS}},
    )


async def _first_bytes(answer: httpcore.Response) -> bytes:
    """A connection whose answer was read to its end is kept."""
    read = b""
    async for part in answer.aiter_stream():
        read += part
        if len(read) > _READ:
            break
    return read[:_READ]


def _in_words(failure: Exception, timeout: timedelta) -> str:
    if isinstance(failure, PrivateAddress):
        return str(failure)
    if isinstance(failure, httpcore.ConnectTimeout):
        return "no connection in time"
    if isinstance(failure, TimeoutError | httpcore.TimeoutException):
        return f"no answer within {timeout.total_seconds():g} seconds"
    return f"{type(failure).__name__}: {failure}"[:_SHOWN]


def _asked_for(answer: httpcore.Response, now: datetime) -> timedelta:
    """Retry-After, in seconds or as a date (RFC 9110 §10.2.3); nothing where it is absent or makes no sense."""
    text = httpx.Headers(answer.headers).get("retry-after", "").strip()
    try:
        wait = timedelta(seconds=int(text)) if text.isdecimal() else parsedate_to_datetime(text) - now
    except (ValueError, TypeError, OverflowError):
        return timedelta(0)
    return max(timedelta(0), min(wait, LONGEST_ASKED))
