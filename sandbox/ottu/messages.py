"""The requests of Ottu's API: fields, limits and which belong together (gateways/ottu.md §2, §3, §6, §8, §9).

Scalars come as JSON values or, in forms, as text; unknown fields are ignored.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, StringConstraints

from sandbox.ottu.answers import REQUIRED, Errors
from sandbox.ottu.formats import due, duration, exponent, minor, read_amount, read_date, read_due, read_duration
from sandbox.ottu.mids import MIDS, ORDER_NO_LIMITS


def _text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or any(c.isspace() for c in value):
        raise ValueError("Enter a valid URL.")
    return value


def _currency(value: str) -> str:
    try:
        exponent(value)
    except ValueError as error:
        raise ValueError(f'"{value}" is not a valid choice.') from error
    return value


Scalar = BeforeValidator(_text)
Text12 = Annotated[str, Scalar, StringConstraints(min_length=1, max_length=12)]
Text16 = Annotated[str, Scalar, StringConstraints(min_length=1, max_length=16)]
Text40 = Annotated[str, Scalar, StringConstraints(min_length=1, max_length=40)]
Text50 = Annotated[str, Scalar, StringConstraints(min_length=1, max_length=50)]
Text64 = Annotated[str, Scalar, StringConstraints(min_length=1, max_length=64)]
Text128 = Annotated[str, Scalar, StringConstraints(min_length=1, max_length=128)]
Url = Annotated[str, StringConstraints(max_length=2000), AfterValidator(_url)]
Currency = Annotated[str, StringConstraints(max_length=3), AfterValidator(_currency)]
Amount = Annotated[Decimal, BeforeValidator(read_amount), PlainSerializer(str, when_used="json")]
Day = Annotated[date, BeforeValidator(read_date)]
Due = Annotated[datetime, BeforeValidator(read_due), PlainSerializer(due, when_used="json")]
Lifetime = Annotated[timedelta, BeforeValidator(read_duration), PlainSerializer(duration, when_used="json")]
Plugin = Literal["e_commerce", "payment_request"]
Environment = Literal["sandbox", "production"]
Terms = Literal["recurring", "unscheduled", "installment", "event_based", "other"]
Frequency = Literal[
    "irregular", "daily", "weekly", "semi_monthly", "monthly", "quarterly", "semi_annually", "yearly", "other"
]


class Message(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Seller(Message):
    name: Text128 | None = None
    short_name: Text64 | None = None
    category_code: Text64 | None = None


class ExtraParams(Message):
    payment_processing_day: Annotated[int, Field(ge=1, le=31)] | None = None


class Agreement(Message):
    id: Text128
    type: Terms = "recurring"
    amount_variability: Literal["fixed", "variable"] | None = None
    start_date: Day | None = None
    expiry_date: Day | None = None
    max_amount_per_cycle: Amount | None = None
    cycle_interval_days: Annotated[int, Field(ge=1, le=366)] | None = None
    total_cycles: Annotated[int, Field(ge=1, le=999)] | None = None
    frequency: Frequency | None = None
    seller: Seller | None = None
    extra_params: ExtraParams | None = None


SCHEDULED = ("frequency", "amount_variability", "expiry_date", "cycle_interval_days", "total_cycles")
REQUIRED_TERMS: dict[str, tuple[str, ...]] = {
    "recurring": SCHEDULED,
    "unscheduled": ("frequency",),
    "installment": (*SCHEDULED, "seller"),
    "event_based": (*SCHEDULED, "seller"),
    "other": (*SCHEDULED, "seller"),
}


class Criteria(Message):
    min_expiry_time: Annotated[int, Field(ge=1, le=365)]


class Address(Message):
    line1: Text128
    city: Text40
    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
    line2: Text128 | None = None
    state: Text40 | None = None
    postal_code: Text12 | None = None


class TokenPayload(Message):
    token: Text50


class Instrument(Message):
    instrument_type: Literal["token", "apple_pay", "google_pay", "samsung_pay", "wallet"]
    payload: dict[str, Any]


class CheckoutRequest(Message):
    type: Plugin
    amount: Amount
    currency_code: Currency
    pg_codes: Annotated[list[Text128], Field(min_length=1)]
    payment_type: Literal["one_off", "auto_debit", "save_card"] = "one_off"
    customer_id: Text64 | None = None
    agreement: Agreement | None = None
    card_acceptance_criteria: Criteria | None = None
    payment_instrument: Instrument | None = Field(default=None, exclude=True)
    webhook_url: Url | None = None
    redirect_url: Url | None = None
    order_no: Text128 | None = None
    customer_email: Text128 | None = None
    customer_phone: Text16 | None = None
    customer_first_name: Text64 | None = None
    customer_last_name: Text64 | None = None
    customer_birthdate: date | None = None
    billing_address: Address | None = None
    extra: dict[str, Any] | None = None
    expiration_time: Lifetime = timedelta(days=1)
    due_datetime: Due | None = None
    language: Literal["en", "ar"] = "en"
    notifications: dict[str, list[str]] | None = None
    product_type: Text128 | None = None
    vendor_name: Text64 | None = None

    def units(self) -> int:
        """The amount in minor units. Raises ValueError when it has too many decimals."""
        return minor(self.amount, self.currency_code)


def contradictions(request: CheckoutRequest, agreement_known: bool) -> Errors:
    """What is wrong between the fields, by field. An agreement that is known need not be told again in one step."""
    errors: Errors = {}
    try:
        if request.units() == 0 and request.payment_type != "save_card":
            errors["amount"] = ["Ensure this value is greater than 0."]
    except ValueError as error:
        errors["amount"] = [str(error)]
    errors |= _gateways(request)
    if request.payment_type == "save_card" and request.amount != 0:
        errors["amount"] = ["The amount must be 0 when a card is only saved."]
    if request.payment_type != "one_off" and request.customer_id is None:
        errors["customer_id"] = [REQUIRED]
    if request.payment_type == "auto_debit":
        errors |= _terms(request.agreement, agreement_known and request.payment_instrument is not None)
    elif request.agreement is not None:
        errors["agreement"] = [f"An agreement must not be sent for {request.payment_type}."]
    return errors


def _gateways(request: CheckoutRequest) -> Errors:
    wrong = [code for code in request.pg_codes if code not in MIDS]
    if wrong:
        return {"pg_codes": [f'"{code}" is not a valid choice.' for code in wrong]}
    mids = [MIDS[code] for code in request.pg_codes]
    if request.payment_instrument is not None and len(mids) != 1:
        return {"pg_codes": ["Exactly one gateway is allowed with payment_instrument."]}
    if request.payment_type != "one_off" and (plain := [mid.code for mid in mids if not mid.tokenizable]):
        return {"pg_codes": [f"{code} does not support tokenization." for code in plain]}
    if foreign := [mid.code for mid in mids if request.currency_code not in mid.currencies]:
        return {"pg_codes": [f"{code} does not accept {request.currency_code}." for code in foreign]}
    most = min((ORDER_NO_LIMITS[mid.pg] for mid in mids if mid.pg in ORDER_NO_LIMITS), default=128)
    if request.order_no is not None and len(request.order_no) > most:
        return {"order_no": [f"Ensure this field has no more than {most} characters."]}
    return {}


def _terms(agreement: Agreement | None, told_before: bool) -> Errors:
    if agreement is None:
        return {"agreement": [REQUIRED]}
    if told_before:
        return {}
    missing = {name: [REQUIRED] for name in REQUIRED_TERMS[agreement.type] if getattr(agreement, name) is None}
    if agreement.type == "unscheduled" and agreement.frequency not in (None, "irregular"):
        missing["frequency"] = ["An unscheduled agreement is irregular."]
    return {"agreement": missing} if missing else {}


class DebitRequest(Message):
    session_id: Text128
    token: Text50


class CardsRequest(Message):
    customer_id: Text64
    type: Environment
    pg_codes: list[str] | None = None
    agreement_id: Text128 | None = None


class CardKey(Message):
    customer_id: Text64
    type: Environment


class OperationRequest(Message):
    operation: Literal["refund", "capture", "void", "cancel", "expire", "delete"]
    session_id: Text128 | None = None
    order_no: Text128 | None = None
    amount: Amount | None = None
    destination: Literal["pg", "wallet"] = "pg"
    extra: dict[str, Any] | None = None


class InquiryRequest(Message):
    session_id: Text128 | None = None
    order_no: Text128 | None = None
    notify_webhook_url: bool = False
    webhook_url: Annotated[str, StringConstraints(max_length=200), AfterValidator(_url)] | None = None


class MethodsRequest(Message):
    plugin: Plugin
    currencies: list[str] | None = None
    operation: Literal["purchase", "authorize"] | None = None
    auto_debit: bool | None = None
    tokenizable: bool | None = None
    customer_id: Text64 | None = None
    pg_names: list[str] | None = None
    type: Environment | None = None
    tags: list[str] | None = None
    payment_services: list[str] | None = None
