"""What is taken out of a document about a customer, and what is not."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from agreements.erasure import without_person

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.sampled_from(["a", "name", "email"]), parts),
    max_leaves=8,
)


def test_the_person_and_the_notes_go_wherever_they_are_and_members_keep_their_order() -> None:
    customer = {"id": "cus-7", "email": "ana@example.com", "name": "Ana", "region": "PH"}
    document = {"agreement": {"customer": customer, "terms": {"name": "Gold"}, "metadata": {"a": 1}}, "seller": "X"}
    left = '{"agreement": {"customer": {"id": "cus-7", "email": null, "name": null, "region": "PH"}, "terms": {"name": '
    left += '"Gold"}, "metadata": {}}, "seller": "X"}'
    assert json.dumps(without_person(document)) == left
    assert json.dumps(without_person([document])) == f"[{left}]"


@given(_VALUES)
def test_what_is_about_no_customer_stays(document: object) -> None:
    assert without_person(document) == document
