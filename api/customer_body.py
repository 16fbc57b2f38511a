"""Who pays, as merchants say when they make an agreement.

Stricter than what is shown of a customer (`agreements.views.Customer`): agreements of before stay readable.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field

from agreements.views import Customer

_LETTER = r"[^\s\x00-\x20\x7f@<>()\[\],;:\\\"]"
_LABEL = rf"(?:(?!\.){_LETTER}){{1,63}}"
_EMAIL = re.compile(rf"{_LETTER}{{1,64}}@{_LABEL}(?:\.{_LABEL})+")
"""One address at a domain: no name around it, no list. Only a message tells whether there is such a mailbox, so no more
is asked: letters of every script pass, and dots where RFC 5322 has none but some mail providers do."""
_PHONE = r"^\+[1-9][0-9]{6,14}$"
"""ITU-T E.164: at most fifteen digits, country code first. The shortest numbers anybody has are of seven."""


def _email(value: str) -> str:
    if not _EMAIL.fullmatch(value):
        raise ValueError("not an e-mail address, such as ana@example.com")
    return value


def _phone(value: str) -> str:
    if not re.fullmatch(_PHONE, value) or value.endswith("\n"):
        raise ValueError("not a phone number in E.164, such as +639170000000: a plus sign and 7 to 15 digits")
    return value


Email = Annotated[str, Field(max_length=254, json_schema_extra={"format": "email"}), AfterValidator(_email)]
Phone = Annotated[str, Field(json_schema_extra={"pattern": _PHONE}), AfterValidator(_phone)]


class CustomerBody(Customer):
    """Who pays. `id` is the merchant's own. What else is given goes to the provider, which may demand it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    email: Email | None = None
    """One address. Pivot knows customers by it and takes none without; Ottu takes 128 characters at most."""
    phone: Phone | None = None
    """In E.164: a plus sign, the country code and the number, digits only."""
