"""Every connector there is, by gateway. Apart from `gateways.notifications` because connectors need the HTTP client."""

from __future__ import annotations

import httpx

from gateways.antom import connector as antom
from gateways.ottu import connector as ottu
from gateways.pivot import connector as pivot
from gateways.port import Gateway


def connectors(client: httpx.AsyncClient) -> dict[str, Gateway]:
    """One connector per gateway; all of them share the client."""
    return {made.name: made for made in (antom.gateway(client), ottu.gateway(client), pivot.gateway(client))}
