"""`autodebit merchants` and the demo merchant: what they print and remember works on the API."""

from __future__ import annotations

import asyncio
import json
import stat
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from cli.demo_merchant import ensure
from cli.main import app as command_line
from gateways.accounts import Unusable, check
from gateways.port import Account
from sandbox.main import GATEWAYS as SANDBOXES
from settings import Settings
from store import merchants
from store.database import Database
from store.merchants import Principal
from store.tables import GatewayAccount
from store.vault import Vault
from tests.api.conftest import assert_problem, body
from tests.gateways.antom_fixtures import ANTOM_KEY, MERCHANT_KEY, private_text, public_text
from tests.sandbox.support import serving


@pytest.fixture
def environment(settings: Settings) -> dict[str, str]:
    return {
        "AUTODEBIT_DATABASE_URL": settings.database_url,
        "AUTODEBIT_TEMPORAL_ADDRESS": settings.temporal_address,
        "AUTODEBIT_PUBLIC_URL": settings.public_url,
        "AUTODEBIT_VAULT_KEYS": ",".join(key.get_secret_value() for key in settings.vault_keys),
        "AUTODEBIT_VAULT_HASH_KEY": settings.vault_hash_key.get_secret_value(),
    }


@pytest.fixture
def key_files(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "private.pem").write_text(private_text(MERCHANT_KEY))
    (tmp_path / "public.pem").write_text(public_text(ANTOM_KEY))
    return {"--private-key-file": str(tmp_path / "private.pem"), "--public-key-file": str(tmp_path / "public.pem")}


async def _exit_code(environment: dict[str, str], *words: str) -> tuple[int, str]:
    """A command's exit code and what it printed."""

    def run() -> tuple[int, str]:
        result = CliRunner().invoke(command_line, words, env=environment)
        return result.exit_code, result.output

    return await asyncio.to_thread(run)


async def _printed(environment: dict[str, str], *words: str) -> dict[str, str]:
    """The values a command that succeeds prints, by name."""
    code, output = await _exit_code(environment, *words)
    assert code == 0, output
    pairs = (line.split(": ", 1) for line in output.splitlines() if ": " in line)
    return {name: value.strip() for name, value in pairs}


async def test_a_merchant_made_and_connected_by_hand_can_create_agreements(
    environment: dict[str, str], key_files: dict[str, str], http: httpx.AsyncClient, database: Database, vault: Vault
) -> None:
    made = await _printed(environment, "merchants", "create", "Example Store")
    assert made["key"].startswith("sk_test_")
    headers = {"Authorization": f"Bearer {made['key']}", "Idempotency-Key": "k"}
    assert_problem(await http.post("/v1/agreements", json=body(), headers=headers), 422, "invalid_request", "/gateway")

    options = {"--base-url": "https://antom.example", "--client-id": "5Y1"} | key_files
    words = [
        "merchants",
        "connect",
        made["merchant"],
        "antom",
        "--test",
        *(w for pair in options.items() for w in pair),
    ]
    connected = await _printed(environment, *words)
    account = connected["account"]
    assert connected["notification URL"] == f"https://pay.example/notifications/antom/{account}"
    assert (await http.post("/v1/agreements", json=body(), headers=headers)).status_code == 202

    words[words.index("5Y1")] = "5Y2"
    assert (await _printed(environment, *words))["account"] == account, "connected again, not twice"
    async with database.transaction() as session:
        row = await session.get_one(GatewayAccount, account)
    assert merchants.opened_keys(vault, row)["client_id"] == "5Y2"
    assert "PRIVATE" not in row.sealed_keys


async def test_a_live_key_is_for_live_mode(environment: dict[str, str], database: Database) -> None:
    made = await _printed(environment, "merchants", "create", "Example Store", "--live")
    async with database.transaction() as session:
        assert await merchants.principal_for(session, made["key"]) == Principal(made["merchant"], livemode=True)
        assert await merchants.principal_for(session, made["key"].replace("live", "test")) is None


@pytest.mark.parametrize("name", ["", " ", "a\nb", "\x1b[31m", "x" * 129])
async def test_a_name_nobody_can_read_is_refused(environment: dict[str, str], name: str) -> None:
    code, said = await _exit_code(environment, "merchants", "create", name)
    assert (code, "key:" in said) == (2, False)


@pytest.mark.parametrize(("merchant", "gateway"), [("mer_nobody", "antom"), ("mer_nobody", "paypal")])
async def test_connecting_what_does_not_exist_is_refused(
    environment: dict[str, str], key_files: dict[str, str], merchant: str, gateway: str
) -> None:
    options = {"--base-url": "https://antom.example", "--client-id": "5Y1"} | key_files
    words = ["merchants", "connect", merchant, gateway, "--test", *(w for pair in options.items() for w in pair)]
    assert (await _exit_code(environment, *words))[0] == 2


async def test_keys_that_are_no_keys_are_refused(environment: dict[str, str], key_files: dict[str, str]) -> None:
    Path(key_files["--private-key-file"]).write_text("not a key")
    made = await _printed(environment, "merchants", "create", "Example Store")
    options = {"--base-url": "https://antom.example", "--client-id": "5Y1"} | key_files
    words = [
        "merchants",
        "connect",
        made["merchant"],
        "antom",
        "--test",
        *(w for pair in options.items() for w in pair),
    ]
    assert (await _exit_code(environment, *words))[0] == 2


OTTU = {"api_key": "DESERTBK.s3cret", "hmac_key": "webhook key"}
PIVOT = {"client_id": "cli_1", "client_secret": "s3cret", "callback_api_key": "callback key"}


def _connecting(merchant: str, gateway: str, *options: str, **keys: str) -> list[str]:
    """The words that connect a test account with keys given on the command line."""
    given = [word for name, value in keys.items() for word in ("--key", f"{name}={value}")]
    return ["merchants", "connect", merchant, gateway, "--test", "--base-url", "https://x.example", *given, *options]


@pytest.mark.parametrize(("gateway", "keys"), [("ottu", OTTU), ("pivot", PIVOT | {"recurring_profile": "token_never"})])
async def test_every_gateway_is_connected_by_naming_its_keys(
    environment: dict[str, str], tmp_path: Path, database: Database, vault: Vault, gateway: str, keys: dict[str, str]
) -> None:
    made = await _printed(environment, "merchants", "create", "Example Store")
    (name, secret), *others = keys.items()
    (tmp_path / "secret").write_text(f"{secret}\n")
    words = _connecting(made["merchant"], gateway, "--key-file", f"{name}={tmp_path / 'secret'}", **dict(others))

    account = (await _printed(environment, *words))["account"]

    async with database.transaction() as session:
        row = await session.get_one(GatewayAccount, account)
    assert (row.gateway, row.base_url, row.sandbox) == (gateway, "https://x.example", False)
    assert merchants.opened_keys(vault, row) == keys


@pytest.mark.parametrize(
    ("gateway", "keys", "options", "said"),
    [
        ("ottu", {"api_key": "k"}, (), "ottu: missing: hmac_key"),
        ("ottu", OTTU | {"hmac": "x"}, (), "unknown: hmac (known:"),
        ("ottu", OTTU | {"plugin": "shop"}, (), "plugin must be one of: e_commerce, payment_request"),
        ("ottu", OTTU | {"api_key": "two words"}, (), "api_key is missing or cannot be sent in a header"),
        ("pivot", PIVOT | {"client_secret": ""}, (), "pivot: missing: client_secret"),
        ("pivot", PIVOT | {"recurring_profile": "always"}, (), "recurring_profile must be one of"),
        ("antom", {"client_id": "5Y1"}, (), "antom: missing: private_key, public_key"),
        ("pivot", PIVOT, ("--key", "client_id=again"), "client_id is given twice"),
        ("pivot", PIVOT, ("--base-url", "x.example"), "an address begins with https://"),
        ("pivot", PIVOT, ("--base-url", "https:///v2"), "an address begins with https://"),
        ("pivot", PIVOT, ("--key", "nothing"), "a key is given as NAME=VALUE"),
        ("pivot", {}, ("--key-file", "client_secret=/no/such/file"), "client_secret: the file cannot be read"),
    ],
)
async def test_keys_that_cannot_be_used_are_told_apart_before_anything_is_stored(
    environment: dict[str, str], gateway: str, keys: dict[str, str], options: tuple[str, ...], said: str
) -> None:
    code, output = await _exit_code(environment, *_connecting("mer_nobody", gateway, *options, **keys))

    assert code == 2
    plain = " ".join(output.replace("│", " ").split())
    assert said in plain


def test_a_merchants_own_names_of_its_gateways_are_known_keys() -> None:
    check("ottu", Account("", False, "", OTTU | {"pg_code.mpgs-kwd": "my-mpgs"}))
    with pytest.raises(Unusable, match=r"unknown: pgcode\.mpgs-kwd"):
        check("ottu", Account("", False, "", OTTU | {"pgcode.mpgs-kwd": "my-mpgs"}))


async def test_the_demo_merchant_is_made_once_and_connected_everywhere_at_every_start(
    environment: dict[str, str], tmp_path: Path, http: httpx.AsyncClient, database: Database, vault: Vault
) -> None:
    async with AsyncExitStack() as stack:
        sandboxes = {
            gateway: await stack.enter_async_context(serving(create(tmp_path / f"{gateway}.sqlite3")))
            for gateway, create in SANDBOXES.items()
        }
        first = await ensure(tmp_path, sandboxes, environment)
        again = await ensure(tmp_path, sandboxes, environment)
    assert again == first
    assert set(first.accounts) == {"antom", "ottu", "pivot"}
    remembered = tmp_path / "demo-merchant.json"
    assert stat.S_IMODE(remembered.stat().st_mode) == 0o600
    assert json.loads(remembered.read_text())["merchant"] == first.merchant
    async with database.transaction() as session:
        accounts = {gateway: await session.get_one(GatewayAccount, id_) for gateway, id_ in first.accounts.items()}
    assert all(account.sandbox and account.gateway == gateway for gateway, account in accounts.items())
    keys = {gateway: merchants.opened_keys(vault, account) for gateway, account in accounts.items()}
    assert keys["antom"]["client_id"].startswith("SANDBOX_")
    assert keys["antom"]["public_key"]
    assert keys["pivot"]["recurring_profile"] == "token_never"
    headers = {"Authorization": f"Bearer {first.secret_key}"}
    assert (await http.get("/v1/agreements", headers=headers)).status_code == 200
