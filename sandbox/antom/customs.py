"""declare and inquiryDeclarationRequests (gateways/antom.md §3.9-3.10). No money moves, so the ledger never sees them.

The words of `declarationRequestStatus` are not published: `PROCESSING`, `SUCCESS` and `FAIL` are invented, after those
of refunds. What the next declarations of a client do is scripted by the words of `scripts.py`: a code that refuses, a
refusal by customs later on (`processing_then_failure`), and everything that happens to answers on the wire.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Index, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from sandbox.agenda import Agenda
from sandbox.antom.answers import Answer, Call, amount, answer, iso
from sandbox.antom.messages import DeclarationKeys, DeclareRequest
from sandbox.antom.scripts import Step, step
from sandbox.antom.settings import AntomSettings
from sandbox.antom.state import Payment, payment_of
from sandbox.clocks import Moment
from sandbox.database import Table

SETTLE_DECLARATION = "antom.settle_declaration"
"""Customs have answered."""
WALLET = "ALIPAY_CN"
UNKNOWN_PERSON = "0" * 18
"""A certificate number that fails the identity check; every other one passes."""
REGISTRATION_ID = "31222699S7"


class DeclarationScript(Table):
    """What a client's next declarations do, in order; the last one repeats."""

    __tablename__ = "antom_declaration_scripts"

    client_id: Mapped[str] = mapped_column(primary_key=True)
    script: Mapped[str]
    position: Mapped[int] = mapped_column(default=0)


class Declaration(Table):
    """One declaration, also a refused one: `code` is then the reason. Of the buyer nothing is kept."""

    __tablename__ = "antom_declarations"
    __table_args__ = (Index("antom_declarations_by_request", "client_id", "request_id", unique=True),)

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True, init=False)
    client_id: Mapped[str]
    request_id: Mapped[str]
    payment_id: Mapped[str] = mapped_column(index=True)
    currency: Mapped[str]
    value: Mapped[int]
    customs_code: Mapped[str]
    merchant_code: Mapped[str]
    merchant_name: Mapped[str]
    suborder_id: Mapped[str | None]
    identity_check: Mapped[str | None]
    clock: Mapped[str | None]
    modified: Mapped[datetime]
    code: Mapped[str]
    status: Mapped[str]
    """REFUSED, or as the inquiry says it: PROCESSING, SUCCESS or FAIL."""
    answers: Mapped[str]
    """What customs are going to say."""


@dataclass
class Customs:
    """The life of a declaration."""

    settings: AntomSettings
    agenda: Agenda

    def __post_init__(self) -> None:
        self.agenda.transitions[SETTLE_DECLARATION] = self._settle

    def declare(self, call: Call, request: DeclareRequest) -> Answer:
        """Takes a declaration, once per declarationRequestId: a repeat gets the same answer again."""
        earlier = _declaration_of(call.session, call.client_id, request.declaration_request_id)
        if earlier is not None:
            return _repeat(earlier, request)
        payment = payment_of(call.session, call.client_id, request.payment_id, None)
        if payment is None:
            return answer("ORDER_NOT_EXIST")
        call = call.inherit(payment.clock)
        if refusal := _refusal(call.session, payment, request):
            return refusal
        scripted = _next_step(call)
        if not scripted.recorded:
            return Answer(answer(scripted.code).body, scripted.wire)
        declaration = _new(call, request, scripted)
        call.session.add(declaration)
        call.session.flush()
        if declaration.status == "PROCESSING":
            subject = str(declaration.number)
            self.agenda.plan(call.session, call.moment, SETTLE_DECLARATION, subject, self.settings.settle_after)
        return Answer(_outcome(declaration).body, scripted.wire)

    def inquire(self, call: Call, request: DeclarationKeys) -> Answer:
        """The truth about declarations that were taken."""
        wanted = {id_: _declaration_of(call.session, call.client_id, id_) for id_ in request.declaration_request_ids}
        taken = {id_: found for id_, found in wanted.items() if found is not None and found.status != "REFUSED"}
        return answer(
            declarationRequestsNotFound=[id_ for id_ in wanted if id_ not in taken],
            declarationRecords=[_record(declaration) for declaration in taken.values()],
        )

    def _settle(self, session: Session, number: str, moment: Moment) -> None:
        declaration = session.scalars(select(Declaration).where(Declaration.number == int(number))).one()
        declaration.status, declaration.modified = declaration.answers, moment.now


def _refusal(session: Session, payment: Payment, request: DeclareRequest) -> Answer | None:
    """Why this payment, or this much of it, cannot be declared. The codes are not published."""
    if payment.wallet != WALLET:
        return answer("BUSINESS_NOT_SUPPORT")
    if payment.status != "SUCCESS":
        return answer("ORDER_STATUS_INVALID")
    if request.declaration_amount.currency != payment.currency:
        return answer("CURRENCY_NOT_SUPPORT")
    query = select(func.sum(Declaration.value)).where(
        Declaration.payment_id == payment.payment_id, Declaration.status.in_(("PROCESSING", "SUCCESS"))
    )
    if (session.scalar(query) or 0) + request.declaration_amount.value > payment.value:
        return answer("PARAM_ILLEGAL", "declarationAmount is more than is left of customsDeclarationAmount")
    return None


def _next_step(call: Call) -> Step:
    script = call.session.get(DeclarationScript, call.client_id)
    if script is None:
        return Step()
    script.position += 1
    return step(script.script, script.position - 1)


def _new(call: Call, request: DeclareRequest, scripted: Step) -> Declaration:
    refused = scripted.code != "SUCCESS" and not scripted.in_process
    buyer = request.buyer_certificate
    passed = buyer is not None and buyer.certificate_no != UNKNOWN_PERSON
    return Declaration(
        client_id=call.client_id,
        request_id=request.declaration_request_id,
        payment_id=request.payment_id,
        currency=request.declaration_amount.currency,
        value=request.declaration_amount.value,
        customs_code=request.customs.customs_code,
        merchant_code=request.merchant_customs_info.merchant_customs_code,
        merchant_name=request.merchant_customs_info.merchant_customs_name,
        suborder_id=request.suborder_id if request.split_order else None,
        identity_check=None if buyer is None else "CHECK_PASSED" if passed else "CHECK_NOT_PASSED",
        clock=call.moment.clock,
        modified=call.moment.now,
        code=scripted.code if refused else "SUCCESS",
        status="REFUSED" if refused else "PROCESSING",
        answers="SUCCESS" if scripted.code == "SUCCESS" else "FAIL",
    )


def _repeat(declaration: Declaration, request: DeclareRequest) -> Answer:
    wanted = request.declaration_amount
    same = (declaration.payment_id, declaration.currency, declaration.value) == (
        request.payment_id,
        wanted.currency,
        wanted.value,
    )
    return _outcome(declaration) if same else answer("REPEAT_REQ_INCONSISTENT")


def _outcome(declaration: Declaration) -> Answer:
    if declaration.status == "REFUSED":
        return answer(declaration.code)
    return answer(
        customsPaymentId=_customs_payment(declaration),
        customsOrderId=_customs_order(declaration),
        identityCheckResult=declaration.identity_check,
        clearingChannel="NUCC",
        clearingTransactionId=f"{declaration.number:019d}",
        customsProviderRegistrationId=REGISTRATION_ID,
    )


def _record(declaration: Declaration) -> dict[str, object]:
    answered = declaration.status != "PROCESSING"
    told = {
        "declarationRequestId": declaration.request_id,
        "customsPaymentId": _customs_payment(declaration),
        "customsOrderId": _customs_order(declaration),
        "customs": {"customsCode": declaration.customs_code, "region": "CN"},
        "merchantCustomsInfo": {
            "merchantCustomsCode": declaration.merchant_code,
            "merchantCustomsName": declaration.merchant_name,
        },
        "declarationAmount": amount(declaration.currency, declaration.value),
        "splitOrder": declaration.suborder_id is not None,
        "declarationRequestStatus": declaration.status,
        "lastModifiedTime": iso(declaration.modified),
        "customsDeclarationResultCode": "REFUSED_BY_CUSTOMS" if declaration.status == "FAIL" else None,
        "customsDeclarationReturnTime": iso(declaration.modified) if answered else None,
    }
    return {name: value for name, value in told.items() if value is not None}


def _customs_payment(declaration: Declaration) -> str:
    return f"{declaration.payment_id[:8]}22001400{declaration.number:012d}"


def _customs_order(declaration: Declaration) -> str:
    return declaration.suborder_id or declaration.payment_id


def _declaration_of(session: Session, client_id: str, request_id: str) -> Declaration | None:
    return session.scalar(
        select(Declaration).where(Declaration.client_id == client_id, Declaration.request_id == request_id)
    )
