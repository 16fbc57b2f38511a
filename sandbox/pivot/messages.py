"""The requests of Pivot's API as its documentation has them (gateways/pay-and-save.md §2, §3).

Both columns of the note's table of spelling traps are read. Unknown fields are ignored; an empty optional field counts
as absent. Amounts of payments are JSON numbers in whole units, those of refunds are strings.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic.alias_generators import to_camel

SPELLINGS = {"saveForFuture": "saveForFutureUse", "showSavePayment": "showSavedPayment", "sureName": "surname"}


def _number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a number")
    return _whole(Decimal(value))


def _digits(value: object) -> object:
    try:
        if not isinstance(value, str):
            raise ValueError("must be a string")
        return _whole(Decimal(value))
    except InvalidOperation as error:
        raise ValueError("must be a number in a string") from error


def _whole(value: Decimal) -> int:
    """The only currency is the rupiah, of which no fractions are taken."""
    if not value.is_finite() or value != value.to_integral_value():
        raise ValueError("must be a whole number")
    if not 0 < value < 10**18:
        raise ValueError("must be between 1 and 18 digits, and positive")
    return int(value)


Text20 = Annotated[str, StringConstraints(max_length=20)]
Text50 = Annotated[str, StringConstraints(max_length=50)]
Text255 = Annotated[str, StringConstraints(max_length=255)]
Reference = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_-]+$")]
ReturnUrl = Annotated[str, StringConstraints(max_length=255, pattern=r"^[a-zA-Z][a-zA-Z0-9+.-]*://[!-~]+$")]
Email = Annotated[str, StringConstraints(max_length=255, pattern=r"^[^@\s]+@[^@\s]+$")]
Channel = Annotated[
    Literal["DANA", "SHOPEEPAY", "OVO"], BeforeValidator(lambda v: v.upper() if isinstance(v, str) else v)
]


class Message(BaseModel):
    """Base of requests and their parts."""

    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _usual_spelling(cls, fields: Any) -> Any:
        if not isinstance(fields, dict):
            return fields
        return {SPELLINGS.get(name, name): value for name, value in fields.items() if value not in ("", None)}


class Amount(Message):
    value: Annotated[int, BeforeValidator(_number)]
    currency: Literal["IDR"]


class AmountText(Message):
    value: Annotated[int, BeforeValidator(_digits)]
    currency: Literal["IDR"]


class TokenRequest(Message):
    grant_type: Literal["client_credentials"]


class CardData(Message):
    encrypted_card: str | None = None
    token: Annotated[str, StringConstraints(max_length=100)] | None = None
    number: str | None = None
    cvc: Annotated[str, StringConstraints(pattern=r"^\d{3,4}$")] | None = None


class Ewallet(Message):
    account_identifier: Annotated[str, StringConstraints(pattern=r"^\+?\d{8,15}$")] | None = None
    token: str | None = None


class PaymentMethod(Message):
    type: Literal["CARD", "EWALLET", "VIRTUAL_ACCOUNT", "QR"]
    card: CardData = CardData()
    ewallet: Ewallet = Ewallet()


class CardOptions(Message):
    capture_method: Annotated[
        Literal["automatic", "manual"], BeforeValidator(lambda v: v.lower() if isinstance(v, str) else v)
    ] = "automatic"
    three_ds_method: Literal["AUTOMATIC", "CHALLENGE", "NEVER"] = "AUTOMATIC"


class EwalletOptions(Message):
    channel: Channel | None = None


class PaymentMethodOptions(Message):
    card: CardOptions = CardOptions()
    ewallet: EwalletOptions = EwalletOptions()


class PhoneNumber(Message):
    country_code: Annotated[str, StringConstraints(pattern=r"^\+\d{1,4}$")]
    number: Annotated[str, StringConstraints(pattern=r"^\d{5,15}$")]


class TransferChannel(Message):
    account_number: Annotated[str, StringConstraints(pattern=r"^\d{5,30}$")]
    account_name: Text255 | None = None


class TransferDestination(Message):
    channel_code: Text50
    channel_information: TransferChannel
    description: Annotated[str, StringConstraints(max_length=20, pattern=r"^[A-Za-z0-9 ]*$")] | None = None


class RefundPreference(Message):
    method: Literal["AUTO", "TRANSFER_ONLY"] = "AUTO"
    transfer_destination: TransferDestination | None = None

    @model_validator(mode="after")
    def _complete(self) -> RefundPreference:
        if self.method == "TRANSFER_ONLY" and self.transfer_destination is None:
            raise ValueError("transferDestination must be filled")
        return self


class CustomerData(Message):
    email: Email
    given_name: Text255 | None = None
    surname: Text255 | None = None
    phone_number: PhoneNumber | None = None
    refund_preference: RefundPreference | None = None


class Product(Message):
    type: Literal["PHYSICAL", "DIGITAL", "SERVICE"]
    quantity: Annotated[int, Field(gt=0, strict=True)]
    price: Amount


class BillingInfo(Message):
    given_name: Text255
    email: Email
    address_line1: Text255 | None = None
    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] | None = None


class OrderInformation(Message):
    product_details: Annotated[list[Product], Field(min_length=1)]
    billing_info: BillingInfo | None = None


class RedirectUrl(Message):
    success_return_url: ReturnUrl | None = None
    failure_return_url: ReturnUrl | None = None
    expiration_return_url: ReturnUrl | None = None


class WithOptions(Message):
    """`paymentMethodOptions` stands at the top, or within `paymentMethod`."""

    payment_method_options: PaymentMethodOptions | None = None

    @model_validator(mode="before")
    @classmethod
    def _lift(cls, fields: Any) -> Any:
        method = fields.get("paymentMethod") if isinstance(fields, dict) else None
        nested = method.get("paymentMethodOptions") if isinstance(method, dict) else None
        return {"paymentMethodOptions": nested, **fields} if nested else fields

    @property
    def options(self) -> PaymentMethodOptions:
        return self.payment_method_options or PaymentMethodOptions()


class CreateRequest(WithOptions):
    client_reference_id: Reference
    amount: Amount
    payment_type: Literal["SINGLE", "MULTIPLE"] = "SINGLE"
    payment_method: PaymentMethod | None = None
    save_for_future_use: bool | None = None
    show_saved_payment: bool | None = None
    mode: Literal["REDIRECT", "API"] = "REDIRECT"
    bypass_status_page: bool = False
    redirect_url: RedirectUrl | None = None
    customer_id: Text255 | None = None
    customer: CustomerData | None = None
    order_information: OrderInformation
    auto_confirm: bool = True
    statement_descriptor: Text20 | None = None
    expiration_mode: Literal["LOOSE", "STRICT"] = "LOOSE"
    expiry_at: AwareDatetime | None = None
    metadata: dict[str, Any] | None = None
    recurring_id: str | None = None
    initiate_first_authorization: bool = False

    @property
    def type(self) -> str | None:
        return self.payment_method.type if self.payment_method else None


class ConfirmRequest(WithOptions):
    payment_method: PaymentMethod
    payment_method_options: PaymentMethodOptions  # mandatory here
    save_for_future_use: bool | None = None
    order_information: OrderInformation | None = None


class CancelRequest(Message):
    cancellation_reason: Literal["REQUESTED_BY_CUSTOMER", "DUPLICATED", "VOID_SESSION"] = "VOID_SESSION"


class CaptureRequest(Message):
    release_remaining_amount: Annotated[bool, Field(strict=True)]
    amount: Amount | None = None


class SimulationRequest(Message):
    payment_session_id: str
    charge_status: Literal["SUCCESS", "EXPIRED"]
    amount: Amount | None = None


class RefundRequest(Message):
    client_reference_id: Reference
    payment_session_id: str | None = None
    charge_id: str | None = None
    is_full_amount: bool = False
    amount: AmountText | None = None
    reason: Literal["SUSPECT_FRAUDULENT", "DUPLICATE", "REQUESTED_BY_CUSTOMER", "CANCELLATION", "OTHERS"]
    description: Text50 | None = None
    method: Literal["AUTO", "TRANSFER_ONLY"] = "AUTO"
    transfer_destination: TransferDestination | None = None
    metadata: dict[str, Any] | None = None


class Nothing(Message):
    """Of a call without body and query."""


class ListQuery(Message):
    client_reference_id: str | None = None
    page: Annotated[int, Field(ge=1)] = 1
    per_page: Annotated[int, Field(ge=1, le=100)] = 20
