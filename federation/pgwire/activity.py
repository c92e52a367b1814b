"""What a session does and since when, as pg_stat_activity shows it."""

from __future__ import annotations

import time

MOST_TEXT = 1023  # bytes of a query that are shown: track_activity_query_size, less its end
ACTIVE = "active"
_AT_REST = {"I": "idle", "T": "idle in transaction", "E": "idle in transaction (aborted)"}


class Activity:
    """The thread of the session tells, any other may read. Times are seconds since 1970."""

    def __init__(self) -> None:
        self.began = self.changed = time.time()
        self.state = _AT_REST["I"]
        self.in_transaction: float | None = None  # since when
        self.asked: float | None = None  # when the last statement began
        self._text = ""

    @property
    def text(self) -> str:
        """Of the last statement, as much of it as is shown."""
        return self._text.encode(errors="replace")[:MOST_TEXT].decode(errors="ignore")

    def works(self, text: str) -> None:
        """On a statement."""
        now = time.time()
        self._text = text[:MOST_TEXT]
        self.state, self.asked, self.changed = ACTIVE, now, now
        if self.in_transaction is None:
            self.in_transaction = now

    def rests(self, status: str) -> None:
        """With the transaction in that status, as ReadyForQuery tells it."""
        self.state, self.changed = _AT_REST[status], time.time()
        if status != "T":
            self.in_transaction = None
