"""`autodebit agreements`, `charges` and `events` as programs, against the whole engine: words, tables, exit codes."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from api.description.events import EVENTS
from api.description.examples import ANSWERS
from cli import in_words
from tests.support.house import Shop

NOWHERE = "http://127.0.0.1:9"
"""The discard port."""


@dataclass(frozen=True)
class Ended:
    """What a program said, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


async def autodebit(
    *words: str, url: str | None = None, key: str | None = None, cwd: Path | None = None, **env: str
) -> Ended:
    """Runs a command. Its input is no terminal, its address and key only what is given here."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AUTODEBIT_")}
    given = {"AUTODEBIT_API_URL": url, "AUTODEBIT_API_KEY": key}
    program = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("autodebit")),
        *words,
        env=inherited | {name: value for name, value in given.items() if value} | env,
        cwd=cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await program.communicate()
    return Ended(program.returncode or 0, out.decode(), err.decode())


async def test_people_see_and_steer_an_agreement(shop: Shop) -> None:
    clock = await shop.clock("2027-01-31T00:00:00Z")
    agreement = await shop.agree(clock, "success,insufficient_funds,success")
    await shop.advance(clock, "2027-03-20T00:00:00Z")
    charges = await shop.charges(agreement)

    async def run(*words: str) -> Ended:
        return await autodebit(*words, url=shop.house.settings.public_url, key=shop.secret_key)

    listed, as_json, shown, shown_json, charge, events, unpaid = await asyncio.gather(
        run("agreements", "list", "--status", "active"),
        run("agreements", "list", "--json"),
        run("agreements", "show", agreement),
        run("agreements", "show", agreement, "--json"),
        run("charges", "show", charges[1]["id"]),
        run("events", "tail", "--agreement", agreement, "-n", "3", "--json"),
        run("charges", "list", "--agreement", agreement, "--status", "succeeded"),
    )
    assert [ended.code for ended in (listed, as_json, shown, shown_json, charge, events, unpaid)] == [0] * 7, shown.err

    # Lists: a header and a row per entry; JSON as the API says it.
    assert [line.split()[0] for line in listed.out.splitlines() if "agr_" in line] == [agreement]
    assert "PHP 499.00 every month" in listed.out
    assert as_json.json == [await shop.read(agreement)]
    assert len(re.findall(r"^\s*chg_", unpaid.out, re.MULTILINE)) == 2

    # The agreement in plain words: what is agreed, what happened, and why.
    read = await shop.read(agreement)
    decision = charges[1]["attempts"][0]["decision"]
    for words in (
        "Ana Cruz (cus-7) pays PHP 499.00 every month by GCASH through antom, 13 times, from 2027-01-31",
        "Paid so far: PHP 998.00 in 2 cycles",
        f"Next debit: {in_words.instant(read['next_charge_at'], in_words.zone_of(read))} (Asia/Manila).",
        "2027-01-31 09:00  cycle 1 (PHP 499.00) collected",
        "cycle 2 (PHP 499.00) declined: insufficient_funds; tried again",
        f"by rule {decision['rule']} of rulebook {decision['rulebook_version']}, budget left {decision['budget_left']}",
    ):
        assert words in shown.out, shown.out
    assert [entry["kind"] for entry in shown_json.json["timeline"]].count("decision") == 1
    assert decision["rule"] in charge.out
    assert charges[1]["attempts"][0]["gateway_request_id"] in charge.out
    told = [json.loads(line) for line in events.out.splitlines()]
    assert told == (await shop.events(agreement))[-3:]

    # Changes, and what is refused.
    assert (await run("agreements", "pause", agreement)).out == f"{agreement} is paused\n"
    again = await run("agreements", "pause", agreement)
    assert (again.code, len(again.err.splitlines())) == (1, 1)
    assert again.err.endswith("(state_conflict)\n")
    resumed = await run("agreements", "resume", agreement, "--json")
    assert resumed.json["status"] == "active"
    unasked = await run("agreements", "revoke", agreement)
    assert (unasked.code, "--yes" in unasked.err) == (2, True)
    assert (await shop.read(agreement))["status"] == "active"
    revoked = await run("agreements", "revoke", agreement, "--yes", "--initiator", "customer", "--reason", "moved away")
    assert revoked.out == f"{agreement} is revoked\n"
    assert (await shop.read(agreement))["revocation"]["reason"] == "moved away"


async def test_what_goes_wrong_is_one_line_and_an_exit_code(shop: Shop, tmp_path: Path) -> None:
    url = shop.house.settings.public_url
    unknown, wrong_key, nobody, nothing, misspelt = await asyncio.gather(
        autodebit("agreements", "show", "agr_nope", url=url, key=shop.secret_key),
        autodebit("charges", "list", url=url, key="sk_test_unknown"),
        autodebit("events", "tail", url=NOWHERE, key=shop.secret_key),
        autodebit("agreements", "list", cwd=tmp_path),
        autodebit("agreements", "list", "--status", "asleep", url=url, key=shop.secret_key),
    )
    assert (unknown.code, wrong_key.code, nobody.code, nothing.code, misspelt.code) == (1, 1, 3, 2, 2)
    assert unknown.err == (
        "autodebit: There is no such agreement. "
        "Check the path, and that the key belongs to its merchant and mode. (not_found)\n"
    )
    assert "(unauthorized)" in wrong_key.err
    assert nobody.err.startswith(f"autodebit: {NOWHERE} does not answer")
    assert "AUTODEBIT_API_KEY" in nothing.err
    for ended in (unknown, wrong_key, nobody, nothing):
        assert (ended.out, len(ended.err.splitlines())) == ("", 1)


async def test_a_running_dev_in_this_folder_is_found(shop: Shop, tmp_path: Path) -> None:
    ready = tmp_path / ".autodebit" / "ready.json"
    ready.parent.mkdir()
    ready.write_text(json.dumps({"api_url": shop.house.settings.public_url, "secret_key": shop.secret_key}))
    assert (await autodebit("agreements", "list", "--json", cwd=tmp_path)).json == []
    # What the environment says goes before it.
    assert (await autodebit("agreements", "list", cwd=tmp_path, url=NOWHERE)).code == 3


@pytest.mark.parametrize(
    ("typed", "offered"), [("agr", "agreements"), ("agreements re", "revoke"), ("events t", "tail")]
)
async def test_the_shell_completes_commands(typed: str, offered: str) -> None:
    ended = await autodebit(
        COMP_WORDS=f"autodebit {typed}", COMP_CWORD=str(len(typed.split())), _AUTODEBIT_COMPLETE="complete_bash"
    )
    assert offered in ended.out.split()


def test_every_event_has_words() -> None:
    assert set(EVENTS) <= in_words.TOLD


def test_an_event_of_a_newer_release_is_shown_by_its_name() -> None:
    entry: dict[str, Any] = {"kind": "event", "charge": None, "cycle": None, "type": "agreement.wished", "details": {}}
    assert in_words.happened(entry, {}) == "agreement.wished"


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ({"frequency": "monthly"}, "PHP 499.00 every month"),
        ({"frequency": "other", "cycle_interval_days": 10}, "PHP 499.00 every 10 days"),
        ({"frequency": None, "amount": None}, "an amount still to be set when asked"),
        (
            {"amount_variability": "variable", "max_amount_per_cycle": 100_000},
            "up to PHP 1,000.00 every month",
        ),
    ],
)
def test_a_rhythm_in_words(terms: dict[str, Any], words: str) -> None:
    assert in_words.rhythm({**ANSWERS["AgreementView"]["terms"], **terms}) == words
