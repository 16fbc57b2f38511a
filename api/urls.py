"""Addresses given by merchants: where customers return to, where webhooks go."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit, urlunsplit

from agreements.addresses import is_public

LONGEST = 2048
_LOCAL_NAMES = ("localhost", "local", "internal", "localdomain")


def refuse(url: str, *, livemode: bool) -> str | None:
    """Why this address is not taken, in plain words; None if nothing speaks against it.

    Live mode wants https and a public host. What a public name resolves to is checked when it is called.
    """
    if len(url) > LONGEST or not url.isascii() or not url.isprintable() or " " in url:
        return f"an address is at most {LONGEST} printable ASCII characters"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "not a well-formed address"
    if parts.scheme not in ("http", "https") or not host:
        return "an address begins with https:// (or http:// in test mode) and names a host"
    if parts.username is not None or parts.password is not None:
        return "an address must not hold credentials"
    if livemode and parts.scheme != "https":
        return "live mode takes https only"
    if livemode and not _public(host):
        return "live mode takes public hosts only"
    return None


def with_parameter(url: str, name: str, value: str) -> str:
    """The address with one more query parameter; what it has stays as it is, letter by letter: it may be signed."""
    parts = urlsplit(url)
    query = "&".join(filter(None, (parts.query, urlencode({name: value}))))
    return urlunsplit(parts._replace(query=query))


def _public(host: str) -> bool:
    name = host.rstrip(".").lower()
    try:
        return is_public(name)
    except ValueError:
        pass
    # A single label, or digits such as 2130706433 and 0x7f.1 that resolvers read as addresses, is no public name.
    labels = name.split(".")
    return len(labels) > 1 and labels[-1] not in _LOCAL_NAMES and labels[-1][:1].isalpha()
