"""`/v1/agreements/{id}`: its terms, its coming cycles and its charges changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Self

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, model_validator
from starlette.responses import JSONResponse

from agreements.money import Money
from agreements.terms import AgreementType, Terms
from agreements.views import AgreementView, ChargeView
from api import amending
from api.auth import Caller
from api.bodies import StrictRoute
from api.drafts import MetadataKey, MetadataValue, Policy
from api.idempotency import Starred
from api.instants import Timestamp
from api.problems import invalid
from api.routes.parameters import Whole
from api.services import Inside
from store.amendments import Wanted

router = APIRouter(prefix="/v1/agreements", tags=["agreements"], route_class=StrictRoute)

_PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
_HIGHEST = 10**6
"""No cycle before the year 9999 has a higher number that anybody will come to."""

Cycle = Annotated[StrictInt, Field(ge=1, le=_HIGHEST)]


def _described(*alternatives: str) -> Callable[[dict[str, Any]], None]:
    """Makes a body's description say that nothing has a default, and which members, none of them null, exclude each
    other.
    """

    def describe(schema: dict[str, Any]) -> None:
        members = schema["properties"]
        for member in members.values():
            member.pop("default", None)
        for name in alternatives:
            members[name] |= next(form for form in members[name].pop("anyOf") if form.get("type") != "null")
        if alternatives:
            schema["oneOf"] = [{"required": [name]} for name in alternatives]

    return describe


class _OneOf(BaseModel):
    """A body with exactly one of several members; null is none of them."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    def _given(self, *names: str) -> None:
        given = [name for name in names if name in self.model_fields_set]
        if len(given) != 1 or getattr(self, given[0]) is None:
            raise ValueError(f"say exactly one of {', '.join(names)}")


class CycleBody(_OneOf):
    """What becomes of a coming cycle: an amount of its own, nothing, or the proof of its notice. One of the three."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=_described("amount", "skip", "notified_at"))

    amount: Money | None = None
    skip: Annotated[StrictBool, Field(json_schema_extra={"const": True})] | None = None
    notified_at: Timestamp | None = None
    """When the payer was told of this debit (docs/notices.md)."""

    @model_validator(mode="after")
    def _either(self) -> Self:
        self._given("amount", "skip", "notified_at")
        if self.skip is False:
            raise ValueError("skip can only be true: a cycle that was skipped stays skipped")
        return self


class ChargeBody(_OneOf):
    """What to collect at once: an amount on demand, an overdue cycle, or any overdue charge. One of the three."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=_described("amount", "cycle", "charge"))

    amount: Money | None = None
    cycle: Cycle | None = None
    charge: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    description: Annotated[str, Field(min_length=1, max_length=100, pattern=_PRINTABLE)] | None = None
    """Of an amount on demand: what it is for, as the payer may read it."""

    @model_validator(mode="after")
    def _either(self) -> Self:
        self._given("amount", "cycle", "charge")
        return self


class TermsChange(Terms):
    """The terms that are to change; what is left out stays as it is. docs/amendments.md says which may."""

    model_config = ConfigDict(json_schema_extra=_described())

    type: AgreementType = AgreementType.OTHER


class AmendBody(BaseModel):
    """What is to change; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, json_schema_extra=_described())

    terms: TermsChange = TermsChange()
    retry_policy: Policy = "standard"
    metadata: Annotated[dict[MetadataKey, MetadataValue | None], Field(max_length=50)] = {}
    """Merged into what is there; null deletes a name."""


@router.patch("/{agreement_id}")
async def amend(agreement_id: str, body: AmendBody, caller: Caller, inside: Inside) -> AgreementView:
    """Changes the agreement within what the payer agreed to; 409 where a new authorization would be needed."""
    wanted = Wanted(
        terms={name: getattr(body.terms, name) for name in body.terms.model_fields_set},
        retry_policy=body.retry_policy if "retry_policy" in body.model_fields_set else None,
        metadata=body.metadata,
    )
    return await amending.amend(inside, caller, agreement_id, wanted)


@router.put("/{agreement_id}/cycles/{number}")
async def set_cycle(
    agreement_id: str,
    number: Annotated[Whole, Path(ge=1, le=_HIGHEST)],
    body: CycleBody,
    caller: Caller,
    inside: Inside,
) -> ChargeView:
    """Gives one of the next 24 cycles an amount of its own (variable amounts only), skips it, or proves its notice."""
    if body.notified_at is not None:
        return await amending.prove_notice(inside, caller, agreement_id, number, body.notified_at)
    return await amending.set_cycle(inside, caller, agreement_id, number, body.amount)


@router.post(
    "/{agreement_id}/charges",
    status_code=201,
    response_model=ChargeView,
    responses={200: {"model": ChargeView, "description": "The overdue charge, about to be tried."}},
)
async def charge(agreement_id: str, body: ChargeBody, call: Starred, inside: Inside) -> JSONResponse:
    """Debits an amount on demand, or tries an overdue charge at once."""
    if body.amount is not None:
        return await amending.ask(inside, call, agreement_id, body.amount, body.description)
    if body.description is not None:
        raise invalid("/description", "only a charge on demand takes a description")
    return await amending.collect(inside, call, agreement_id, body.cycle, body.charge)
