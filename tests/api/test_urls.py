"""Merchants' own addresses, as customers are sent to them."""

from __future__ import annotations

import pytest

from api.urls import with_parameter


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://shop.example/back", "https://shop.example/back?id=agr_1"),
        ("https://shop.example/back?", "https://shop.example/back?id=agr_1"),
        ("https://shop.example?a=1#done", "https://shop.example?a=1&id=agr_1#done"),
        ("https://shop.example/?flag&s=a+b%20c;%FF%2f&e=", "https://shop.example/?flag&s=a+b%20c;%FF%2f&e=&id=agr_1"),
    ],
)
def test_a_parameter_is_added_and_nothing_else_changes(url: str, expected: str) -> None:
    assert with_parameter(url, "id", "agr_1") == expected
