"""The one small port behind which every provider stands.

A connector speaks its provider's wire protocol and maps what comes back to the verdicts below. It never raises for what
a provider does: a time-out, a 5xx, an unreadable or wrongly signed answer is `Verdict.UNKNOWN`, never a failure and
never a success (design promise 2). It keeps no state and takes no decisions; retries belong to the agreement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol, runtime_checkable

from agreements.attempts import ChargeAnswer as ChargeAnswer
from agreements.attempts import Verdict as Verdict
from agreements.declines import Decline
from agreements.guarantees import QueryLimits as QueryLimits
from agreements.guarantees import Traits as Traits
from agreements.money import Money
from agreements.terms import Terms


class ConnectedAccount(Protocol):
    """What is kept of an account beside its sealed keys: a row of the store, which this package does not know."""

    id: str
    livemode: bool
    base_url: str
    sandbox: bool


@dataclass(frozen=True)
class Account:
    """A merchant's account at a provider, with its keys opened from the vault for the length of one call."""

    id: str
    livemode: bool
    base_url: str
    keys: Mapping[str, str] = field(repr=False)
    sandbox: bool = False
    """Our own sandbox stands behind `base_url`: test clock headers may be sent."""

    @classmethod
    def of(cls, kept: ConnectedAccount, keys: Mapping[str, str]) -> Account:
        """An account as it was connected."""
        return cls(kept.id, kept.livemode, kept.base_url, keys, kept.sandbox)


@dataclass(frozen=True)
class Call:
    """The circumstances of one call: how long to wait, and the virtual time of an agreement on a test clock."""

    timeout: timedelta
    clock: str | None = None
    now: datetime | None = None


@dataclass(frozen=True)
class Card:
    """What is known of the card behind a token. Never its number.

    `network` is the scheme (visa, mastercard, ...); `fingerprint` is the same whichever token stands for the card;
    `marks` are warnings such as `prepaid` or `single_use`. The transaction ids chain later debits to the first payment
    (payment-rules §2.6).
    """

    brand: str
    network: str | None = None
    last4: str | None = None
    expiry_month: int | None = None
    expiry_year: int | None = None
    fingerprint: str | None = None
    marks: tuple[str, ...] = ()
    network_transaction_id: str | None = None
    transaction_link_id: str | None = None


@dataclass(frozen=True)
class Token:
    """A payment credential as the provider issued it. Secrets: only ever stored sealed."""

    access_token: str = field(repr=False)
    expires_at: datetime | None
    refresh_token: str | None = field(default=None, repr=False)
    refresh_expires_at: datetime | None = None
    label: str | None = None
    """Masked name of the customer's account, for people."""
    card: Card | None = None
    reference: str | None = None
    """What else a debit with it must name, such as the provider's channel (Ottu's pg_code) or customer id (Pivot)."""


@dataclass(frozen=True)
class Payer:
    """Who agrees, as far as the provider needs to know. `id` is the merchant's own.

    `reference` is the provider's own id of them where it gave one (`Token.reference` of Pivot): its page then shows
    what they saved before.
    """

    id: str
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    reference: str | None = None


@dataclass(frozen=True)
class FirstPayment:
    """The customer's own payment, where that is how a provider takes consent. `amount` None: a verification only."""

    request_id: str
    order_id: str
    description: str
    amount: Money | None


@dataclass(frozen=True)
class AuthorizationRequest:
    """Ask a provider for the page on which the customer agrees. `state` comes back with the customer, unguessable."""

    state: str
    payment_method: str
    return_url: str
    notify_url: str
    region: str | None
    agreement_id: str = ""
    terms: Terms | None = None
    payer: Payer | None = None
    payment: FirstPayment | None = None
    """With `traits.consent_by_payment` only."""


@dataclass(frozen=True)
class AuthorizationAnswer:
    """`url` with SUCCEEDED; `decline` with DECLINED (the provider cannot offer this method here).

    `handle` is the provider's name of the page's session, `expires_at` its end where the provider sets one.
    """

    verdict: Verdict
    url: str | None = None
    handle: str | None = None
    expires_at: datetime | None = None
    decline: Decline | None = None
    evidence: str = ""
    card_key: str | None = None
    """Instead of `url`: the key a customer's browser encrypts the card with, on a page of ours (`TakesCards`)."""


@dataclass(frozen=True)
class TokenAnswer:
    """`token` with SUCCEEDED. `payment` is what became of the customer's own payment, with `consent_by_payment`.

    A payment that succeeded without a token is DECLINED with its `payment`: the money goes back.
    """

    verdict: Verdict
    token: Token | None = field(default=None, repr=False)
    payment: ChargeAnswer | None = None
    decline: Decline | None = None
    evidence: str = ""


@dataclass(frozen=True)
class ChargeRequest:
    """One debit without the customer. `request_id` is the idempotency key, `order_id` stays over a cycle's attempts."""

    request_id: str
    order_id: str
    description: str
    amount: Money
    payment_method: str
    token: str = field(repr=False)
    notify_url: str
    customer_id: str
    agreement_id: str = ""
    terms: Terms | None = None
    token_reference: str | None = None
    handle: str | None = None
    """The provider's, from `open`."""
    network_transaction_id: str | None = None
    transaction_link_id: str | None = None


@dataclass(frozen=True)
class OpenAnswer:
    """A debit opened: SUCCEEDED, with a `handle` where the provider works in two steps. No money has moved."""

    verdict: Verdict
    handle: str | None = None
    decline: Decline | None = None
    evidence: str = ""


@dataclass(frozen=True)
class RefundRequest:
    """Send money back. `request_id` is the idempotency key; repeats with it are safe.

    `payment_id` is the provider's handle of the debit: of the payment, or of the session it was made in.
    """

    request_id: str
    payment_id: str
    amount: Money
    reason: str
    notify_url: str


@dataclass(frozen=True)
class ReversalAnswer:
    """Of a cancel or a refund: SUCCEEDED (money is back, or never left), PROCESSING, DECLINED, NOT_FOUND or UNKNOWN."""

    verdict: Verdict
    reversal_id: str | None = None
    decline: Decline | None = None
    evidence: str = ""


class NewsKind(StrEnum):
    """What a provider's message, or a customer who comes back from its page, is about."""

    AUTHORIZATION_CODE = "authorization_code"
    CARD_ENTERED = "card_entered"
    """On our own page; the browser has encrypted the card for the provider."""
    TOKEN_CREATED = "token_created"  # noqa: S105
    TOKEN_CANCELED = "token_canceled"  # noqa: S105
    PAYMENT = "payment"
    REFUND = "refund"


@dataclass(frozen=True)
class News:
    """A verified message. Which fields are set depends on `kind`; `code` and `token` are secrets."""

    kind: NewsKind
    dedupe_key: str
    """Equal for repeats of the same message; carries no secret in clear."""
    authorization_state: str | None = None
    code: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    request_id: str | None = None
    payment_id: str | None = None
    reversal_id: str | None = None
    """The provider's own handle of a refund, for messages that carry no request id of ours (Ottu)."""
    verdict: Verdict | None = None
    amount: Money | None = None
    decline: Decline | None = None
    reason: str | None = None
    claims: Verdict | None = None
    """What the message says, where its sender proved too little to be believed: ask the provider at once."""


class BadNotification(Exception):
    """A message not to be believed or not to be understood; nothing may change because of it. `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Gateway(Protocol):
    """A provider. Every method makes one HTTP call, or two of which at most one moves money, and returns within
    `call.timeout`.
    """

    name: str
    traits: Traits

    async def authorize(self, account: Account, request: AuthorizationRequest, call: Call) -> AuthorizationAnswer:
        """Asks for the customer's page. Safe to repeat: an unused page simply expires."""

    async def exchange(self, account: Account, payment_method: str, code: str, call: Call) -> TokenAnswer:
        """Turns what an authorization brought into a token: the single-use code, or with `consent_by_payment` the
        handle of the session the customer paid in. PROCESSING: repeat later.
        """

    async def refresh(self, account: Account, payment_method: str, refresh_token: str, call: Call) -> TokenAnswer:
        """Gets a new token before the old one expires. A lost answer is repeated at once with the same token."""

    async def open(self, account: Account, request: ChargeRequest, call: Call) -> OpenAnswer:
        """Opens a debit without making it, where the provider works in two steps: its handle is committed before the
        second one (design promise 1). Moves no money; a repeat is harmless. Elsewhere there is no handle and no call.
        """

    async def charge(self, account: Account, request: ChargeRequest, call: Call) -> ChargeAnswer:
        """Debits. Only ever called for an attempt whose row says `sent`."""

    async def inquire(self, account: Account, request_id: str, call: Call, handle: str | None = None) -> ChargeAnswer:
        """Asks what became of a debit. Moves no money. `handle` is what the provider calls it, where it told us."""

    async def cancel(self, account: Account, request_id: str, call: Call, handle: str | None = None) -> ReversalAnswer:
        """Ends a debit that is unfinished, or gives it back in full while the provider's window is open."""

    async def refund(self, account: Account, request: RefundRequest, call: Call) -> ReversalAnswer:
        """Gives back all or part of a successful debit."""

    async def inquire_refund(
        self, account: Account, request_id: str, call: Call, handle: str | None = None
    ) -> ReversalAnswer:
        """Asks what became of a refund. `handle` is what the provider calls it (`reversal_id`), where it told us."""

    async def revoke(self, account: Account, token: str, call: Call, customer_id: str | None = None) -> ReversalAnswer:
        """Ends the customer's authorization. SUCCEEDED also when the provider no longer knows the token."""


@dataclass(frozen=True)
class CustomsBuyer:
    """Who bought, as customs want to know it. Personal data: sealed while it is needed, then forgotten."""

    certificate_number: str = field(repr=False)
    """Of the national identity card."""
    name: str = field(repr=False)


@dataclass(frozen=True)
class DeclarationRequest:
    """Declare a payment, or part of it, at customs. `request_id` is the idempotency key; repeats with it are safe."""

    request_id: str
    payment_id: str
    amount: Money
    customs_code: str
    merchant_code: str
    merchant_name: str
    sub_order_id: str | None = None
    buyer: CustomsBuyer | None = None


@dataclass(frozen=True)
class DeclarationAnswer:
    """SUCCEEDED and DECLINED are the customs' word or the provider's refusal; PROCESSING: the provider has it.

    `facts` are the provider's own names and words for it, verbatim and without personal data.
    """

    verdict: Verdict
    facts: Mapping[str, str] = field(default_factory=dict)
    decline: Decline | None = None
    evidence: str = ""


@runtime_checkable
class Declares(Protocol):
    """A provider that declares payments at customs. Both calls return within `call.timeout` and move no money."""

    async def declare(self, account: Account, request: DeclarationRequest, call: Call) -> DeclarationAnswer:
        """Hands a declaration in. Safe to repeat under the same request id."""

    async def inquire_declaration(self, account: Account, request_id: str, call: Call) -> DeclarationAnswer:
        """Asks what became of a declaration the provider has taken."""


@runtime_checkable
class TakesCards(Protocol):
    """A provider that takes a card which the customer's browser has encrypted for it, on a page of ours."""

    async def confirm(self, account: Account, handle: str, encrypted_card: str, call: Call) -> AuthorizationAnswer:
        """Pays the session `authorize` opened. SUCCEEDED: the customer goes on to `url`, the bank's page; PROCESSING:
        there is nothing more for them to do; DECLINED: the card could not be read or used, another may be given.
        A repeat with the same text is answered like the first.
        """


class OnFile(StrEnum):
    """What a provider says of a credential it was asked for."""

    HELD = "held"
    GONE = "gone"
    """It has an answer for this customer, and the credential is not in it, or is put out of use there."""
    UNKNOWN = "unknown"
    """Anything else, refusals included: nothing may follow from it."""


@dataclass(frozen=True)
class SavedCredential:
    """A credential as the provider knows it: the merchant's id of the customer, and `Token.reference`."""

    token: str = field(repr=False)
    customer_id: str
    reference: str | None = None


class Lists(Protocol):
    """A provider that can be asked which credentials a customer has on file there."""

    async def holds(self, account: Account, credential: SavedCredential, call: Call) -> OnFile:
        """Whether the credential is still among them. One call that changes nothing."""
