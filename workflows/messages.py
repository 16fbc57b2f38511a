"""The shapes of what is sent to workflows and carried from run to run."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from agreements.declarations import DeclarationStanding
from agreements.refunds import RefundStanding
from agreements.standing import Standing
from workflows.orders import Order


def agreement_workflow_id(agreement_id: str) -> str:
    """The only place that knows the form of an agreement's workflow id."""
    return f"agreement/{agreement_id}"


def refund_workflow_id(refund_id: str) -> str:
    """The only place that knows the form of a refund's workflow id."""
    return f"refund/{refund_id}"


def declaration_workflow_id(declaration_id: str) -> str:
    """The only place that knows the form of a declaration's workflow id."""
    return f"declaration/{declaration_id}"


class Command(StrEnum):
    """What the API changes on a running agreement; each is an update of this name."""

    PAUSE = "pause"
    RESUME = "resume"
    REVOKE = "revoke"


class CommandResult(BaseModel):
    """The version of the standing the workflow goes on from."""

    model_config = ConfigDict(frozen=True)

    version: int


class AgreementStart(BaseModel):
    """What an agreement's workflow starts from, and what one run hands to the next."""

    standing: Standing
    news: list[str] = []
    """Ids of journalled provider messages still to be settled."""
    applied: dict[str, CommandResult] = {}
    """Answers to the last commands by their ids: the server may deliver an update twice around a continue-as-new."""
    orders: list[Order] = []
    """What operators asked for and is still to be done."""
    remark: str = ""
    """What became of the last order, for the operator."""
    shown: tuple[str, datetime | None] | None = None
    """The search attributes last written."""
    roll_after: int = 400
    """Events after which a run continues as new; tests make it small."""


class RefundStart(BaseModel):
    """What a refund's workflow starts from."""

    refund: RefundStanding
    news: list[str] = []
    """Ids of journalled provider messages still to be settled."""


class DeclarationStart(BaseModel):
    """What the workflow of a declaration at customs starts from."""

    declaration: DeclarationStanding


class CredentialChecksStart(BaseModel):
    """Which gateways are asked, and how often."""

    interval: timedelta
    gateways: list[str]
    next_at: datetime | None = None
    """When they are asked next; without it an interval after the start."""
