"""What the notification modules of all providers share."""

from __future__ import annotations


class BadNotification(Exception):
    """A message not to be believed or not to be understood; nothing may change because of it. `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
