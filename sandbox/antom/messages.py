"""The requests of Antom's API as the gateway reads them: lenient about types, strict about presence and length.

Scalars come as JSON strings or native values (gateways/antom.md §1.6), unknown fields are ignored, an empty optional
field counts as absent. Field lists and maximum lengths: gateways/antom.md §3.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AliasChoices,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic.alias_generators import to_camel

CURRENCIES = frozenset(
    "AUD BDT BRL CAD CLP CNY EUR GBP HKD IDR JPY KRW MXN MYR NZD PEN PHP PKR PLN SGD THB TWD USD VND".split()  # noqa: SIM905 - a list of words
)
"""Currencies Antom's amount page lists (gateways/antom.md §6)."""


def _text(value: object) -> object:
    """Native scalars are as good as strings."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else value


def _url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or any(c.isspace() for c in value):
        raise ValueError("not a web address")
    parts.port  # noqa: B018 - raises ValueError when it is out of range
    return value


def _known_currency(value: str) -> str:
    if value not in CURRENCIES:
        raise ValueError("not a currency Antom knows")
    return value


def _digits(value: object) -> object:
    text = _text(value)
    if not isinstance(text, str) or not text.isascii() or not text.isdigit() or len(text) > 16:
        raise ValueError("1 to 16 digits")
    return int(text)


Scalar = BeforeValidator(_text)
Text16 = Annotated[str, Scalar, StringConstraints(min_length=1, max_length=16)]
Text32 = Annotated[str, Scalar, StringConstraints(min_length=1, max_length=32)]
Text64 = Annotated[str, Scalar, StringConstraints(min_length=1, max_length=64)]
Text128 = Annotated[str, Scalar, StringConstraints(min_length=1, max_length=128)]
Text256 = Annotated[str, Scalar, StringConstraints(min_length=1, max_length=256)]
Text2048 = Annotated[str, Scalar, StringConstraints(min_length=1, max_length=2048)]
Region = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
Currency = Annotated[str, AfterValidator(_known_currency)]
Url1024 = Annotated[str, StringConstraints(max_length=1024), AfterValidator(_url)]
Url2048 = Annotated[str, StringConstraints(max_length=2048), AfterValidator(_url)]
RedirectUrl = Annotated[str, StringConstraints(max_length=1024, pattern=r"^[a-zA-Z][a-zA-Z0-9+.-]*://[!-~]+$")]
"""A web address or an app's own scheme."""
Flag = Annotated[bool, BeforeValidator(lambda value: {"true": True, "false": False}.get(value, value))]
Terminal = Literal["WEB", "WAP", "APP", "MINI_APP"]
Scope = Literal[
    "AGREEMENT_PAY", "BASE_USER_INFO", "USER_INFO", "USER_LOGIN_ID", "HASH_LOGIN_ID", "SEND_OTP", "TAOBAO_REBIND"
]


class Message(BaseModel):
    """Base of requests and their parts."""

    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_empty(cls, fields: Any) -> Any:
        if not isinstance(fields, dict):
            return fields
        return {name: value for name, value in fields.items() if value not in ("", None)}


class Amount(Message):
    """`value` in the currency's smallest unit."""

    currency: Currency
    value: Annotated[int, BeforeValidator(_digits), Field(gt=0)]

    @model_validator(mode="after")
    def _whole_rupiah(self) -> Amount:
        if self.currency == "IDR" and self.value % 100:
            raise ValueError("IDR has no fractions: the last two digits are 00")
        return self


class Env(Message):
    terminal_type: Terminal
    os_type: Literal["IOS", "ANDROID"] | None = None
    client_ip: Text64 | None = None
    device_token_id: Text64 | None = None


class ConsultRequest(Message):
    customer_belongs_to: Text64
    auth_client_id: Text64 | None = None
    auth_redirect_url: RedirectUrl
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=4)]
    auth_state: Text256
    terminal_type: Terminal | None = None
    os_type: Literal["IOS", "ANDROID"] | None = None
    os_version: Text16 | None = None
    env: Env | None = None
    merchant_region: Region | None = None
    recurring_payment: Flag | None = None
    auth_notify_url: Url2048 | None = None
    merchant_account_id: Text64 | None = None
    extend_info: Text2048 | None = None

    @model_validator(mode="after")
    def _complete(self) -> ConsultRequest:
        if "AGREEMENT_PAY" not in self.scopes:
            raise ValueError("scopes must contain AGREEMENT_PAY")
        terminal = self.terminal_type or (self.env and self.env.terminal_type)
        if not terminal:
            raise ValueError("terminalType is missing")
        if terminal in ("APP", "WAP") and not (self.os_type or (self.env and self.env.os_type)):
            raise ValueError("osType is missing")
        return self


class ApplyTokenRequest(Message):
    grant_type: Literal["AUTHORIZATION_CODE", "REFRESH_TOKEN"]
    customer_belongs_to: Text64
    auth_code: Text128 | None = None
    refresh_token: Text128 | None = None
    merchant_region: Region | None = None
    merchant_account_id: Text64 | None = None
    extend_info: Text2048 | None = None

    @model_validator(mode="after")
    def _complete(self) -> ApplyTokenRequest:
        if not (self.auth_code if self.grant_type == "AUTHORIZATION_CODE" else self.refresh_token):
            raise ValueError("authCode or refreshToken is missing")
        return self


class RevokeRequest(Message):
    access_token: Text128
    merchant_account_id: Text64 | None = None
    extend_info: Text2048 | None = None


class Buyer(Message):
    reference_buyer_id: Text64 | None = None
    buyer_phone_no: Annotated[str, Scalar, StringConstraints(max_length=24)] | None = None
    buyer_email: Text64 | None = None


class Order(Message):
    reference_order_id: Text64
    order_description: Text256
    order_amount: Amount
    buyer: Buyer | None = None


class PaymentMethod(Message):
    payment_method_type: Text64
    payment_method_id: Text128
    extend_info: Text2048 | None = None


class SettlementStrategy(Message):
    settlement_currency: Currency


class PayRequest(Message):
    product_code: Literal["AGREEMENT_PAYMENT"]
    payment_request_id: Text64
    order: Order
    payment_amount: Amount
    payment_method: PaymentMethod
    settlement_strategy: SettlementStrategy | None = None
    env: Env
    payment_notify_url: Url2048 | None = None
    payment_redirect_url: Url2048 | None = None
    payment_expiry_time: AwareDatetime | None = None
    merchant_region: Region | None = None
    user_region: Region | None = None
    merchant_account_id: Text32 | None = None
    extend_info: Text2048 | None = None


class PaymentKey(Message):
    """Of inquiryPayment and cancel: either id, `paymentId` wins."""

    payment_id: Text64 | None = None
    payment_request_id: Text64 | None = None
    merchant_account_id: Text32 | None = None

    @model_validator(mode="after")
    def _complete(self) -> PaymentKey:
        if not (self.payment_id or self.payment_request_id):
            raise ValueError("paymentId or paymentRequestId is missing")
        return self


class RefundRequest(Message):
    refund_request_id: Text64
    payment_id: Text64
    refund_amount: Amount
    reference_refund_id: Text64 | None = None
    refund_reason: Text256 | None = None
    refund_notify_url: Url1024 | None = None
    is_async_refund: Flag | None = None
    extend_info: Text2048 | None = None


class RefundKey(Message):
    """Of inquiryRefund: either id, `refundId` wins."""

    refund_id: Text64 | None = None
    refund_request_id: Text64 | None = None
    merchant_account_id: Text32 | None = None

    @model_validator(mode="after")
    def _complete(self) -> RefundKey:
        if not (self.refund_id or self.refund_request_id):
            raise ValueError("refundId or refundRequestId is missing")
        return self


class CustomsOffice(Message):
    customs_code: Text64
    region: Literal["CN"]


class MerchantCustoms(Message):
    merchant_customs_code: Text64
    merchant_customs_name: Text256


class HolderName(Message):
    first_name: Text32 | None = None
    middle_name: Text32 | None = None
    last_name: Text32 | None = None
    full_name: Text128 | None = None


class Certificate(Message):
    certificate_type: Literal["ID_CARD"]
    certificate_no: Text64
    holder_name: HolderName


class DeclareRequest(Message):
    """`suborderId` as the documentation and the Python SDK spell it, or `subOrderId` as the other SDKs do."""

    declaration_request_id: Text32
    payment_id: Text64
    declaration_amount: Amount
    customs: CustomsOffice
    merchant_customs_info: MerchantCustoms
    split_order: Flag
    suborder_id: Annotated[Text64 | None, Field(validation_alias=AliasChoices("suborderId", "subOrderId"))] = None
    buyer_certificate: Certificate | None = None

    @model_validator(mode="after")
    def _complete(self) -> DeclareRequest:
        if self.split_order and not self.suborder_id:
            raise ValueError("suborderId is missing")
        return self


class DeclarationKeys(Message):
    declaration_request_ids: Annotated[list[Text32], Field(min_length=1, max_length=10)]


class ExpiresBeforeAMinute(ValueError):
    """A `paymentExpiryTime` that is past or not less than one minute ahead."""


def closing_time(request: PayRequest, now: datetime, default: datetime) -> datetime:
    """When the order closes. Raises ExpiresBeforeAMinute."""
    wanted = request.payment_expiry_time
    if wanted is not None and not now < wanted < default:
        raise ExpiresBeforeAMinute("paymentExpiryTime must be less than one minute ahead")
    return wanted or default
