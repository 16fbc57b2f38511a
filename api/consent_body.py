"""What a merchant may hand over of the consent it saw: `consent` of `POST /v1/agreements` (docs/consent.md)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, IPvAnyAddress

from agreements.consents import Evidence, Seen, Sighting
from api.instants import Timestamp

_CLOCKS_DIFFER = timedelta(minutes=5)


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
    shown_at: Timestamp | None = None
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
            at=self.shown_at,
            ip=str(self.ip) if self.ip else None,
            user_agent=self.user_agent,
            locale=self.locale,
        )
        return Evidence(sightings=(seen,), text=self.text)
