"""What `POST /v1/agreements` takes, and whether it means something we can do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from sqlmodel.ext.asyncio.session import AsyncSession

from agreements import catalog, rulebook, schedule
from agreements.credentials import refuse_reuse
from agreements.notices import Wish
from agreements.policies import OWN_POLICY, PolicyRefused, resolve
from agreements.problems import problems
from agreements.terms import Terms, complete
from agreements.views import PaymentMethod
from api import urls
from api.consent_body import ConsentBody
from api.customer_body import CustomerBody
from api.problems import FieldError, Problem
from store import clocks, credentials, ids, merchants, plans, reads
from store.creation import Draft
from store.merchants import Principal
from store.tables.columns import utcnow

_PRINTABLE = r"^[^\x00-\x1f\x7f]*$"

MetadataKey = Annotated[str, Field(min_length=1, max_length=40)]
MetadataValue = Annotated[str, Field(max_length=500)]


def _name_or_object(value: Any) -> Any:
    # Said here because pydantic would report a union's members one by one, each under a name of its own.
    if isinstance(value, str | dict):
        return value
    raise ValueError("a policy is a name or an object")


Policy = Annotated[
    str | dict[str, Any],
    BeforeValidator(_name_or_object),
    Field(description="A named policy, or one of its own: `base` and what differs from it (docs/retries.md)."),
]


class ChosenMethod(PaymentMethod):
    """How the customer pays: a wallet or card type of the gateway, and maybe a credential they gave before."""

    credential: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """One the customer has on file (`crd_…`): the agreement begins at once, without a page of the provider."""


class AgreementBody(BaseModel):
    """An agreement to be made: who pays, how much, how often, through which provider."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    reference: Annotated[str, Field(min_length=1, max_length=64, pattern=_PRINTABLE)]
    """The merchant's own name for it, unique per merchant and mode."""
    gateway: Annotated[str, Field(min_length=1, max_length=32)]
    payment_method: ChosenMethod
    customer: CustomerBody
    terms: Terms
    retry_policy: Policy = "standard"
    notice: Wish | None = None
    """Events `cycle.upcoming` so many days before each debit, beyond what schemes demand (docs/notices.md)."""
    return_url: Annotated[str, Field(min_length=1, max_length=urls.LONGEST)]
    """Where the customer goes after the provider's page; `agreement` is appended to its query."""
    consent: ConsentBody | None = None
    """What the customer was shown, and who they were seen to be; kept as evidence (docs/consent.md)."""
    test_clock: str | None = None
    metadata: Annotated[dict[MetadataKey, MetadataValue], Field(max_length=50)] = {}


async def checked(session: AsyncSession, principal: Principal, body: AgreementBody) -> Draft:
    """The body with an id of its own and complete terms. Raises the 422 problem that names everything wrong with it."""
    errors = [*_customer(body), *_return_url(body, principal), *_method(body)]
    account = await merchants.account_for(session, principal, body.gateway)
    if account is None and body.gateway in catalog.GATEWAYS:
        errors.append(_error("/gateway", f"no {body.gateway} account is connected in this mode"))
    clock = None if body.test_clock is None else await reads.find_clock(session, principal, body.test_clock)
    if body.test_clock is not None and clock is None:
        where = "live mode has no test clocks" if principal.livemode else "there is no such test clock"
        errors.append(_error("/test_clock", where))
    now = await clocks.now_for(session, clock.id if clock else None)
    today = schedule.today(body.terms.timezone, now)
    errors += policy_errors(body.retry_policy, today)
    if body.consent is not None and body.consent.too_late(max(now, utcnow())):
        errors.append(_error("/consent/shown_at", "lies in the future"))
    if body.payment_method.credential is not None and account is not None:
        errors += await _credential(session, principal, body, account.id, now)
    windows = plans.windows(body.gateway, body.payment_method.type, today)
    errors += [_error(f"/terms{found.pointer}", found.detail) for found in problems(body.terms, today, windows)]
    if errors or account is None:
        raise _invalid(errors)
    return Draft(
        id=ids.new("agr"),
        principal=principal,
        reference=body.reference,
        gateway=body.gateway,
        account_id=account.id,
        payment_method=body.payment_method.type,
        customer=body.customer,
        terms=complete(body.terms, today),
        retry_policy=body.retry_policy if isinstance(body.retry_policy, str) else OWN_POLICY,
        own_policy=body.retry_policy if isinstance(body.retry_policy, dict) else None,
        notice=body.notice.model_dump() if body.notice else None,
        return_url=body.return_url,
        test_clock_id=clock.id if clock else None,
        metadata=body.metadata,
        credential_id=body.payment_method.credential,
        evidence=body.consent.evidence() if body.consent else None,
    )


async def _credential(
    session: AsyncSession, principal: Principal, body: AgreementBody, account_id: str, now: datetime
) -> list[FieldError]:
    """Whether the agreement can begin with the credential. It stays locked: nobody deletes it before this commits."""
    pointer = "/payment_method/credential"
    found = await reads.saved_credential(session, principal, body.customer.id, body.payment_method.credential or "")
    if found is not None:
        await credentials.lock(session, found)
    if found is None or found.deleted_at is not None:
        return [_error(pointer, f"customer {body.customer.id} has no such credential")]
    refused = refuse_reuse(
        found,
        gateway=body.gateway,
        account_id=account_id,
        payment_method=body.payment_method.type,
        in_use=await credentials.on_file(session, found),
        now=now,
    )
    return [_error(pointer, refused)] if refused else []


def _customer(body: AgreementBody) -> Iterator[FieldError]:
    if body.customer.id in (".", ".."):  # every client resolves these in an address
        yield _error("/customer/id", "this id cannot stand in an address")


def _return_url(body: AgreementBody, principal: Principal) -> Iterator[FieldError]:
    refused = urls.refuse(body.return_url, livemode=principal.livemode)
    if refused:
        yield _error("/return_url", refused)


def policy_errors(policy: Policy, today: date) -> Iterator[FieldError]:
    """What keeps a retry policy from being followed, with the id of the scheme's rule it would break."""
    try:
        resolve(policy, rulebook.current(), today)
    except PolicyRefused as error:
        because = f" ({error.rule})" if error.rule else ""
        yield _error(f"/retry_policy{error.pointer}", f"{error.detail}{because}")


def _method(body: AgreementBody) -> Iterator[FieldError]:
    """Whether the gateway offers the method, and the method takes the amount."""
    amount = body.terms.amount
    if body.gateway not in catalog.GATEWAYS:
        yield _error("/gateway", f"must be one of: {', '.join(catalog.GATEWAYS)}")
        return
    method = catalog.method(body.gateway, body.payment_method.type)
    if method is None:
        yield _error("/payment_method/type", f"{body.gateway} offers no such method for recurring payments")
    elif unverified := catalog.refuse_new(method):
        yield _error("/payment_method/type", unverified)
    refused = catalog.refuse(method, amount) if method and amount else None
    if method and amount and refused:
        field = "currency" if amount.currency != method.currency else "value"
        yield _error(f"/terms/amount/{field}", refused)


def _invalid(errors: list[FieldError]) -> Problem:
    detail = errors[0].detail if len(errors) == 1 else f"{len(errors)} things are wrong with the agreement"
    return Problem("invalid_request", detail, errors)


def _error(pointer: str, detail: str) -> FieldError:
    return FieldError(pointer=pointer, detail=detail)
