"""Who is at the other end of a request, as far as the network says. Personal data: see docs/consent.md."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Annotated

from fastapi import Depends, Request

from agreements.consents import Seen, Sighting
from store.tables.columns import utcnow

_LONGEST_USER_AGENT = 512


@dataclass(frozen=True)
class Peer:
    """`ip` in its usual notation; None where the server cannot tell, such as behind a Unix socket."""

    ip: str | None = field(repr=False)
    user_agent: str | None = field(repr=False)

    def seen(self, where: Seen, locale: str | None = None) -> Sighting:
        """The same as evidence of a consent, just now."""
        return Sighting(where=where, at=utcnow(), ip=self.ip, user_agent=self.user_agent, locale=locale)


def peer(request: Request) -> Peer:
    """The peer of a request.

    The address is the connection's, or what `X-Forwarded-For` says where the connection comes from one of the
    setting's `trusted_proxies`: the last address in it that is no such proxy's own (the application's
    `ProxyHeadersMiddleware` sees to that). Nobody else is believed.
    """
    agent = "".join(character for character in request.headers.get("user-agent", "") if character.isprintable())
    return Peer(
        ip=_address(request.client.host if request.client else ""), user_agent=agent[:_LONGEST_USER_AGENT] or None
    )


def _address(host: str) -> str | None:
    try:
        found = ip_address(host)
    except ValueError:
        return None
    # As servers that listen for both kinds of addresses write one of IPv4.
    return str((found.version == 6 and found.ipv4_mapped) or found)


Visitor = Annotated[Peer, Depends(peer)]
"""The peer of a route's request."""
