"""The shipped rulebook says what the notes say, on the right days."""

import re
from datetime import date, time, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agreements import rulebook
from agreements.declines import DeclineCategory as Category
from agreements.policies import WAITING_HELPS
from agreements.rulebook import NetworkAction, RulebookError, lookups
from tests.agreements import rulebook_folders
from tests.agreements.rulebook_folders import put

BOOK = rulebook.load()
DAY = date(2027, 1, 15)
DAYS = st.dates(date(2020, 1, 1), date(2199, 12, 31))
HOUR = timedelta(hours=1)

ANTOM = """
    USER_BALANCE_NOT_ENOUGH USER_AMOUNT_EXCEED_LIMIT PAYMENT_AMOUNT_EXCEED_LIMIT PAYMENT_COUNT_EXCEED_LIMIT
    USER_PAYMENT_VERIFICATION_FAILED VERIFY_TIMES_EXCEED_LIMIT UNAVAILABLE_PAYMENT_METHOD ORDER_IS_CLOSED
    ORDER_IS_CANCELED INVALID_ACCESS_TOKEN INVALID_CONTRACT AUTHENTICATION_REQUIRED USER_NOT_EXIST USER_STATUS_ABNORMAL
    USER_KYC_NOT_QUALIFIED VERIFY_UNMATCHED PAYMENT_NOT_QUALIFIED RISK_REJECT SUSPECTED_RISK FRAUD_REJECT
    PAYMENT_PROHIBITED REGULATION_RESTRICTION BUSINESS_NOT_SUPPORT CURRENCY_NOT_SUPPORT INVALID_AMOUNT
    ORDER_STATUS_INVALID ORDER_NOT_EXIST REPEAT_REQ_INCONSISTENT NO_PAY_OPTIONS SETTLE_CONTRACT_NOT_MATCH
    INVALID_MERCHANT_STATUS MERCHANT_KYB_NOT_QUALIFIED MERCHANT_NOT_REGISTERED ACCESS_DENIED INVALID_SIGNATURE
    KEY_NOT_FOUND NO_INTERFACE_DEF PARAM_ILLEGAL PROCESS_FAIL SYSTEM_ERROR
""".split()  # noqa: SIM905 - a list of words reads better
"""gateways/antom.md §8, the codes of a refused `pay`."""

OTTU_SOFT = "INSUFFICIENT_FUNDS DECLINED REFERRED ACQUIRER_SYSTEM_ERROR SYSTEM_ERROR UNSPECIFIED_FAILURE LOCK_FAILURE"
OTTU_HARD = """
    EXPIRED_CARD DECLINED_DO_NOT_CONTACT DECLINED_PAYMENT_PLAN BLOCKED NOT_SUPPORTED EXCEEDED_RETRY_LIMIT INVALID_CSC
    DECLINED_CSC DECLINED_AVS DECLINED_AVS_CSC DECLINED_INVALID_PIN DECLINED_PIN_REQUIRED AUTHENTICATION_FAILED
    NOT_ENROLLED_3D_SECURE CANCELLED ABORTED
"""
"""gateways/ottu.md §10.2."""

PIVOT_SOFT = "INSUFFICIENT_FUND CHANNEL_UNAVAILABLE DECLINED_BY_CHANNEL CHARGE_EXPIRED"
PIVOT_HARD = "INVALID_ACCOUNT SUSPECTED_FRAUD BLOCKED_BY_FDS AUTHENTICATION_FAILED CANCELLED_BY_USER"
"""gateways/pay-and-save.md §6.3."""


def meaning(gateway: str, code: str | None, on: date = DAY) -> lookups.Meaning:
    return BOOK.meaning(gateway, code, on)


def action(network: str, response: str | None, advice: str | None = None, on: date = DAY) -> list[NetworkAction]:
    return [rule.action for rule in BOOK.network_rule(network, response, advice, on)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return rulebook_folders.copy(tmp_path)


class TestMeanings:
    @pytest.mark.parametrize("code", ANTOM)
    def test_antoms_table_is_complete(self, code: str) -> None:
        assert meaning("antom", code).rule not in ("antom.unlisted", "unlisted")

    @pytest.mark.parametrize(
        ("gateway", "soft", "codes"),
        [
            ("ottu", True, OTTU_SOFT),
            ("ottu", False, OTTU_HARD),
            ("pivot", True, PIVOT_SOFT),
            ("pivot", False, PIVOT_HARD),
        ],
    )
    def test_what_may_be_tried_again_is_what_the_notes_allow(self, gateway: str, soft: bool, codes: str) -> None:
        for code in codes.split():
            found = meaning(gateway, code)
            assert not found.rule.endswith("unlisted"), code
            assert (found.category in WAITING_HELPS) is soft, code

    @pytest.mark.parametrize(
        ("gateway", "code", "category"),
        [
            ("ottu", "51", Category.INSUFFICIENT_FUNDS),
            ("ottu", "54", Category.EXPIRED_CARD),
            ("ottu", "61", Category.LIMIT_EXCEEDED),
            ("ottu", "55", Category.AUTHENTICATION_REQUIRED),
            ("ottu", "78", Category.DO_NOT_HONOR),
            ("ottu", "05", Category.DO_NOT_HONOR),
            ("ottu", "DECLINED:41", Category.LOST_OR_STOLEN),
            ("ottu", "DECLINED:99", Category.DO_NOT_HONOR),
            ("pivot", "DECLINED_BY_CHANNEL:54", Category.EXPIRED_CARD),
            ("pivot", "DECLINED_BY_CHANNEL:05", Category.DO_NOT_HONOR),
            ("pivot", "SUSPECTED_FRAUD:43", Category.LOST_OR_STOLEN),
            ("pivot", "SUSPECTED_FRAUD:59", Category.RISK),
        ],
    )
    def test_a_detail_after_the_colon_counts_where_it_says_more(
        self, gateway: str, code: str, category: Category
    ) -> None:
        assert meaning(gateway, code).category is category

    @pytest.mark.parametrize("gateway", ["antom", "pivot", "a_gateway_without_a_file"])
    @pytest.mark.parametrize("code", [None, "", "CODE_OF_NEXT_YEAR", "NEXT:YEAR"])
    def test_a_code_nobody_listed_is_for_a_person(self, gateway: str, code: str | None) -> None:
        found = meaning(gateway, code)
        assert (found.category, found.code) == (Category.REVIEW, "unlisted_refusal")

    def test_what_ottu_does_not_explain_is_tried_twice_more(self) -> None:
        found = meaning("ottu", "a gateway's own words")
        assert (found.category, found.at_most, found.then) == (Category.DO_NOT_HONOR, 2, Category.REVIEW)

    @pytest.mark.parametrize(
        ("code", "then"),
        [
            ("PAYMENT_AMOUNT_EXCEED_LIMIT", Category.REVIEW),
            ("USER_PAYMENT_VERIFICATION_FAILED", Category.AUTHENTICATION_REQUIRED),
        ],
    )
    def test_what_antom_allows_once_is_allowed_once(self, code: str, then: Category) -> None:
        found = meaning("antom", code)
        assert found.category in WAITING_HELPS
        assert (found.at_most, found.then) == (1, then)

    def test_verifications_are_free_again_after_a_day(self) -> None:
        assert meaning("antom", "VERIFY_TIMES_EXCEED_LIMIT").floor == 24 * HOUR

    def test_an_illegal_parameter_of_a_grant_is_the_code_itself(self) -> None:
        assert meaning("antom", "PARAM_ILLEGAL").category is Category.REVIEW
        granted = BOOK.meaning("antom", "PARAM_ILLEGAL", DAY, call="grant")
        assert (granted.category, granted.code) == (Category.INVALID_CREDENTIAL, "invalid_grant")
        refused = BOOK.meaning("antom", "RISK_REJECT", DAY, call="grant")
        assert refused == meaning("antom", "RISK_REJECT")

    def test_one_of_our_codes_never_stands_in_two_categories(self) -> None:
        for rules in BOOK.declines.values():
            seen: dict[str, Category] = {}
            for rule in rules:
                assert seen.setdefault(rule.code, rule.category) is rule.category

    @given(st.sampled_from(sorted(BOOK.declines)), st.none() | st.text(max_size=20) | st.sampled_from(ANTOM), DAYS)
    def test_every_code_means_something_on_every_day(self, gateway: str, code: str | None, on: date) -> None:
        found = BOOK.meaning(gateway, code, on)
        assert found.message
        assert found.rule != "unlisted"


class TestNetworks:
    @pytest.mark.parametrize(
        ("codes", "category", "wanted"),
        [
            ("04 07 14 15 41 43 46 57", 1, NetworkAction.NEW_CARD),
            ("12", 1, NetworkAction.OPERATOR),
            ("R0", 1, NetworkAction.CUSTOMER),
            ("R1 R3", 1, NetworkAction.REVOKE),
            ("03", 2, NetworkAction.OPERATOR),
            ("19 51 59 61 65 62 78 93 91 96 N3 N4 5C", 2, NetworkAction.RETRY),
            ("75 86 9G", 2, NetworkAction.CUSTOMER),
            ("54 82 N7", 3, NetworkAction.NEW_CARD),
            ("55 70 6P 1A", 3, NetworkAction.CUSTOMER),
            ("05 01 30 99 ZZ", 4, NetworkAction.RETRY),
        ],
    )
    def test_visas_categories(self, codes: str, category: int, wanted: NetworkAction) -> None:
        for code in codes.split():
            [rule] = BOOK.network_rule("visa", code, None, DAY)
            assert (rule.category, rule.action) == (category, wanted), code
            assert (rule.at_most == 0) is (category == 1), code

    @pytest.mark.parametrize(
        ("code", "hours", "at_most"),
        [("51", 24, None), ("59", 24, 1), ("62", 72, 1), ("5C", 72, 1), ("05", 24, None), ("91", 0.25, None)],
    )
    def test_visas_waits_and_counts(self, code: str, hours: float, at_most: int | None) -> None:
        [rule] = BOOK.network_rule("visa", code, None, DAY)
        assert (rule.floor, rule.at_most) == (hours * HOUR, at_most)

    @pytest.mark.parametrize(("on", "category"), [(date(2025, 4, 10), 4), (date(2025, 4, 11), 2)])
    def test_the_new_codes_count_from_their_day_on(self, on: date, category: int) -> None:
        for code in ("5C", "9G"):
            [rule] = BOOK.network_rule("visa", code, None, on)
            assert rule.category == category

    @pytest.mark.parametrize(
        ("advice", "wait"),
        [
            ("24", HOUR),
            ("25", 24 * HOUR),
            ("26", timedelta(days=2)),
            ("27", timedelta(days=4)),
            ("28", timedelta(days=6)),
            ("29", timedelta(days=8)),
            ("30", timedelta(days=10)),
        ],
    )
    def test_mastercards_waits_are_the_notes(self, advice: str, wait: timedelta) -> None:
        [rule] = BOOK.network_rule("mastercard", "51", advice, DAY)
        assert (rule.action, rule.floor) == (NetworkAction.RETRY, wait)

    @pytest.mark.parametrize(
        ("advice", "wanted"),
        [
            ("01", NetworkAction.NEW_CARD),
            ("02", NetworkAction.RETRY),
            ("03", NetworkAction.NEVER),
            ("04", NetworkAction.NEW_CARD),
            ("05", NetworkAction.OPERATOR),
            ("21", NetworkAction.REVOKE),
            ("22", NetworkAction.OPERATOR),
            ("40", NetworkAction.RETRY),
            ("41", NetworkAction.NEW_CARD),
            ("42", NetworkAction.NEVER),
            ("43", NetworkAction.RETRY),
        ],
    )
    def test_mastercards_advice(self, advice: str, wanted: NetworkAction) -> None:
        assert action("mastercard", None, advice) == [wanted]

    def test_advice_marks_poor_cards(self) -> None:
        marks = [BOOK.network_rule("mastercard", None, advice, DAY)[0].mark for advice in ("40", "41", "43")]
        assert marks == ["prepaid", "single_use", "multi_use"]

    def test_response_and_advice_both_speak(self) -> None:
        assert action("mastercard", "41", "24") == [NetworkAction.NEW_CARD, NetworkAction.RETRY]

    @pytest.mark.parametrize("network", ["mastercard", "amex", "a_network_of_next_year"])
    def test_without_advice_a_lost_card_is_lost_on_every_network(self, network: str) -> None:
        assert action(network, "43") == [NetworkAction.NEW_CARD]
        assert action(network, "R1") == [NetworkAction.REVOKE]
        assert action(network, "05") == []

    def test_a_network_is_known_by_its_name_in_any_case(self) -> None:
        assert BOOK.network_rule("Visa", "41", None, DAY) == BOOK.network_rule("visa", "41", None, DAY)
        assert BOOK.budgets("VISA", DAY) == BOOK.budgets("visa", DAY)

    def test_a_wallet_has_no_network(self) -> None:
        assert BOOK.network_rule(None, "41", "03", DAY) == ()
        assert BOOK.budgets(None, DAY) == ()


class TestBudgets:
    @pytest.mark.parametrize(
        ("network", "ceilings"),
        [
            ("visa", {(15, 720, True)}),
            ("mastercard", {(10, 24, False), (35, 720, True)}),
            ("amex", {(20, 24, False), (20, 720, False)}),
            ("jcb", {(20, 24, False), (20, 720, False)}),
        ],
    )
    def test_ceilings(self, network: str, ceilings: set[tuple[int, int, bool]]) -> None:
        found = BOOK.budgets(network, DAY)
        assert {(budget.limit, budget.window // HOUR, budget.same_amount) for budget in found} == ceilings

    @pytest.mark.parametrize(("on", "published"), [(date(2026, 3, 3), 15), (date(2026, 3, 4), 20)])
    def test_visas_published_figure_moved(self, on: date, published: int) -> None:
        [budget] = BOOK.budgets("visa", on)
        assert (budget.limit, budget.published) == (15, published)

    @given(DAYS)
    def test_strictest_first(self, on: date) -> None:
        limits = [budget.limit for budget in BOOK.every_budget(on)]
        assert limits == sorted(limits)
        assert limits[0] == 10


class TestRailsAndNotices:
    def test_antoms_methods_run_on_no_rail_of_their_own(self) -> None:
        assert BOOK.rail("antom", "GCASH", DAY) is None

    def test_a_method_is_put_on_a_rail_by_data_alone(self, folder: Path) -> None:
        put(folder / "rails.toml", 'rail = "upi_autopay"', 'rail = "upi_autopay"\nmethods = ["pivot:UPI"]', 2)
        book = rulebook.load(folder)
        rail = book.rail("pivot", "UPI", DAY)
        assert rail is not None
        assert (rail.max_tries, rail.status_checks_per_day, rail.status_check_gap_seconds) == (4, 3, 90)
        windows = {(window.timezone, window.start, window.end) for window in rail.windows}
        assert windows == {
            ("Asia/Kolkata", time(10), time(13)),
            ("Asia/Kolkata", time(17), time(21, 30)),
        }
        [duty] = book.notices(None, rail, 30, DAY)
        assert (duty.when, duty.latest, duty.proof) == ("debit", 24 * HOUR, True)
        before = book.rail("pivot", "UPI", date(2025, 7, 31))
        assert before is not None
        assert before.windows == ()

    @pytest.mark.parametrize(("interval", "owed"), [(None, False), (30, False), (181, True), (365, True)])
    def test_mastercard_wants_notice_of_long_intervals(self, interval: int | None, owed: bool) -> None:
        duties = [duty for duty in BOOK.notices("mastercard", None, interval, DAY) if duty.when == "debit"]
        assert [(duty.earliest, duty.latest) for duty in duties] == [(timedelta(30), timedelta(7))] * owed

    def test_visa_wants_notice_of_a_new_price(self) -> None:
        duties = {duty.when: duty.latest for duty in BOOK.notices("visa", None, 30, DAY)}
        assert duties == {"change": timedelta(days=7), "trial_end": timedelta(days=7)}

    def test_a_wallet_owes_no_notice(self) -> None:
        assert BOOK.notices(None, None, 365, DAY) == ()

    def test_india_wants_proof_a_day_ahead(self) -> None:
        [duty] = [duty for duty in BOOK.notice_duties if duty.rail == "in_e_mandate"]
        assert (duty.latest, duty.proof, duty.from_) == (24 * HOUR, True, date(2026, 4, 21))


class TestPayDays:
    def test_a_region_without_its_own_has_the_common_ones(self) -> None:
        assert BOOK.paydays("PH") == (15, "last")
        assert BOOK.paydays("AQ") == BOOK.paydays(None) != ()

    def test_they_are_said_to_be_an_assumption(self) -> None:
        assert {(rule.confidence, "assumption" in rule.source) for rule in BOOK.pay_days} == {("L", True)}


class TestVersion:
    def test_it_is_dated_and_names_the_bytes(self, folder: Path) -> None:
        assert re.fullmatch(r"2[0-9]{3}-[0-9]{2}\.[0-9]+\+[0-9a-f]{8}", BOOK.version)
        assert rulebook.load(folder).version == BOOK.version

    def test_another_figure_is_another_version(self, folder: Path) -> None:
        put(folder / "visa.toml", "floor_hours = 1\n", "floor_hours = 2\n")
        other = rulebook.load(folder).version
        assert other != BOOK.version
        assert other.partition("+")[0] == BOOK.version.partition("+")[0]


class TestChoosing:
    def test_a_process_goes_by_the_rulebook_it_chose(self, folder: Path) -> None:
        put(folder / "manifest.toml", BOOK.version.partition("+")[0], "2031-01.1")
        try:
            rulebook.use(folder)
            assert rulebook.current().version.startswith("2031-01.1+")
        finally:
            rulebook.use(None)
        assert rulebook.current() is BOOK

    def test_a_wrong_one_is_not_chosen(self, folder: Path) -> None:
        (folder / "manifest.toml").unlink()
        with pytest.raises(RulebookError):
            rulebook.use(folder)
        assert rulebook.current() is BOOK


def test_a_new_file_with_a_new_gateway_and_a_new_network_needs_no_code(folder: Path) -> None:
    (folder / "declines" / "acme.toml").write_text(
        """
        [[decline]]
        id = "acme.everything"
        codes = ["*"]
        category = "risk"
        code = "refused"
        what = "Refused."
        source = "acme's page"
        confidence = "L"
        from = 2027-01-01
        until = 2027-01-31

        [[decline]]
        id = "acme.everything_since"
        codes = ["*"]
        category = "review"
        code = "refused"
        what = "Refused."
        source = "acme's page"
        confidence = "L"
        from = 2027-02-01
        """,
        encoding="utf-8",
    )
    (folder / "acme_cards.toml").write_text(
        """
        [[budget]]
        id = "acme.per_day"
        what = "3 a day"
        network = "acme"
        limit = 12
        published = 12
        window_hours = 24
        same_amount = false
        source = "acme's page"
        confidence = "L"
        from = 2027-01-01
        """,
        encoding="utf-8",
    )
    book = rulebook.load(folder)
    assert book.meaning("acme", "x", date(2027, 1, 31)).category is Category.RISK
    assert book.meaning("acme", "x", date(2027, 2, 1)).category is Category.REVIEW
    assert [budget.limit for budget in book.budgets("acme", DAY)] == [12]
