"""What a script may do to an answer on its way to the merchant, and to the notification of the result."""

from __future__ import annotations

from enum import Enum, auto


class Wire(Enum):
    """What happens on the connection once the debit was decided."""

    ANSWER = auto()
    CUT = auto()
    """Closed without a byte."""
    HOLD = auto()
    """No answer until the caller gives up. The debit never reached the provider's books."""
    HTTP_500 = auto()
    """The debit never reached the provider's books."""
    GARBAGE = auto()
    """HTTP 200, correctly signed where the provider signs, and no JSON."""
    BAD_SIGNATURE = auto()


class News(Enum):
    """How the notification of the result travels."""

    NORMAL = auto()
    DOUBLE = auto()
    LATE = auto()
    SHUFFLED = auto()
