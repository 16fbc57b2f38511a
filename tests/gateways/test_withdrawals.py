"""What each gateway's refusals say of a payer who withdrew: the agreement ends at R1, R3 and advice 21, and only there.

R0 stops one payment and suspends the agreement until the payer confirms (payment-rules §2.1); INVALID_ACCESS_TOKEN is
also the answer to an expired token and asks for another authorization (gateways/antom.md §8).
"""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from agreements import rulebook
from agreements.declines import Decline
from agreements.policies import resolve
from agreements.retries import Action, Case, decide
from agreements.schedule import Plan
from gateways.antom import codes as antom
from gateways.ottu import codes as ottu
from gateways.pivot import codes as pivot
from tests.agreements.strategies import monthly

NETWORKS = (None, "visa", "mastercard", "amex", "a network nobody has heard of")
NOW = datetime(2027, 2, 10, 1, 0, tzinfo=UTC)


def at_ottu(issuer: str, advice: str | None = None) -> list[Decline]:
    """In every way Ottu's gateways put it."""
    raw = (issuer, f"DECLINED:{issuer}", f"DECLINED_DO_NOT_CONTACT:{issuer}", "DECLINED_DO_NOT_CONTACT")
    return [ottu.decline(each, network_code=issuer, network_advice=advice) for each in raw]


def at_pivot(issuer: str) -> list[Decline]:
    return [pivot.decline("DECLINED_BY_CHANNEL", issuer)]


def follows(gateway: str, decline: Decline, network: str | None, *, refreshable: bool = False) -> Action:
    """The first attempt of a cycle is refused like this."""
    case = Case(
        plan=Plan(monthly()),
        gateway=gateway,
        decline=decline,
        attempt=1,
        earlier=(),
        window_start=NOW,
        next_due_at=None,
        refreshable=refreshable,
        network=network,
        spent=(),
        region=None,
    )
    book = rulebook.current()
    return decide(case, resolve("standard", book, date(2027, 1, 1)), book, NOW).action


@pytest.mark.parametrize("issuer", ["R1", "R3"])
def test_an_authorization_revoked_at_the_bank_ends_the_agreement(issuer: str) -> None:
    for network in NETWORKS:
        told = [follows("ottu", decline, network) for decline in at_ottu(issuer)[:3]]
        told += [follows("pivot", decline, network) for decline in at_pivot(issuer)]
        assert set(told) == {Action.REVOKE}, network
    # Ottu's word alone says less; the network's rules read the bank's code beside it.
    assert follows("ottu", at_ottu(issuer)[3], "visa") is Action.REVOKE


@pytest.mark.parametrize("issuer", ["05", "51", "57", "54"])
def test_advice_21_outranks_whatever_the_decline_says(issuer: str) -> None:
    for decline in at_ottu(issuer, "21"):
        assert follows("ottu", decline, "mastercard") is Action.REVOKE
        assert follows("ottu", decline, "visa") is not Action.REVOKE


def test_a_stopped_payment_waits_for_the_payer() -> None:
    for network in NETWORKS:
        told = [follows("ottu", decline, network) for decline in at_ottu("R0")[:3]]
        told += [follows("pivot", decline, network) for decline in at_pivot("R0")]
        assert set(told) == {Action.NEEDS_CUSTOMER}, network


@pytest.mark.parametrize("code", ["INVALID_ACCESS_TOKEN", "INVALID_CONTRACT"])
def test_a_token_antom_does_not_take_is_refreshed_or_replaced(code: str) -> None:
    assert follows("antom", antom.decline(code), None) is Action.NEEDS_NEW_CARD
    assert follows("antom", antom.decline(code), None, refreshable=True) is Action.RETRY


def test_no_other_refusal_ends_an_agreement() -> None:
    """By the providers' own tables: every code that is listed, with no word of a network beside it."""
    book, on = rulebook.current(), date(2027, 2, 10)
    ending = {
        (gateway, code)
        for gateway, rules in book.declines.items()
        for rule in rules
        for code in rule.codes
        if follows(gateway, _said(gateway, code, on), None) is Action.REVOKE
    }
    assert {code.rpartition(":")[2] for _, code in ending} == {"R1", "R3"}
    assert {gateway for gateway, _ in ending} == {"ottu", "pivot"}


def _said(gateway: str, code: str, on: date) -> Decline:
    meaning = rulebook.current().meaning(gateway, code, on)
    return Decline(category=meaning.category, code=meaning.code, raw_code=code)
