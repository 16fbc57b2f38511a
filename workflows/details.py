"""The text operators read on an agreement's page in the Temporal UI."""

from __future__ import annotations

from datetime import datetime

from agreements.agenda import next_step
from agreements.standing import Standing


def details(standing: Standing, now: datetime, remark: str = "") -> str:
    """Markdown: terms, credential, what happens next, and the last charges. No personal data, no secrets.

    `remark` says what of an operator's last signal was ignored or refused.
    """
    step = next_step(standing, now)
    coming = f"{step.title}, {step.due_at:%Y-%m-%d %H:%M} UTC" if step else "nothing, until news arrives"
    lines = [
        f"**{standing.status}**: {standing.terms}",
        "",
        f"- credential: {standing.credential}",
        f"- next: {coming}",
    ]
    if remark:
        lines.append(f"- last signal: {remark}")
    if standing.recent:
        lines += ["", "| cycle | due (UTC) | amount | status |", "| --- | --- | --- | --- |"]
        lines += [
            f"| {charge.cycle or '-'} | {charge.due_at:%Y-%m-%d %H:%M} | {charge.amount} | {charge.status} |"
            for charge in standing.recent
        ]
    return "\n".join(lines)
