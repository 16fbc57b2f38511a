"""Why something a merchant asks of an agreement cannot be, beyond what its state alone says (`lifecycle.Conflict`)."""

from __future__ import annotations

from collections.abc import Sequence

from agreements.amendments import Needed


class Refused(Exception):
    """What was asked makes no sense for this agreement; `pointer` names the field at fault in the body."""

    def __init__(self, pointer: str, message: str) -> None:
        super().__init__(message)
        self.pointer = pointer


class NoSuchCycle(LookupError):
    """The agreement's terms have no cycle of this number."""


class NeedsNewAuthorization(Exception):
    """Only the payer can allow this; pointers are relative to the body."""

    def __init__(self, needed: Sequence[Needed]) -> None:
        super().__init__("; ".join(f"{each.pointer}: {each.reason}" for each in needed))
        self.needed = tuple(needed)
