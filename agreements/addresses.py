"""Which addresses are the open internet's: the only ones that merchants' own may lead to in live mode."""

from __future__ import annotations

import ipaddress

_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
"""All that IANA hands out of IPv6. Outside of it `is_global` knows only some of what leads inwards: neither site-local
addresses (fec0::/10), nor a network's own NAT64 (64:ff9b:1::/48, RFC 8215), nor `::10.0.0.1`."""
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether it is one of the open internet's, whatever it is wrapped in. Raises ValueError for what is no address."""
    found = ipaddress.ip_address(address)
    if isinstance(found, ipaddress.IPv4Address):
        return _is_public(found)
    inside = [found.ipv4_mapped, found.sixtofour, *(found.teredo or ())]
    if found in _NAT64:
        inside.append(ipaddress.IPv4Address(int(found) & 0xFFFF_FFFF))
    wrapped = [one for one in inside if one is not None]
    if wrapped:
        return all(map(_is_public, wrapped))
    return found in _GLOBAL_UNICAST and _is_public(found)


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return address.is_global and not address.is_multicast
