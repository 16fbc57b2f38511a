"""Who uses the engine: merchants, their API keys and their accounts at providers, and their test clocks."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from store.tables.columns import created_at, instant, optional_instant


class Merchant(SQLModel, table=True):
    """A business that collects through the engine."""

    __tablename__ = "merchants"

    id: str = Field(primary_key=True)
    name: str
    disabled_at: datetime | None = optional_instant()
    """Since then none of its keys opens anything; agreements go on, unless a stop switch holds them."""
    created_at: datetime = created_at()


class ApiKey(SQLModel, table=True):
    """A bearer key. Only its SHA-256 is kept: the key itself is 256 random bits, so a plain hash cannot be guessed."""

    __tablename__ = "api_keys"

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id", index=True)
    livemode: bool
    key_hash: str = Field(unique=True)
    ending: str = ""
    """Its last four characters, by which people tell keys apart; over 200 bits stay unknown."""
    works_until: datetime | None = optional_instant()
    """Set where the key was rotated or disabled; null works for ever."""
    last_used_at: datetime | None = optional_instant()
    """To the minute."""
    created_at: datetime = created_at()

    def works(self, now: datetime) -> bool:
        """Whether it has not ended yet; its merchant may none the less be disabled."""
        return self.works_until is None or now < self.works_until


class GatewayAccount(SQLModel, table=True):
    """A merchant's account at a provider in one mode, with its keys sealed."""

    __tablename__ = "gateway_accounts"
    __table_args__ = (UniqueConstraint("merchant_id", "livemode", "gateway"),)

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id")
    livemode: bool
    gateway: str
    base_url: str
    sandbox: bool = False
    sealed_keys: str = Field(repr=False)
    created_at: datetime = created_at()


class TestClock(SQLModel, table=True):
    """A clock that stands still until it is advanced; `target` is set while it is on its way."""

    __tablename__ = "test_clocks"
    __test__ = False

    id: str = Field(primary_key=True)
    merchant_id: str = Field(foreign_key="merchants.id", index=True)
    now: datetime = instant()
    target: datetime | None = optional_instant()
    created_at: datetime = created_at()
