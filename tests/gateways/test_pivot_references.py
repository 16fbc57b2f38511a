"""Our ids in letters and digits, there and back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateways.pivot.references import decoded, encoded, repeat_key

_IDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40)


def test_an_id_as_it_travels() -> None:
    assert encoded("agr_01jd3w-c12-a3") == "agrZ5f01jd3wZ2dc12Z2da3"
    assert encoded("Z") == "Z5a"
    assert decoded("agrZ5f01jd3wZ2dc12Z2da3") == "agr_01jd3w-c12-a3"


@given(_IDS)
def test_every_id_comes_back(request_id: str) -> None:
    sent = encoded(request_id)
    assert sent.isascii()
    assert sent.isalnum()
    assert decoded(sent) == request_id


@given(st.from_regex(r"(agr|chg|rfd)_[0-9a-z]{26}(-c[0-9]{1,3})?(-a[0-9]{1,2})?", fullmatch=True))
def test_our_ids_fit_and_are_read_in_either_form(request_id: str) -> None:
    assert len(encoded(request_id)) <= 100
    assert decoded(request_id) == request_id


@given(st.text(max_size=40))
def test_what_others_wrote_stays_as_it_is(reference: str) -> None:
    assert encoded(decoded(reference)) == reference or decoded(reference) == reference


@given(_IDS)
def test_a_repeat_key_has_the_documented_form_and_is_one_per_call(request_id: str) -> None:
    keys = [repeat_key(purpose, request_id) for purpose in ("page", "debit", "cancel", "refund")]
    assert len(set(keys)) == 4
    assert all(len(key) == 32 and key.isalnum() and key.isascii() for key in keys)
    assert keys == [repeat_key(purpose, request_id) for purpose in ("page", "debit", "cancel", "refund")]
