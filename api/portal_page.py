"""What the customer's page shows of a statement, in the customer's language."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from markupsafe import Markup

from agreements import schedule
from agreements.card_changes import CardChangeStatus
from agreements.refunds import RefundKind, RefundStatus
from agreements.status import AgreementStatus, ChargePurpose, ChargeStatus, Stop
from api import in_words
from api.languages import Voice
from store.statements import Statement
from store.tables import CardChange, Charge, Refund

_TONES = {
    ChargeStatus.SUCCEEDED: "good",
    ChargeStatus.PROCESSING: "wait",
    ChargeStatus.UNKNOWN: "wait",
    ChargeStatus.RETRYING: "bad",
    ChargeStatus.ACTION_REQUIRED: "bad",
    ChargeStatus.FAILED: "bad",
}


@dataclass(frozen=True)
class Row:
    """A charge."""

    amount: str
    state: str
    tone: str
    sentences: list[str]


@dataclass(frozen=True)
class Notice:
    """What has just happened. `unsettled`: it is worth looking again."""

    title: str
    sentences: Sequence[str]
    tone: str = "wait"
    unsettled: bool = False


@dataclass(frozen=True)
class Shown:
    """One statement in one language."""

    statement: Statement
    voice: Voice

    @property
    def can_change(self) -> bool:
        """Whether another card can be given."""
        return self.statement.agreement.ended is None and self.statement.credential is not None

    def values(self) -> dict[str, object]:
        """What the template is filled with."""
        found, voice = self.statement, self.voice
        credential = found.credential
        kind = "portal.change_card" if credential and credential.kind == "card" else "portal.change_other"
        return {
            "seller": found.seller,
            "next": {"amount": self._next_amount(), "text": self._next_text()},
            "credential": in_words.credential(voice, credential) if credential else None,
            "paid_with": voice.say("portal.paid_with" if found.agreement.ended is None else "portal.paid_with_before"),
            "valid_until": in_words.valid_until(voice, credential) if credential else None,
            "change": voice.say(kind) if self.can_change else None,
            "can_cancel": found.agreement.ended is None,
            "owed": self._owed(),
            "facts": list(self._facts()),
            "history": [self._row(charge) for charge in found.charges],
            "older": found.older,
        }

    def notice(self, card_change: CardChange, hopes: Collection[str], *, moving: bool) -> Notice | None:
        """What became of a card change, for somebody who comes back from the provider's page.

        `hopes` are the states of that provider's pages which may still bring another card; `moving`: something is
        being collected at this moment.
        """
        say = self.voice.say
        if card_change.status is CardChangeStatus.COMPLETED and self.statement.credential:
            name = in_words.credential(self.voice, self.statement.credential)
            since = card_change.opened_at or card_change.created_at
            paid = [charge for charge in self.statement.charges if charge.paid_at and charge.paid_at >= since]
            collected = [say("notice.collected", amount=self.voice.money(charge.money)) for charge in reversed(paid)]
            sentences = [say("notice.changed_text", credential=name), *collected]
            return Notice(say("notice.changed"), sentences, "good", unsettled=moving)
        if card_change.status is CardChangeStatus.FAILED:
            return Notice(say("notice.failed"), [say("notice.failed_text")], "bad")
        if card_change.status is CardChangeStatus.OPENED:
            what = "setting_up" if "granted" in hopes else "not_yet" if hopes else "not_done"
            return Notice(say(f"notice.{what}"), [say(f"notice.{what}_text")], unsettled=bool(hopes))
        return None

    def _next_amount(self) -> str | None:
        charge = self.statement.next
        return None if charge is None or charge.amount is None else self.voice.money(charge.money)

    def _next_text(self) -> str:
        found, say = self.statement, self.voice.say
        agreement, charge = found.agreement, found.next
        if agreement.ended is not None and agreement.ended_at is not None:
            how = "revoked" if agreement.ended is AgreementStatus.REVOKED else agreement.ended.value
            return say(f"next.ended_{how}", day=self._day(agreement.ended_at))
        if agreement.stop is Stop.PAUSED:
            return say("next.paused", seller=found.seller)
        if charge is None or charge.next_attempt_at is None:
            on_demand = not schedule.has_schedule(found.terms)
            return say("next.on_demand", seller=found.seller) if on_demand else say("next.none")
        due = say("next.now") if charge.next_attempt_at <= found.now else self._day(charge.next_attempt_at)
        if charge.amount is None:
            return Markup("{}. {}").format(due, say("next.amount_open", seller=found.seller))
        return due

    def _owed(self) -> dict[str, object] | None:
        found, say = self.statement, self.voice.say
        if not found.owed:
            return self._attention()
        needed = any(charge.status is not ChargeStatus.RETRYING for charge in found.owed)
        rows = [
            {
                "amount": self.voice.money(charge.money),
                "due": say("overdue.due", day=self._day(charge.due_at)),
                "sentences": list(self._why_owed(charge)),
            }
            for charge in found.owed
        ]
        advice = [say("overdue.card_needed" if needed else "overdue.tip")]
        return {"heading": say("overdue.heading"), "rows": rows, "advice": advice}

    def _attention(self) -> dict[str, object] | None:
        """Nothing is owed yet, and the next debit cannot be made with what the customer gave."""
        agreement, say = self.statement.agreement, self.voice.say
        if agreement.ended is not None or agreement.action_required is None:
            return None
        why = [say("why.token_expired")] if agreement.action_required == "token_expired" else []
        advice = [*why, say("overdue.new_needed")]
        return {"heading": say("overdue.attention"), "rows": [], "advice": advice}

    def _why_owed(self, charge: Charge) -> Iterator[str]:
        say, declines = self.voice.say, self.statement.declines
        if charge.id in declines:
            yield in_words.why(self.voice, declines[charge.id])
        if charge.next_attempt_at is not None and self.statement.next is not None:
            now = charge.next_attempt_at <= self.statement.now
            yield say("overdue.again_now") if now else say("overdue.again", day=self._day(charge.next_attempt_at))
        if charge.act_by is not None:
            yield say("overdue.act_by", day=self._day(charge.act_by))

    def _facts(self) -> Iterator[tuple[str, str]]:
        found, say = self.statement, self.voice.say
        terms, amount = found.terms, in_words.amount(self.voice, found.terms, found.agreement.currency)
        yield say("terms.amount"), amount
        yield say("terms.often"), in_words.often(self.voice, terms)
        if terms.start_date is not None:
            begun = terms.start_date <= schedule.today(terms.timezone, found.now)
            yield say("terms.started" if begun else "terms.starts"), self.voice.day(terms.start_date)
        if terms.total_cycles is not None:
            yield say("terms.times"), str(terms.total_cycles)
        until = self.voice.day(terms.expiry_date) if terms.expiry_date else say("terms.open_end")
        if terms.expiry_date is not None or terms.total_cycles is None:
            yield say("terms.until"), until
        yield say("terms.reference"), Markup("<bdi>{}</bdi>").format(found.agreement.reference)

    def _row(self, charge: Charge) -> Row:
        sentences = [self._dated(charge), *self._given_back(self.statement.refunds.get(charge.id, []))]
        if charge.description:
            sentences.insert(0, charge.description)
        if charge.purpose is ChargePurpose.VERIFICATION:
            sentences.insert(0, self.voice.say("history.check"))
        if charge.carried_to is not None:
            sentences.append(self.voice.say("history.carried"))
        state = self.voice.say(f"status.{charge.status}")
        return Row(self.voice.money(charge.money), state, _TONES.get(charge.status, ""), sentences)

    def _dated(self, charge: Charge) -> str:
        if charge.paid_at is not None:
            return self.voice.say("history.paid_on", day=self._day(charge.paid_at))
        return self.voice.say("history.due_on", day=self._day(charge.due_at))

    def _given_back(self, refunds: list[Refund]) -> Iterator[str]:
        for refund in refunds:
            amount = self.voice.money(refund.money)
            if refund.status is RefundStatus.SUCCEEDED and refund.finished_at is not None:
                yield self.voice.say("history.refunded", amount=amount, day=self._day(refund.finished_at))
            elif refund.status is not RefundStatus.FAILED and refund.kind is RefundKind.REFUND:
                yield self.voice.say("history.refund_pending", amount=amount)

    def _day(self, instant: datetime) -> str:
        """The day in the agreement's zone."""
        day: date = schedule.today(self.statement.terms.timezone, instant)
        return self.voice.day(day)
