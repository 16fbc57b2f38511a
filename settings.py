"""Everything an operator may set, read once per process from `AUTODEBIT_*` variables.

`docs/settings.md` is this file as a table; a test keeps the two alike.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, IPvAnyNetwork, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from agreements import rates


def _seconds(value: object) -> object:
    """A variable is text, of which pydantic takes ISO 8601 only."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


Duration = Annotated[timedelta, BeforeValidator(_seconds)]
Rates = Annotated[tuple[tuple[str, rates.Rate], ...], NoDecode, BeforeValidator(rates.read)]

LONGEST_CALL = timedelta(seconds=14)
"""A step makes two calls at most, and is taken for dead after 30 seconds (`workflows/calls.py`): an answer that comes
later would be lost, though money may have moved.
"""
_PAYLOAD_KEY_BYTES = 32
PLAIN = "plain"
"""In the place of the first key: nothing is sealed, and the other keys open what once was."""


def checked_payload_keys(keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    """The ring as given. Raises ValueError, without showing the key, for one that is not 32 bytes in base64."""
    for place, key in enumerate(keys, 1):
        word = key.get_secret_value()
        try:
            good = (word == PLAIN and place == 1) or len(urlsafe_b64decode(word)) == _PAYLOAD_KEY_BYTES
        except ValueError:
            good = False
        if not good:
            raise ValueError(f"number {place} is no key; `autodebit codec new-key` makes one")
    return keys


ADDRESS = r"^[^\s:]+:\d{1,5}$"
"""`host:port`."""


class Settings(BaseSettings):
    """One instance per process; `dev` sets the variables for the processes it starts."""

    model_config = SettingsConfigDict(env_prefix="AUTODEBIT_", frozen=True)

    environment: Literal["dev", "production"] = Field(
        default="production", description="`dev` prints logs for people, and needs no keys for payloads."
    )
    database_url: str = Field(description="PostgreSQL, as `postgresql+asyncpg://user:password@host:port/database`.")
    temporal_address: str = Field(description="Temporal's frontend, `host:port`.")
    temporal_namespace: str = Field(default="default", description="Temporal namespace of the agreements.")
    temporal_tls: bool = Field(default=False, description="Whether Temporal is reached by TLS, as Temporal Cloud is.")
    temporal_api_key: SecretStr | None = Field(default=None, description="Key of the namespace, as of Temporal Cloud.")
    temporal_server_ca: Path | None = Field(
        default=None, description="Certificate that vouches for Temporal's server, if none of the system's does."
    )
    temporal_client_cert: Path | None = Field(
        default=None, description="Our own certificate at Temporal; goes with its key."
    )
    temporal_client_key: Path | None = Field(
        default=None, validate_default=True, description="The private key of that certificate."
    )
    public_url: str = Field(
        default="http://127.0.0.1:8000",
        description="Our own address as customers' browsers and providers reach it: return and notification URLs.",
    )
    trusted_proxies: Annotated[tuple[IPvAnyNetwork, ...], NoDecode] = Field(
        default=(),
        description="Comma-separated addresses or networks of proxies whose `X-Forwarded-*` headers are believed.",
    )
    vault_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        description="Comma-separated Fernet keys of the vault, newest first: the first seals, all open."
    )
    vault_hash_key: SecretStr = Field(description="Key of the hash by which sealed tokens are found; never rotated.")
    payload_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        default=(),
        validate_default=True,
        description="Comma-separated keys of what Temporal stores, newest first: the first seals, all open; required"
        " outside `dev` (docs/encryption.md).",
    )
    rulebook: Path | None = Field(
        default=None, description="Folder of a rulebook to go by instead of the shipped one (docs/rulebook.md)."
    )
    rate_limit_live: int = Field(
        default=100,
        ge=0,
        description="Requests a second a live key may make, per API process; ten seconds' worth at once. 0: no limit.",
    )
    rate_limit_test: int = Field(default=50, ge=0, description="The same for a test key.")
    failed_authentication_limit: int = Field(
        default=60,
        ge=0,
        description="Requests a minute without a working key from one address, per API process; also of forged"
        " notifications and links that lead nowhere (docs/notifications.md). 0: no limit.",
    )
    database_pool: int = Field(default=20, ge=1, description="Connections to PostgreSQL per process.")
    worker_health_port: int | None = Field(default=None, description="Port of the worker's `/readyz`; none by default.")
    charge_concurrency: int = Field(
        default=50,
        ge=1,
        description="Most calls under way at once, per gateway and worker process; fewer where the CPU is busy.",
    )
    debit_window_minutes: int | None = Field(
        default=None,
        ge=1,
        le=720,
        description="The `debit_window_minutes` of new agreements whose terms do not say: each is debited at a second"
        " of its own in so many minutes (docs/throughput.md). Those there are keep their time.",
    )
    gateway_rates: Rates = Field(
        default=(),
        description="Calls a provider may get in any stretch of time, over all workers and merchants, such as"
        " `antom=50/s,ottu=1800/min`; set on the Temporal server at every start of a worker (docs/throughput.md).",
    )
    merchant_rates: Rates = Field(
        default=(), description="The same for each merchant by itself, where a provider counts by account."
    )
    cached_workflows: int = Field(
        default=5000,
        ge=0,
        description="Workflows a worker keeps in memory, 10 to 20 KB each: those that are due again soon. One that is"
        " not there is replayed from its history first, which costs about 5 ms of CPU.",
    )
    workflow_sandbox: bool = Field(
        default=True,
        description="Run workflow code in Temporal's sandbox. Without it a workflow that enters the cache costs about "
        "5 ms of CPU less.",
    )
    provider_timeout: Duration = Field(
        default=timedelta(seconds=12),
        gt=timedelta(0),
        le=LONGEST_CALL,
        description="Longest wait for a provider's answer (seconds or ISO 8601); 14 seconds at most, so that two calls"
        " fit into the 30 that a step may take.",
    )
    test_clock_provider_timeout: Duration = Field(
        default=timedelta(seconds=2),
        gt=timedelta(0),
        le=LONGEST_CALL,
        description="The same for agreements on a test clock, which stands still meanwhile.",
    )
    webhook_backoff_scale: float = Field(
        default=1.0, gt=0, le=1, description="Multiplies the waits between webhook attempts; below 1 for tests only."
    )
    webhook_log_retention: Duration = Field(
        default=timedelta(days=30), ge=timedelta(days=1), description="How long attempts of webhooks stay in the log."
    )
    notification_retention: Duration = Field(
        default=timedelta(days=90),
        ge=timedelta(days=7),
        description="How long providers' messages stay in the journal once they are dealt with.",
    )
    doubtful_notification_retention: Duration = Field(
        default=timedelta(days=400),
        ge=timedelta(days=7),
        description="The same for messages that were refused, or matched nothing.",
    )
    event_retention: Duration = Field(
        default=timedelta(days=400),
        ge=timedelta(days=7),
        description="How long events stay in the feed, with what became of their deliveries (docs/webhooks.md).",
    )
    sweep_interval: Duration = Field(
        default=timedelta(seconds=30),
        gt=timedelta(0),
        description="How often work left behind by a crash is looked for.",
    )
    credential_check_interval: Duration = Field(
        default=timedelta(days=1),
        gt=timedelta(0),
        description="How often providers that can be asked are asked for every card in use; found gone twice: revoked.",
    )

    audit_interval: Duration = Field(
        default=timedelta(minutes=1),
        gt=timedelta(0),
        description="How often the ledger is audited against its invariants (docs/observability.md).",
    )
    metrics_address: str | None = Field(
        default=None,
        pattern=ADDRESS,
        description="`host:port` of a private listener for this process's metrics, such as `0.0.0.0:9464`.",
    )
    temporal_metrics_address: str | None = Field(
        default=None, pattern=ADDRESS, description="The same for the metrics of Temporal's SDK: `0.0.0.0:9465`."
    )
    metrics_key: SecretStr | None = Field(
        default=None,
        min_length=16,
        description="Bearer key of the API's `GET /metrics`; without it that is there in `dev` only.",
    )
    otlp_endpoint: str | None = Field(
        default=None,
        description="Collector for traces, OTLP over HTTP: `http://collector:4318`. Without it, or the standard"
        " `OTEL_EXPORTER_OTLP_ENDPOINT`, none are made.",
    )

    deployment: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_-]+$",
        description="Name of the worker deployment, where builds of the worker run side by side (docs/upgrades.md).",
    )
    build_id: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9._-]+$",
        validate_default=True,
        description="The build this worker is; goes with the deployment.",
    )

    settlement_folder: Path | None = Field(
        default=None,
        description="Folder in which providers' settlement files arrive: new ones are reconciled.",
    )
    settlement_interval: Duration = Field(
        default=timedelta(days=1), gt=timedelta(0), description="How often that folder is looked into."
    )
    settlement_fees: Literal["deducted", "apart"] = Field(
        default="deducted",
        description="Whether the rows of a payout's details are net of fees, or the fees come off in its summary.",
    )

    def notification_url(self, gateway: str, account: str) -> str:
        """Where a provider is to report what happens on a merchant's account. It signs this path, so there is one."""
        return f"{self.public_url}/notifications/{gateway}/{account}"

    @field_validator("public_url")
    @classmethod
    def _without_slash(cls, value: str) -> str:
        return value.rstrip("/")

    @field_validator("vault_keys", mode="before")
    @classmethod
    def _split_keys(cls, value: object) -> object:
        return tuple(key.strip() for key in value.split(",")) if isinstance(value, str) else value

    @field_validator("temporal_client_key")
    @classmethod
    def _with_its_certificate(cls, value: Path | None, given: ValidationInfo) -> Path | None:
        if (value is None) != (given.data.get("temporal_client_cert") is None):
            raise ValueError("a certificate and its key are given together, or neither")
        return value

    @field_validator("build_id")
    @classmethod
    def _with_the_deployment(cls, value: str | None, given: ValidationInfo) -> str | None:
        if value is not None and given.data.get("deployment") is None:
            raise ValueError("a build is one of a deployment, which is not given")
        return value

    @field_validator("payload_keys")
    @classmethod
    def _sealed_outside_dev(cls, keys: tuple[SecretStr, ...], given: ValidationInfo) -> tuple[SecretStr, ...]:
        if not keys and given.data.get("environment") != "dev":
            raise ValueError("outside `dev` Temporal's histories are sealed; `autodebit codec new-key` makes a key")
        return checked_payload_keys(keys)

    @field_validator("trusted_proxies", "payload_keys", mode="before")
    @classmethod
    def _split_list(cls, value: object) -> object:
        return tuple(each.strip() for each in value.split(",") if each.strip()) if isinstance(value, str) else value


class WorkerSettings(Settings):
    """Those of a worker. Where there is a deployment it is some build of it; API and commands are none."""

    @field_validator("build_id")
    @classmethod
    def _is_some_build(cls, value: str | None, given: ValidationInfo) -> str | None:
        if value is None and given.data.get("deployment") is not None:
            raise ValueError("a worker of a deployment is given its build id as well")
        return value
