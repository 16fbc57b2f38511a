"""Every difference in plain words, and what to do about it. For the command line, the page and the table alike."""

from __future__ import annotations

from collections.abc import Mapping

from agreements.money import major_units
from agreements.reconciliation.records import Finding, Reason, RowKind, Side

NAMES: Mapping[Reason, str] = {
    Reason.MISSING: "missing at the provider",
    Reason.NOT_SETTLED: "not paid out",
    Reason.UNKNOWN: "unknown to us",
    Reason.REFUND_UNKNOWN: "money back we do not know of",
    Reason.REFUND_WITHOUT_PAYMENT: "refund without a payment",
    Reason.DUPLICATE: "reported twice",
    Reason.STATUS: "another outcome",
    Reason.CURRENCY: "another currency",
    Reason.AMOUNT: "another amount",
    Reason.FEE: "another fee",
    Reason.IDENTITY: "another id",
    Reason.NOTIFICATION: "the notification says otherwise",
    Reason.PAYMENT_REVERSED: "given back by the provider",
    Reason.REFUND_BOUNCED: "refund did not arrive",
    Reason.DISPUTED: "disputed",
    Reason.SUMMARY: "the sums differ",
}

_TO_DO: Mapping[Reason, str] = {
    Reason.MISSING: "Ask the provider for it, naming the request id. If they say it never happened, the ledger is "
    "wrong: the customer's own statement decides.",
    Reason.NOT_SETTLED: "The provider has it and has not paid it out: ask with which payout it comes.",
    Reason.UNKNOWN: "Find out who made it. If it is another system on the same merchant account, resolve it with a "
    "note; if not, ask the provider.",
    Reason.REFUND_UNKNOWN: "Usually made by hand on the provider's portal: have its notification sent again, so that "
    "the ledger takes it in.",
    Reason.REFUND_WITHOUT_PAYMENT: "Money went back for a payment that is not ours: ask the provider which payment it "
    "belongs to.",
    Reason.DUPLICATE: "Ask the provider whether money moved twice. If it did, have one of them given back.",
    Reason.STATUS: "An attempt that is open is asked about by itself; one whose answer is in this file can be settled "
    "with `autodebit charges resolve`. If it was settled otherwise here, ask the provider for proof.",
    Reason.CURRENCY: "Ask the provider; do not book either amount before.",
    Reason.AMOUNT: "The customer was charged another amount than the ledger says, or it is reported wrongly: ask the "
    "provider, and settle the difference with the customer.",
    Reason.FEE: "The payout took another fee than the day's report announced: check it against the contract.",
    Reason.IDENTITY: "The same payment under another id: ask the provider which one is right before refunding it.",
    Reason.NOTIFICATION: "Ledger and file agree, and the provider once told us something else: look at the message "
    "with `autodebit notifications show`.",
    Reason.PAYMENT_REVERSED: "The customer has their money back and the ledger says paid: collect it again, or write "
    "it off.",
    Reason.REFUND_BOUNCED: "The customer did not get the money: refund them another way.",
    Reason.DISPUTED: "The customer's bank took the money back: answer the dispute at the provider before its deadline.",
    Reason.SUMMARY: "The payout's own files contradict each other: ask the provider for corrected ones.",
}

_KINDS: Mapping[RowKind, str] = {
    RowKind.PAYMENT: "payment",
    RowKind.REFUND: "refund",
    RowKind.CANCEL: "cancellation",
    RowKind.PAYMENT_REVERSAL: "payment given back",
    RowKind.REFUND_REVERSAL: "refund that came back",
    RowKind.DISPUTE: "dispute",
    RowKind.OTHER: "the provider's own",
    RowKind.SUM: "sum",
}


def kind(of: RowKind) -> str:
    """For people."""
    return _KINDS[of]


def money(amount: int | None, currency: str | None) -> str:
    """`PHP 1,499.00`, with its sign; empty where nothing is said."""
    if amount is None or currency is None:
        return ""
    return f"{currency} {major_units(amount, currency, ',')}"


def what_to_do(reason: Reason) -> str:
    """The next step of whoever has to put it right."""
    return _TO_DO[reason]


def tell(finding: Finding) -> str:
    """One sentence: what each book says."""
    if finding.pending:
        return f"{_moved(finding)} may be in a file that is not there yet."
    teller = _TELLERS.get(finding.reason)
    said = teller(finding) if teller else _both(finding)
    heard = finding.heard
    if heard is not None and finding.reason is not Reason.NOTIFICATION:
        said += f" The provider's notification said {heard.status}{_of(heard)}."
    return said


def _moved(finding: Finding) -> str:
    ours = finding.ours or Side()
    return f"The {kind(finding.kind)} of {money(ours.amount, ours.currency)}, {ours.status} in the ledger,"


def _of(side: Side) -> str:
    told = money(side.amount, side.currency)
    return f", {told}" if told else ""


def _missing(finding: Finding) -> str:
    return f"{_moved(finding)} is not in the provider's report of its day."


def _not_settled(finding: Finding) -> str:
    return f"{_moved(finding)} is in the provider's daily report and in no payout of its days."


def _not_ours(finding: Finding) -> str:
    theirs = finding.theirs or Side()
    told = f"The provider reports a {kind(finding.kind)} of {money(theirs.amount, theirs.currency)}"
    if finding.reason is Reason.REFUND_UNKNOWN:
        return f"{told} for a payment of ours; the ledger has none like it."
    if finding.reason is Reason.REFUND_WITHOUT_PAYMENT:
        return f"{told} for a payment the ledger does not know."
    return f"{told}; nothing in the ledger is like it."


def _twice(finding: Finding) -> str:
    theirs = finding.theirs or Side()
    return f"The provider reports the same {kind(finding.kind)} of {money(theirs.amount, theirs.currency)} once more."


def _status(finding: Finding) -> str:
    theirs = finding.theirs or Side()
    told = "in a state that is not documented" if theirs.status == "other" else theirs.status or "done"
    return f"{_moved(finding)} is {told} at the provider."


def _both(finding: Finding) -> str:
    ours, theirs = finding.ours or Side(), finding.theirs or Side()
    return (
        f"The {kind(finding.kind)} is {money(ours.amount, ours.currency)} in the ledger and "
        f"{money(theirs.amount, theirs.currency)} at the provider."
    )


def _fee(finding: Finding) -> str:
    ours, theirs = finding.ours or Side(), finding.theirs or Side()
    return (
        f"The {kind(finding.kind)} of {money(theirs.amount, theirs.currency)} cost "
        f"{money(theirs.fee, theirs.fee_currency)}; the day's report said {money(ours.fee, ours.fee_currency)}."
    )


def _identity(finding: Finding) -> str:
    ours, theirs = finding.ours or Side(), finding.theirs or Side()
    return (
        f"The {kind(finding.kind)} of {money(theirs.amount, theirs.currency)} bears the ids {theirs.id} and "
        f"{finding.request_id or 'none of ours'} at the provider; the ledger knows it by {ours.id or 'others'}."
    )


def _notification(finding: Finding) -> str:
    heard = finding.heard or Side()
    return f"{_moved(finding)} is the same in the file; a notification said {heard.status}{_of(heard)}."


def _undone(finding: Finding) -> str:
    theirs = finding.theirs or Side()
    undoing = f"a {kind(finding.kind)} of {money(theirs.amount, theirs.currency)}"
    return f"{_moved(finding)} came to nothing: the provider reports {undoing}."


def _disputed(finding: Finding) -> str:
    theirs = finding.theirs or Side()
    return f"{money(theirs.amount, theirs.currency)} was taken back in a dispute."


def _sums(finding: Finding) -> str:
    ours, theirs = finding.ours or Side(), finding.theirs
    label = finding.subject.partition(":")[2]
    details = f"{ours.count} rows, {money(ours.amount, ours.currency)}, fees {money(ours.fee, ours.fee_currency)}"
    if theirs is None:
        return f"{label}: the details have {details}; the summary has no line for it."
    fees = f", fees {money(theirs.fee, theirs.fee_currency)}" if theirs.fee is not None else ""
    summary = f"{theirs.count} rows, {money(theirs.amount, theirs.currency)}{fees}"
    return f"{label}: the details make {details}; the summary says {summary}."


_TELLERS = {
    Reason.MISSING: _missing,
    Reason.NOT_SETTLED: _not_settled,
    Reason.UNKNOWN: _not_ours,
    Reason.REFUND_UNKNOWN: _not_ours,
    Reason.REFUND_WITHOUT_PAYMENT: _not_ours,
    Reason.DUPLICATE: _twice,
    Reason.STATUS: _status,
    Reason.FEE: _fee,
    Reason.IDENTITY: _identity,
    Reason.NOTIFICATION: _notification,
    Reason.PAYMENT_REVERSED: _undone,
    Reason.REFUND_BOUNCED: _undone,
    Reason.DISPUTED: _disputed,
    Reason.SUMMARY: _sums,
}
