"""What merchants see of an agreement and its charges, the same in API answers and in events."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from agreements.card_changes import CardChangeStatus, Initiator
from agreements.credentials import CredentialWarning
from agreements.declarations import DeclarationStatus
from agreements.declines import Decline
from agreements.money import Money, MoneyTotal
from agreements.notices import Wish
from agreements.refunds import RefundKind, RefundOrigin, RefundStatus
from agreements.retries import Decision
from agreements.status import AgreementStatus, ChargePurpose, ChargeStatus
from agreements.terms import Terms


class View(BaseModel):
    """Read-only, built from rows."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class Customer(View):
    """Who pays. `id` is the merchant's own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1, max_length=64)
    name: str | None = Field(default=None, max_length=128)
    email: str | None = Field(default=None, max_length=254)
    phone: str | None = Field(default=None, max_length=32)
    region: str | None = Field(default=None, pattern="^[A-Z]{2}$", description="ISO 3166-1 alpha-2")


class PaymentMethod(View):
    """How the customer pays: a wallet or card type of the gateway, e.g. `GCASH`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str = Field(min_length=1, max_length=64)


class FirstPaymentView(View):
    """What the customer pays as they agree: the first cycle, or a verification that goes back at once."""

    charge: str
    purpose: ChargePurpose
    cycle: int | None
    amount: Money


class AuthorizationView(View):
    """Where the customer agrees, until when, or why that cannot be."""

    url: str | None = None
    expires_at: datetime | None = None
    payment: FirstPaymentView | None = None
    """Null where agreeing costs nothing."""
    error: Decline | None = None


class CredentialView(View):
    """What is charged, without its secrets. `locked`: an agreement uses it, so it cannot be deleted."""

    id: str
    kind: str
    brand: str
    network: str | None = None
    """The card scheme whose rules apply, such as `visa`; null for wallets."""
    last4: str | None
    expiry_month: int | None
    expiry_year: int | None
    marks: list[str] = []
    """What is known of the card: `prepaid`, `virtual`, `single_use`, `multi_use`."""
    token_expires_at: datetime | None
    refreshable: bool
    locked: bool
    warnings: list[CredentialWarning] = []
    """What will keep it from being debited to the end of the terms, as far as that is known."""


class SavedCredentialView(CredentialView):
    """A credential a customer has on file, in use or not."""

    gateway: str
    payment_method: PaymentMethod
    status: str
    """`active`; `kept`: in use, and ended with the last agreement on it; `replaced`: being ended at the provider;
    `released`: ended there; `release_failed`: the provider refused to end it; `revoked`: the payer withdrew it.
    """
    agreements: list[str]
    """Those that keep it from being deleted: charged with it, or with a debit in flight."""
    created_at: datetime
    """In real time."""


class RevocationView(View):
    """Who ended the agreement, and whether the provider has confirmed: pending, done, failed or not_needed."""

    requested_at: datetime
    initiator: str
    reason: str | None
    provider_status: str


class CardChangeView(View):
    """A link by which the customer gives another card or wallet. `url` is shown while it works."""

    id: str
    agreement: str
    status: CardChangeStatus
    initiator: Initiator
    reason: str | None
    """Why the customer is asked: the decline's code, `token_expired`, or nothing."""
    charge: str | None
    """The charge that waits for it."""
    url: str | None
    return_url: str | None
    credential: str | None
    """The new one, once completed."""
    error: Decline | None
    expires_at: datetime
    opened_at: datetime | None
    finished_at: datetime | None
    created_at: datetime


class ActionView(View):
    """What the customer has to do: follow `url` until `act_by`, when the first charge that waits is given up."""

    reason: str
    url: str | None
    """Null while no link is open: ask for one."""
    act_by: datetime | None
    card_change: str | None


class Totals(View):
    """Sums over all charges; `amount_paid` is gross of refunds."""

    cycles_paid: int
    cycles_failed: int
    amount_paid: MoneyTotal | None


class AgreementView(View):
    """An agreement as merchants see it."""

    id: str
    reference: str
    status: AgreementStatus
    livemode: bool
    gateway: str
    payment_method: PaymentMethod
    customer: Customer
    terms: Terms
    retry_policy: str | dict[str, Any]
    notice: Wish | None
    return_url: str
    test_clock: str | None
    metadata: dict[str, Any]
    authorization: AuthorizationView | None
    credential: CredentialView | None
    action: ActionView | None
    """Set while the customer must act."""
    next_charge_at: datetime | None
    current_cycle: int
    totals: Totals
    revocation: RevocationView | None
    created_at: datetime
    ended_at: datetime | None


class AttemptView(View):
    """One debit tried."""

    number: int
    gateway_request_id: str
    status: str
    amount: Money
    by_customer: bool
    """Paid by the customer on the provider's page, not debited."""
    decline: Decline | None
    decision: Decision | None
    prepared_at: datetime
    sent_at: datetime | None
    finished_at: datetime | None


class RefundView(View):
    """Money sent back, or a debit canceled (`kind`). `origin`: who wanted it, merchant, engine or provider."""

    id: str
    charge: str
    origin: RefundOrigin
    kind: RefundKind
    gateway_request_id: str
    status: RefundStatus
    amount: Money
    reason: str | None
    decline: Decline | None
    """Why it failed."""
    created_at: datetime
    finished_at: datetime | None


class MerchantAtCustoms(View):
    """The merchant as registered at customs."""

    code: str
    name: str


class DeclarationView(View):
    """A payment, or part of it, declared at customs. Nothing is told of the buyer."""

    id: str
    """Also the request id the provider knows it by."""
    charge: str
    status: DeclarationStatus
    amount: Money
    customs_code: str
    merchant: MerchantAtCustoms
    sub_order_id: str | None
    facts: dict[str, str]
    """The provider's own names and words for it, `provider_status` among them, verbatim."""
    decline: Decline | None
    """Why it failed."""
    created_at: datetime
    finished_at: datetime | None


class ChargeView(View):
    """One amount owed, with everything that was done to collect it."""

    id: str
    agreement: str
    cycle: int | None
    purpose: ChargePurpose
    status: ChargeStatus
    amount: Money | None
    """Null until the merchant has set it, where the terms leave the amount of each cycle open."""
    description: str | None
    """What a charge on demand is for, in the merchant's words."""
    due_at: datetime
    next_attempt_at: datetime | None
    act_by: datetime | None
    """Until when the customer must have acted, with status action_required."""
    noticed_at: datetime | None
    """When `cycle.upcoming` was sent, where a rule or the merchant asks for notices."""
    notice_proven_at: datetime | None
    """When the payer was told, as the merchant says."""
    carried_to: int | None
    """The cycle whose amount took this one's in."""
    paid_at: datetime | None
    attempts: list[AttemptView]
    refunds: list[RefundView]
    created_at: datetime
