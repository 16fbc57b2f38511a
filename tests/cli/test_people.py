"""`autodebit agreements`, `charges` and `events` against the whole engine: words, tables, exit codes."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer
from typer.testing import CliRunner

from api.description.answers import ANSWERS
from api.description.events import EVENTS
from cli import front_door, in_words, main
from cli.front_door import READY
from tests.support.house import Shop

NOWHERE = "http://127.0.0.1:9"
"""The discard port."""


@dataclass(frozen=True)
class Ended:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str


@asynccontextmanager
async def program(
    *words: str, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A command as a program of its own; its input is no terminal."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AUTODEBIT_")}
    running = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("autodebit")),
        *words,
        cwd=cwd,
        env=inherited | dict(env or {}),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
        await running.wait()


async def autodebit(*words: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Ended:
    """Runs a command to its end."""
    async with program(*words, env=env, cwd=cwd) as running:
        out, err = await running.communicate()
        return Ended(await running.wait(), out.decode(), err.decode())


def door(shop: Shop, url: str | None = None) -> dict[str, str]:
    """What the environment says of the shop's API."""
    return {"AUTODEBIT_API_URL": url or shop.house.settings.public_url, "AUTODEBIT_API_KEY": shop.secret_key}


async def test_people_see_and_steer_an_agreement(shop: Shop) -> None:
    clock = await shop.clock("2027-01-31T00:00:00Z")
    agreement = await shop.agree(clock, "success,insufficient_funds,success")
    await shop.advance(clock, "2027-03-20T00:00:00Z")
    charges, happened = await shop.charges(agreement), await shop.events(agreement)

    async def told(*words: str) -> str:
        ended = await autodebit(*words, env=door(shop))
        assert ended.code == 0, ended.err
        return ended.out

    listed = await told("agreements", "list", "--status", "active")
    shown = await told("agreements", "show", agreement)
    shown_json = await told("agreements", "show", agreement, "--json")
    charge = await told("charges", "show", charges[1]["id"])
    events = await told("events", "tail", "--agreement", agreement, "-n", "3", "--json")
    paid = await told("charges", "list", "--agreement", agreement, "--status", "succeeded")

    # Lists: a header and a row per entry; JSON as the API says it.
    assert [line.split()[0] for line in listed.splitlines() if "agr_" in line] == [agreement]
    assert "PHP 499.00 every month" in listed
    assert len(re.findall(r"^\s*chg_", paid, re.MULTILINE)) == 2

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
        assert words in shown, shown
    as_json = json.loads(shown_json)
    assert [entry["kind"] for entry in as_json.pop("timeline")].count("decision") == 1
    assert as_json == read
    assert decision["rule"] in charge
    assert charges[1]["attempts"][0]["gateway_request_id"] in charge
    assert [json.loads(line) for line in events.splitlines()] == happened[-3:]

    # Changes, and what is refused.
    assert await told("agreements", "pause", agreement) == f"{agreement} is paused\n"
    again = await autodebit("agreements", "pause", agreement, env=door(shop))
    assert (again.code, len(again.err.splitlines())) == (1, 1)
    assert again.err.endswith("(state_conflict)\n")
    assert json.loads(await told("agreements", "resume", agreement, "--json"))["status"] == "active"
    unasked = await autodebit("agreements", "revoke", agreement, env=door(shop))
    assert (unasked.code, len(unasked.err.splitlines()), "--yes" in unasked.err) == (2, 1, True)
    assert (await shop.read(agreement))["status"] == "active"
    asked = ("--yes", "--initiator", "customer", "--reason", "moved away")
    assert await told("agreements", "revoke", agreement, *asked) == f"{agreement} is revoked\n"
    assert (await shop.read(agreement))["revocation"]["reason"] == "moved away"


async def test_what_goes_wrong_is_one_line_and_an_exit_code(shop: Shop, tmp_path: Path) -> None:
    unknown = await autodebit("agreements", "show", "agr_nope", env=door(shop))
    nobody = await autodebit("events", "tail", env=door(shop, NOWHERE))
    nothing = await autodebit("agreements", "list", cwd=tmp_path)
    assert [each.code for each in (unknown, nobody, nothing)] == [1, 3, 2]
    assert unknown.err == (
        "autodebit: There is no such agreement. "
        "Check the path, and that the key belongs to its merchant and mode. (not_found)\n"
    )
    assert nobody.err.startswith(f"autodebit: {NOWHERE} does not answer")
    assert "AUTODEBIT_API_KEY" in nothing.err
    for ended in (unknown, nobody, nothing):
        assert (ended.out, len(ended.err.splitlines())) == ("", 1)


@pytest.mark.parametrize(
    ("url", "key", "said"),
    [
        ("nonsense", "sk_test_1", "AUTODEBIT_API_URL is no address"),
        ("http://[::1", "sk_test_1", "AUTODEBIT_API_URL is no address"),
        ("ftp://127.0.0.1", "sk_test_1", "AUTODEBIT_API_URL is no address"),
        (NOWHERE, "sk_test_1\nsecond", "AUTODEBIT_API_KEY holds characters"),
        (NOWHERE, "sk_test_é", "AUTODEBIT_API_KEY holds characters"),
    ],
)
def test_an_address_or_key_that_cannot_be_one_is_named_and_the_key_not_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: str, key: str, said: str
) -> None:
    monkeypatch.setenv("AUTODEBIT_API_URL", url)
    monkeypatch.setenv("AUTODEBIT_API_KEY", key)
    with pytest.raises(typer.Exit) as ended, front_door.opened() as door:
        door.get("/v1/agreements")
    told = capsys.readouterr().err
    assert (ended.value.exit_code, len(told.splitlines()), told.startswith(f"autodebit: {said}")) == (2, 1, True)
    assert "sk_test" not in told


def test_what_answers_there_and_is_no_api_is_not_taken_for_one() -> None:
    page = httpx.MockTransport(lambda _: httpx.Response(200, html="<html>Temporal</html>"))
    door = front_door.FrontDoor(httpx.Client(base_url=NOWHERE, transport=page))
    with pytest.raises(front_door.Stopped, match="not as the API does") as stopped:
        door.get("/v1/agreements")
    assert stopped.value.code == 3


def test_whatever_is_typed_for_an_id_is_one_part_of_an_address() -> None:
    assert front_door.path("agreements", "../a/b?c#d", "pause") == "/v1/agreements/..%2Fa%2Fb%3Fc%23d/pause"


def test_the_version_is_told() -> None:
    said = CliRunner().invoke(main.app, ["--version"])
    assert (said.exit_code, said.output) == (0, f"autodebit {version('autodebit')}\n")


async def test_a_running_dev_in_this_folder_is_found(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / READY).parent.mkdir()
    ready = {"api_url": shop.house.settings.public_url, "secret_key": shop.secret_key}
    (tmp_path / READY).write_text(json.dumps(ready))
    assert json.loads((await autodebit("agreements", "list", "--json", cwd=tmp_path)).out) == []


async def test_events_are_followed_until_ctrl_c(shop: Shop) -> None:
    agreement = await shop.agree(await shop.clock("2027-01-31T00:00:00Z"))
    await shop.events(agreement)  # once the feed holds all of them
    words = ("events", "tail", "-f", "-n", "1", "--agreement", agreement, "--json")
    async with program(*words, env=door(shop)) as running:
        assert running.stdout is not None
        assert json.loads(await running.stdout.readline())["type"] == "agreement.activated"
        await shop.call("POST", f"/v1/agreements/{agreement}/pause")
        assert json.loads(await running.stdout.readline())["type"] == "agreement.paused"
        running.send_signal(signal.SIGINT)
        assert await running.wait() == 0


async def test_the_shell_completes_commands() -> None:
    env = {"COMP_WORDS": "autodebit agreements re", "COMP_CWORD": "2", "_AUTODEBIT_COMPLETE": "complete_bash"}
    async with program(env=env) as running:
        out, _ = await running.communicate()
    assert out.decode().split() == ["resume", "revoke"]


def test_every_event_has_words() -> None:
    assert set(EVENTS) <= in_words.TOLD


def test_an_event_of_a_newer_release_is_shown_by_its_name() -> None:
    entry: dict[str, Any] = {"kind": "event", "charge": None, "cycle": None, "type": "agreement.wished", "details": {}}
    assert in_words.happened(entry, {}) == "agreement.wished"


def test_a_timeline_whose_first_events_were_purged_says_so() -> None:
    decision, event = {"kind": "decision", "sequence": None}, {"kind": "event", "sequence": 7}
    assert in_words.purged([decision, event]) == "events 1 to 6 are no longer kept; decisions and charges are"
    assert in_words.purged([decision, {"kind": "event", "sequence": 1}, event]) is None
    assert in_words.purged([]) is None


def test_an_agreement_that_never_began_says_why() -> None:
    error = {"code": "no_email", "message": "The customer's e-mail address is missing."}
    ended = {"ended_at": "2027-01-31T01:00:00Z", "revocation": None, "authorization": {"url": None, "error": error}}
    said = in_words.summary({**ANSWERS["AgreementView"], **ended})
    assert "Ended 2027-01-31 09:00: The customer's e-mail address is missing." in said


def test_what_went_back_is_known_for_a_verification() -> None:
    charge = {"purpose": "verification", "amount": {"currency": "KWD", "value": 100}}
    entry: dict[str, object] = {
        "kind": "event",
        "type": "charge.reversed",
        "details": {},
        "charge": "chg_1",
        "cycle": None,
    }
    told = in_words.happened(entry, {"chg_1": in_words.owed(charge)})
    assert told == "charge chg_1 (KWD 0.100, a verification) undone"


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
