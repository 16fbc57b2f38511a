"""What operators ask of an agreement by signal. A signal cannot be refused, so whatever it carries must do no harm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from temporalio import workflow
from temporalio.common import RawValue

from activities.contract import OrderKind


class Order(BaseModel):
    """Taken down by the handler, acted on by the loop."""

    model_config = ConfigDict(frozen=True)

    kind: OrderKind
    reason: str | None = None
    initiator: Literal["merchant", "customer"] = "merchant"


class _Payload(BaseModel):
    """The one JSON object a signal may carry; all of it may be left out."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    initiator: Literal["merchant", "customer"] = "merchant"


def read_order(name: str, payloads: Sequence[RawValue]) -> tuple[Order | None, str]:
    """The order, and a remark for the operator where something was ignored.

    The name is the order, the payload only says who and why: an order whose payload makes no sense is still obeyed, as
    the merchant's, because a revocation must not fail over a typing error. None for a name that is no order.
    """
    if name not in list(OrderKind):
        return None, f"signal {name[:64]!r} is not known, and is ignored"
    try:
        said = _Payload.model_validate(_decoded(payloads))
    except ValidationError as error:
        wrong = ", ".join(".".join(map(str, problem["loc"])) or "its form" for problem in error.errors())
        return Order(kind=OrderKind(name)), f"the payload of signal {name!r} is ignored; wrong in it: {wrong[:128]}"
    return Order(kind=OrderKind(name), **said.model_dump()), ""


def _decoded(payloads: Sequence[RawValue]) -> Any:
    """What one payload holds. Several, or one that cannot be decoded, answer None, which is no JSON object."""
    if not payloads:
        return {}
    if len(payloads) > 1:
        return None
    try:
        return workflow.payload_converter().from_payload(payloads[0].payload)
    except Exception:  # whatever a converter raises for bytes that anybody may send
        return None
