"""What a merchant may hand over of the consent it saw: `consent` of `POST /v1/agreements` (docs/consent.md)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, IPvAnyAddress

from agreements.consents import Evidence, Seen, Sighting

_CLOCKS_DIFFER = timedelta(minutes=5)


def _rfc_3339(value: Any) -> Any:
    # pydantic alone would also take a Unix time.
    if isinstance(value, str) and "T" in value.upper():
        return value
    raise ValueError("a time is text by RFC 3339, such as 2027-01-31T09:00:00+08:00")


def _text(value: Any) -> Any:
    # pydantic alone would also take a number for an address.
    if isinstance(value, str):
        return value
    raise ValueError("an IP address is text")


class ConsentBody(BaseModel):
    """What the customer was shown on the merchant's own page, and what that page saw of them: kept sealed."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    locale: Annotated[str, Field(max_length=35, pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$")] | None = None
    """The page's language by BCP 47, such as `en-PH`."""
    ip: Annotated[IPvAnyAddress, BeforeValidator(_text)] | None = None
    user_agent: Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f\x7f]*$")] | None = None
    shown_at: Annotated[AwareDatetime, BeforeValidator(_rfc_3339)] | None = None
    """When the page was shown."""
    text: Annotated[str, Field(min_length=1, max_length=16_384)] | None = None
    """The exact words the customer agreed to."""

    def too_late(self, now: datetime) -> bool:
        """Whether it claims to come from the future."""
        return self.shown_at is not None and self.shown_at > now + _CLOCKS_DIFFER

    def evidence(self) -> Evidence:
        """The same as it is kept."""
        seen = Sighting(
            where=Seen.MERCHANT,
            at=self.shown_at.astimezone(UTC) if self.shown_at else None,
            ip=str(self.ip) if self.ip else None,
            user_agent=self.user_agent,
            locale=self.locale,
        )
        return Evidence(sightings=(seen,), text=self.text)
