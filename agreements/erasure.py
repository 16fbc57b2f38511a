"""What of an agreement's document tells who its customer is, and the same document without it."""

from __future__ import annotations

from typing import Any

PERSONAL = ("name", "email", "phone")
"""Of a customer. Their `id` is the merchant's own, and by it what was paid is accounted for; a region names nobody."""


def without_person(document: Any) -> Any:
    """The document, an agreement's or one with agreements in it, without its customer's data and the merchant's notes;
    members stay where they are.
    """
    if isinstance(document, list):
        return [without_person(part) for part in document]
    if not isinstance(document, dict):
        return document
    return {name: _without(name, part) for name, part in document.items()}


def _without(name: str, part: Any) -> Any:
    if isinstance(part, dict) and name == "customer":
        return part | {member: None for member in PERSONAL if member in part}
    if isinstance(part, dict) and name == "metadata":
        return {}
    return without_person(part)
