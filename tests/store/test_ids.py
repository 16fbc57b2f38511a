"""Ids sort in the order they were made."""

from __future__ import annotations

from store import ids


def test_ids_of_one_burst_sort_as_made_and_differ() -> None:
    made = [ids.new("chg") for _ in range(5000)]
    assert made == sorted(set(made))
    assert {len(id_) for id_ in made} == {len("chg_") + 26}
