"""The document a customer agrees to, and what is seen of them."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from agreements.consents import Evidence, Seen, Sighting, canonical, digest, document
from agreements.terms import Terms

TERMS = Terms.model_validate(
    {
        "type": "installment",
        "amount": {"currency": "PHP", "value": 49900},
        "frequency": "monthly",
        "start_date": "2027-01-31",
        "total_cycles": 12,
        "seller": {"name": "Café “Ñandú”", "short_name": "NANDU"},
    }
)
NOW = datetime(2027, 1, 1, tzinfo=UTC)


def shown(terms: Terms) -> dict[str, object]:
    return document(terms, merchant="Example Store", agreement="agr_1", reference="sub-1", payment_method="GCASH")


def test_an_auditor_gets_the_hash_from_the_document_by_any_rfc_8785_tool() -> None:
    """Members sorted, no blanks, UTF-8 as it is: written out by hand for a small document."""
    small = {"merchant": 'Café\n"1"', "b": [1, None, True], "agreement": {"z": 1, "a": "/"}}
    text = '{"agreement":{"a":"/","z":1},"b":[1,null,true],"merchant":"Café\\n\\"1\\""}'
    assert canonical(small) == text
    assert digest(canonical(small)) == hashlib.sha256(text.encode("utf-8")).hexdigest()


def test_the_document_names_everything_the_customer_agreed_to() -> None:
    made = shown(TERMS)
    assert set(made) == {"agreement", "merchant", "payment_method", "reference", "terms"}
    assert made["terms"]["amount"] == {"currency": "PHP", "value": 49900}  # type: ignore[index]
    assert made["terms"]["seller"]["name"] == "Café “Ñandú”"  # type: ignore[index]
    assert set(made["terms"]) == set(Terms.model_fields)  # type: ignore[call-overload]
    # What comes out of a database in another order is the same document.
    assert digest(canonical(json.loads(json.dumps(made, sort_keys=True)))) == digest(canonical(made))


@given(st.integers(min_value=1, max_value=10**12), st.integers(min_value=1, max_value=10**12))
def test_other_terms_have_another_hash(one: int, other: int) -> None:
    def hashed(value: int) -> str:
        amount = {"currency": "PHP", "value": value}
        return digest(canonical(shown(TERMS.model_copy(update={"amount": TERMS.amount.model_validate(amount)}))))  # type: ignore[union-attr]

    assert (hashed(one) == hashed(other)) is (one == other)


def test_a_customer_is_seen_once_by_each_address_and_at_most_ten_times() -> None:
    first = Sighting(where=Seen.RETURN, at=NOW, ip="198.51.100.9", user_agent="Firefox")
    found = Evidence().with_sighting(first).with_sighting(first.model_copy(update={"at": datetime.now(UTC)}))
    assert found.sightings == (first,)
    for number in range(20):
        found = found.with_sighting(first.model_copy(update={"ip": f"198.51.100.{100 + number}"}))
    assert len(found.sightings) == 10
    assert found.sightings[0] == first
