"""docs/settings.md lists every setting there is, with its default and meaning."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.fernet import Fernet
from pydantic import ValidationError

from settings import Settings, WorkerSettings
from tests.docs.settings_page import PAGE, table, with_table
from workflows import calls


def test_the_table_is_the_settings() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert table() in page, "run: python -m tests.docs.settings_page"
    assert with_table(page) == page
    assert all(field.description for field in Settings.model_fields.values())


def test_the_example_of_a_ring_is_read_as_described(monkeypatch: pytest.MonkeyPatch) -> None:
    newer, older = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    monkeypatch.setenv("AUTODEBIT_DATABASE_URL", "postgresql+asyncpg://user:password@host:5432/autodebit")
    monkeypatch.setenv("AUTODEBIT_TEMPORAL_ADDRESS", "host:7233")
    monkeypatch.setenv("AUTODEBIT_VAULT_KEYS", f"{newer}, {older}")
    monkeypatch.setenv("AUTODEBIT_VAULT_HASH_KEY", "a long secret")
    monkeypatch.setenv("AUTODEBIT_PROVIDER_TIMEOUT", "PT10S")
    monkeypatch.setenv("AUTODEBIT_SWEEP_INTERVAL", "7.5")
    settings = Settings()
    assert [key.get_secret_value() for key in settings.vault_keys] == [newer, older]
    assert settings.provider_timeout.total_seconds() == 10
    assert settings.sweep_interval.total_seconds() == 7.5
    assert newer not in repr(settings)


@pytest.mark.parametrize("name", ["provider_timeout", "test_clock_provider_timeout"])
@pytest.mark.parametrize("seconds", ["0", "14.1"])
def test_a_step_outlives_two_calls_to_a_provider(name: str, seconds: str) -> None:
    given: dict[str, Any] = {
        "database_url": "postgresql+asyncpg://user:password@host:5432/autodebit",
        "temporal_address": "host:7233",
        "vault_keys": Fernet.generate_key().decode(),
        "vault_hash_key": "hash key",
    }
    assert 2 * getattr(Settings(**given | {name: "14"}), name) < calls.LONGEST_STEP
    with pytest.raises(ValidationError, match=name):
        Settings(**given | {name: seconds})


def test_our_own_address_may_end_with_a_slash() -> None:
    """Providers sign the path of the URL they were given, so a doubled slash would make every message look forged."""
    settings = Settings(
        database_url="postgresql+asyncpg://user:password@host:5432/autodebit",
        temporal_address="host:7233",
        public_url="https://pay.example/engine/",
        vault_keys=Fernet.generate_key().decode(),
        vault_hash_key="hash key",
    )
    assert settings.notification_url("antom", "gwa_1") == "https://pay.example/engine/notifications/antom/gwa_1"


def test_a_worker_of_a_deployment_is_some_build_and_commands_are_none() -> None:
    given: dict[str, Any] = {
        "database_url": "postgresql+asyncpg://user:password@host:5432/autodebit",
        "temporal_address": "host:7233",
        "vault_keys": Fernet.generate_key().decode(),
        "vault_hash_key": "hash key",
    }
    assert Settings(**given, deployment="autodebit").build_id is None
    assert WorkerSettings(**given).deployment is None
    assert WorkerSettings(**given, deployment="autodebit", build_id="0.4.0").build_id == "0.4.0"
    with pytest.raises(ValidationError, match="build_id"):
        WorkerSettings(**given, deployment="autodebit")
    with pytest.raises(ValidationError, match="build_id"):
        Settings(**given, build_id="0.4.0")
