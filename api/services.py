"""What every route works with, made once per process and handed to the app."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Request
from temporalio.client import Client

from api.limits import Limits
from settings import Settings
from store.database import Database
from store.vault import Vault


@dataclass(frozen=True)
class Patience:
    """How long callers are kept waiting (design §4)."""

    authorization: timedelta = timedelta(seconds=5)
    """For the provider's page, before an agreement is answered with 202."""
    same_key: timedelta = timedelta(seconds=10)
    """For the first call with an idempotency key, before its repeat is answered with 409."""
    abandoned: timedelta = timedelta(seconds=7)
    """After this long without an answer the first call has died; its repeat takes over."""


@dataclass(frozen=True)
class Services:
    """The parts behind the front door."""

    settings: Settings
    database: Database
    vault: Vault
    temporal: Client
    patience: Patience
    limits: Limits


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


Inside = Annotated[Services, Depends(_services)]
