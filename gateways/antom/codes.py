"""Antom's result codes and what they mean for the next step, as data. Source: gateways/antom.md sections 3 and 8."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from agreements.declines import Decline
from agreements.declines import DeclineCategory as Category

IN_PROGRESS = frozenset({"PAYMENT_IN_PROCESS", "REFUND_IN_PROCESS", "AUTH_IN_PROCESS"})
"""Antom has it and has not decided, whichever status letter comes with the code (not published for all of them)."""

OUTCOME_UNKNOWN = frozenset({"UNKNOWN_EXCEPTION", "REQUEST_TRAFFIC_EXCEED_LIMIT"})
"""Nothing is known, whichever status letter comes with the code: inquire, or repeat the identical call."""

PAY_INQUIRE_FIRST = frozenset({"REPEAT_REQ_INCONSISTENT", "ORDER_STATUS_INVALID", "ORDER_NOT_EXIST"})
"""Refusals of a pay call that say nothing about the money: an earlier call with the id may have paid."""

REFUND_INQUIRE_FIRST = frozenset({"REPEAT_REQ_INCONSISTENT"})
"""Refusals of a refund call that say nothing about the money: an earlier call with the id may have refunded."""

REFUND_NOT_FOUND = frozenset({"REFUND_NOT_EXIST", "ORDER_NOT_EXIST"})
"""Answers of inquiryRefund to an id it never saw; the real code is not published."""


class Meaning(NamedTuple):
    """Our reading of a code: for the retry rules, for programs, for people."""

    category: Category
    code: str
    message: str


_BALANCE = Meaning(Category.INSUFFICIENT_FUNDS, "insufficient_funds", "The balance is too low.")
_RISK = Meaning(Category.RISK, "risk_rejected", "The provider's risk control refused the debit.")
_TOKEN = Meaning(Category.INVALID_CREDENTIAL, "invalid_token", "The authorization is no longer valid.")
_CUSTOMER = Meaning(Category.AUTHENTICATION_REQUIRED, "authentication_required", "The customer must confirm in person.")
_PROHIBITED = Meaning(Category.REVIEW, "prohibited", "Law or the provider's rules forbid this debit.")
_REQUEST = Meaning(Category.REVIEW, "request_not_supported", "This method does not take such a debit.")
_GENERIC = Meaning(Category.REVIEW, "processing_failed", "The provider could not process it and gave no reason.")
_REFUND = Meaning(Category.REVIEW, "refund_not_supported", "This payment cannot be refunded this way.")
_CLIENT = Meaning(Category.CONFIGURATION, "client_not_accepted", "The provider does not accept the merchant's account.")
_SIGNATURE = Meaning(Category.CONFIGURATION, "signature_refused", "The provider does not accept the merchant's key.")
_REQUEST_FORM = Meaning(Category.CONFIGURATION, "request_refused", "The provider does not accept the form of our call.")
_CONTRACT = Meaning(Category.CONFIGURATION, "not_contracted", "The merchant's contract does not cover this method.")
_MERCHANT = Meaning(Category.CONFIGURATION, "merchant_not_qualified", "The provider has suspended the merchant.")

MEANINGS: Mapping[str, Meaning] = {
    # a later attempt can succeed
    "USER_BALANCE_NOT_ENOUGH": _BALANCE,
    "USER_AMOUNT_EXCEED_LIMIT": Meaning(Category.LIMIT_EXCEEDED, "limit_exceeded", "The customer's limit is reached."),
    "PAYMENT_AMOUNT_EXCEED_LIMIT": Meaning(Category.LIMIT_EXCEEDED, "amount_limit", "The amount is above a limit."),
    "PAYMENT_COUNT_EXCEED_LIMIT": Meaning(Category.LIMIT_EXCEEDED, "count_limit", "Too many payments in the period."),
    "VERIFY_TIMES_EXCEED_LIMIT": Meaning(Category.LIMIT_EXCEEDED, "verification_limit", "Too many verifications."),
    "UNAVAILABLE_PAYMENT_METHOD": Meaning(
        Category.ISSUER_UNAVAILABLE, "issuer_unavailable", "The payment method is out of service for now."
    ),
    "ORDER_IS_CLOSED": Meaning(Category.ISSUER_UNAVAILABLE, "attempt_expired", "The attempt ran out of time."),
    # the customer has to act
    "INVALID_ACCESS_TOKEN": _TOKEN,
    "INVALID_CONTRACT": _TOKEN,
    "INVALID_REFRESH_TOKEN": _TOKEN,
    "EXPIRED_REFRESH_TOKEN": _TOKEN,
    "AUTHENTICATION_REQUIRED": _CUSTOMER,
    "USER_PAYMENT_VERIFICATION_FAILED": _CUSTOMER,
    "VERIFY_UNMATCHED": _CUSTOMER,
    "USER_KYC_NOT_QUALIFIED": Meaning(
        Category.AUTHENTICATION_REQUIRED, "customer_not_verified", "The customer must complete the wallet's checks."
    ),
    "PAYMENT_NOT_QUALIFIED": Meaning(
        Category.AUTHENTICATION_REQUIRED, "customer_not_qualified", "The customer's account may not pay this."
    ),
    "USER_NOT_EXIST": Meaning(Category.CLOSED_ACCOUNT, "closed_account", "The customer's account does not exist."),
    "USER_STATUS_ABNORMAL": Meaning(Category.CLOSED_ACCOUNT, "account_blocked", "The customer's account is blocked."),
    # never by itself
    "RISK_REJECT": _RISK,
    "SUSPECTED_RISK": _RISK,
    "FRAUD_REJECT": _RISK,
    "PAYMENT_PROHIBITED": _PROHIBITED,
    "REGULATION_RESTRICTION": _PROHIBITED,
    "BUSINESS_NOT_SUPPORT": _REQUEST,
    "CURRENCY_NOT_SUPPORT": _REQUEST,
    "INVALID_AMOUNT": _REQUEST,
    "PARAM_ILLEGAL": Meaning(Category.REVIEW, "invalid_request", "The provider refused a field of the request."),
    "ORDER_IS_CANCELED": Meaning(Category.REVIEW, "order_canceled", "The order was canceled before."),
    "ORDER_STATUS_INVALID": Meaning(Category.REVIEW, "order_status", "The order is in another state."),
    "ORDER_NOT_EXIST": Meaning(Category.REVIEW, "order_unknown", "The provider does not know the order."),
    "REPEAT_REQ_INCONSISTENT": Meaning(Category.REVIEW, "id_reused", "The request id was used with other contents."),
    "PROCESS_FAIL": _GENERIC,
    "SYSTEM_ERROR": _GENERIC,
    # set-up
    "NO_PAY_OPTIONS": _CONTRACT,
    "SETTLE_CONTRACT_NOT_MATCH": _CONTRACT,
    "INVALID_API": _CONTRACT,
    "ACCESS_DENIED": _CONTRACT,
    "CLIENT_FORBIDDEN_ACCESS_API": _CONTRACT,
    "INVALID_MERCHANT_STATUS": _MERCHANT,
    "MERCHANT_KYB_NOT_QUALIFIED": _MERCHANT,
    "MERCHANT_NOT_REGISTERED": _MERCHANT,
    "INVALID_CLIENT_STATUS": _CLIENT,
    "INVALID_CLIENT": _CLIENT,
    "UNKNOWN_CLIENT": _CLIENT,
    "CLIENT_INVALID": _CLIENT,
    "OAUTH_FAILED": _CLIENT,
    "INVALID_SIGNATURE": _SIGNATURE,
    "SIGNATURE_INVALID": _SIGNATURE,
    "KEY_NOT_FOUND": _SIGNATURE,
    "NO_INTERFACE_DEF": _REQUEST_FORM,
    "MEDIA_TYPE_NOT_ACCEPTABLE": _REQUEST_FORM,
    "METHOD_NOT_SUPPORTED": _REQUEST_FORM,
    # cancel and refund
    "CANCEL_WINDOW_EXCEED": Meaning(Category.REVIEW, "cancel_window", "Too late to cancel; refund instead."),
    "REFUND_WINDOW_EXCEED": Meaning(Category.REVIEW, "refund_window", "Too late to refund."),
    "REFUND_AMOUNT_EXCEED": Meaning(Category.REVIEW, "refund_amount", "More than what is left to refund."),
    "PARTIAL_REFUND_NOT_SUPPORTED": _REFUND,
    "MULTIPLE_REFUNDS_NOT_SUPPORTED": _REFUND,
    "REFUND_NOT_SUPPORTED": _REFUND,
    "PAYMENT_METHOD_NOT_SUPPORTED": _REFUND,
    "MERCHANT_BALANCE_NOT_ENOUGH": Meaning(
        Category.INSUFFICIENT_FUNDS, "merchant_balance", "The merchant's balance at the provider is too low."
    ),
}

GRANT_MEANINGS: Mapping[str, Meaning] = {
    # The names for a wrong, used or expired code or refresh token are not published; our calls are otherwise constant,
    # so an illegal parameter of applyToken is the code or the token itself.
    "PARAM_ILLEGAL": Meaning(Category.INVALID_CREDENTIAL, "invalid_grant", "The code or token was not accepted."),
}
"""What differs from MEANINGS when applyToken refuses."""

_UNLISTED = Meaning(Category.REVIEW, "unlisted_refusal", "The provider refused for a reason we do not know.")


def decline(raw_code: str | None, special: Mapping[str, Meaning] | None = None) -> Decline:
    """The refusal a code stands for; a code nobody listed is for a person to review, never to retry."""
    raw = raw_code or ""
    meaning = (special or {}).get(raw) or MEANINGS.get(raw, _UNLISTED)
    return Decline(category=meaning.category, code=meaning.code, raw_code=raw_code, message=meaning.message)
