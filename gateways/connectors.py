"""Every connector there is, by gateway. Apart from `gateways.notifications` because connectors need the HTTP client."""

from __future__ import annotations

from collections.abc import Mapping

import httpx

from gateways.antom import connector as antom
from gateways.ottu import connector as ottu
from gateways.ottu import on_file as ottu_cards
from gateways.pivot import connector as pivot
from gateways.pivot import on_file as pivot_methods
from gateways.port import Gateway, Lists


def connectors(clients: Mapping[str, httpx.AsyncClient]) -> dict[str, Gateway]:
    """One connector per gateway, with that gateway's client (`gateways/http.py`)."""
    makers = {"antom": antom.gateway, "ottu": ottu.gateway, "pivot": pivot.gateway}
    return {name: make(clients[name]) for name, make in makers.items()}


def calls_per_charge() -> dict[str, int]:
    """What an ordinary charge costs at each gateway: one call, or two where a debit is opened first."""
    return {kind.name: 2 if kind.traits.opens else 1 for kind in (antom.Antom, ottu.Ottu, pivot.Pivot)}


def lists(client: httpx.AsyncClient) -> dict[str, Lists]:
    """The gateways that can be asked what a customer has on file; Antom cannot, and tells by itself."""
    return {"ottu": ottu_cards.cards(client), "pivot": pivot_methods.methods(client)}
