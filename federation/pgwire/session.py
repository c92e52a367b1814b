"""What a client has between its messages: settings, a transaction, prepared statements, portals, and who it is."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from adapters.base import CancelToken
from adapters.errors import OperationalError, ProgrammingError, QueryCancelled
from catalog.policies import Caller
from federation.fetch import start_deadline
from federation.pgwire.activity import Activity
from federation.pgwire.notifications import Mailbox
from federation.pgwire.reports import no_snapshot, old_rows, warning
from federation.pgwire.settings import ANY_AGE, Settings, milliseconds
from federation.pgwire.style import Style
from federation.progress import Freshness, State
from federation.snapshots import Snapshots
from federation.staleness import Demand

if TYPE_CHECKING:
    from federation.engine import Engine
    from federation.pgwire.portals import Portal
    from federation.pgwire.prepared import Prepared

MOST_PREPARED = 10_000
SHOWN = {"warning": (State.STALE_ON_ERROR,), "error": ()}  # by client_min_messages
MOST_PORTALS = 1_000
ISOLATION = "transaction_isolation"
WITH_SNAPSHOT = ("repeatable read", "serializable")


class AdminShutdown(QueryCancelled, sqlstate="57P01", retryable=True):
    """The server ends the connection, by itself or for another session."""

    def __init__(self) -> None:
        super().__init__("terminating connection due to administrator command")


class TransactionFailed(ProgrammingError, sqlstate="25P02"):
    """A statement of the transaction failed, and it has not been ended."""


class NoTransaction(ProgrammingError, sqlstate="25P01"):
    """The statement is for transactions, and there is none."""


class IdleInTransaction(OperationalError, sqlstate="25P03"):
    """The client let a transaction wait for longer than `idle_in_transaction_session_timeout`."""


class TransactionOpen(ProgrammingError, sqlstate="25001"):
    """The statement cannot be in a transaction."""


class SavepointNotFound(ProgrammingError, sqlstate="3B001"):
    """The transaction has no savepoint of that name."""


class PreparedNotFound(ProgrammingError, sqlstate="26000"):
    """The session has no prepared statement of that name."""


class PreparedExists(ProgrammingError, sqlstate="42P05"):
    """The session has a prepared statement of that name."""


class CursorNotFound(ProgrammingError, sqlstate="34000"):
    """The session has no cursor or portal of that name."""


class CursorExists(ProgrammingError, sqlstate="42P03"):
    """The session has a cursor or portal of that name."""


class TooMany(ProgrammingError, sqlstate="54000"):
    """The session has as many of them as it may."""


@dataclass
class Session:
    """For the thread of the connection alone, but for `cancel`, `terminate` and what says how it is. What it calls
    knows it by its `key`."""

    caller: Caller
    user: str
    database: str
    pid: int
    settings: Settings
    tell: Callable[[bytes], None]  # sends a message that answers nothing
    status: str = "I"  # T in a transaction, E in one that has failed
    prepared: dict[str, Prepared] = field(default_factory=dict)
    portals: dict[str, Portal] = field(default_factory=dict)
    mailbox: Mailbox = field(default_factory=Mailbox)
    activity: Activity = field(default_factory=Activity)
    key: str = field(default_factory=secrets.token_hex)
    has_read: bool = False  # in this transaction
    _snapshots: Snapshots | None = None  # of this transaction, once it has read
    _told: set[str] = field(default_factory=set)  # what of it is said to have none
    _running: CancelToken | None = None
    _ended: AdminShutdown | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    # --- cancelling -------------------------------------------------------------------------------------------------

    @contextmanager
    def running(self, token: CancelToken) -> Iterator[None]:
        """What is done here can be cancelled, and ends with its `statement_timeout`."""
        with self._lock:
            self.check()
            outer, self._running = self._running, token
        seconds = self.statement_timeout
        stop_clock: Callable[[], None] = start_deadline(token, seconds) if seconds else _nothing
        try:
            yield
        finally:
            stop_clock()
            with self._lock:
                self._running = outer

    @property
    def duckdb(self) -> bool:
        """Whether queries are in DuckDB's words."""
        return self.settings["dialect"] == "duckdb"

    @property
    def style(self) -> Style:
        """How values are written as text."""
        settings = self.settings
        return Style(
            settings["timezone"],
            int(settings["extra_float_digits"]),
            settings["bytea_output"],
            settings["intervalstyle"],
        )

    @property
    def statement_timeout(self) -> float:
        """In seconds; 0 is none."""
        return milliseconds(self.settings["statement_timeout"]) / 1000

    @property
    def demand(self) -> Demand:
        """How old its rows may be."""
        staleness = self.settings["max_staleness"]
        seconds = milliseconds(staleness) / 1000 if staleness != ANY_AGE else None
        return Demand(seconds, self.settings["no_cache"] == "on")

    def tell_age(self, found: Iterable[Freshness]) -> None:
        """A notice for each source whose rows are older than its catalog wants them to be, as far as the client's
        `client_min_messages` lets it through."""
        kept = SHOWN.get(self.settings["client_min_messages"], (State.STALE, State.STALE_ON_ERROR))
        for each in found:
            if each.state in kept:
                self.tell(old_rows(each))

    @property
    def longest_idle(self) -> float:
        """Seconds until a transaction that waits for its client is ended; 0 is never."""
        return milliseconds(self.settings["idle_in_transaction_session_timeout"]) / 1000 if self.status != "I" else 0.0

    def cancel(self) -> None:
        """End what runs, down to the sources. From any thread; nothing happens to a session that waits."""
        self._cancel(QueryCancelled("canceling statement due to user request"))

    def left(self) -> None:
        """The client has gone away."""
        self._cancel(QueryCancelled("the client went away"))

    def terminate(self, reason: AdminShutdown) -> None:
        """End what runs, and whatever would begin."""
        with self._lock:
            self._ended = reason
        self._cancel(reason)

    def check(self) -> None:
        """Raises AdminShutdown when it was ended."""
        if self._ended is not None:
            raise self._ended

    @property
    def interrupted(self) -> bool:
        """Whether what runs has been ended."""
        token = self._running
        return token is not None and token.cancelled

    def _cancel(self, reason: QueryCancelled) -> None:
        with self._lock:
            token = self._running
        if token is not None:
            token.cancel(reason)

    @property
    def idle(self) -> bool:
        return self._running is None and self.status == "I"

    # --- transactions -----------------------------------------------------------------------------------------------

    def begin(self) -> None:
        self._end_snapshots()
        self.status = "T"
        self.settings.begin()
        self.settings.set(ISOLATION, self.settings[f"default_{ISOLATION}"], local=True)

    def end(self, *, commit: bool) -> None:
        """Of the transaction; what was declared WITH HOLD stays after a COMMIT."""
        self.tell_outside()
        self.close_portals(keep_held=commit)
        self._end_snapshots()
        self.status = "I"
        for kept in (self.settings, self.mailbox):
            if commit:
                kept.commit()
            else:
                kept.rollback()

    def end_implicit(self) -> None:
        """Of what no BEGIN has begun, if that is so."""
        if self.status == "I":
            self.close_portals(keep_held=True)
            self._end_snapshots()
            self.mailbox.commit()
            default = self.settings[f"default_{ISOLATION}"]
            if self.settings[ISOLATION] != default:
                self.settings.set(ISOLATION, default)

    def failed(self) -> None:
        """A statement has failed: without a savepoint to go back to nothing can follow."""
        if self.status == "T":
            self.status = "E"
        if self.status == "I":
            self.mailbox.rollback()
        if self.status == "E" and not self.settings.savepoints()[1:]:
            self.close_portals(keep_held=True)
            self._end_snapshots()

    def reading(self, engine: Engine) -> Snapshots | None:
        """What a query of the session reads from, if not from the sources as they are."""
        self.has_read = True
        if self.settings[ISOLATION] not in WITH_SNAPSHOT:
            return None
        if self._snapshots is None:
            self._snapshots = engine.begin()
        return self._snapshots

    def warn(self, sqlstate: str, message: str) -> None:
        if self.settings["client_min_messages"] != "error":
            self.tell(warning(sqlstate, message))

    def tell_outside(self) -> None:
        """A warning, once, for each source or table that has no snapshot and was read all the same."""
        outside = self._snapshots.outside() if self._snapshots is not None else []
        for name in outside:
            if name not in self._told and self.settings["client_min_messages"] != "error":
                self._told.add(name)
                self.tell(no_snapshot(name))

    def _end_snapshots(self) -> None:
        self.has_read = False
        self._told.clear()
        snapshots, self._snapshots = self._snapshots, None
        if snapshots is not None:
            snapshots.end()

    def savepoint_index(self, name: str) -> int:
        """Raises SavepointNotFound."""
        names = self.settings.savepoints()
        for index in range(len(names) - 1, 0, -1):
            if names[index] == name:
                return index
        raise SavepointNotFound(f'savepoint "{name}" does not exist')

    # --- prepared statements and portals ----------------------------------------------------------------------------

    def add_prepared(self, name: str, prepared: Prepared) -> None:
        """The one without a name is replaced. Raises PreparedExists, TooMany."""
        if name and name in self.prepared:
            raise PreparedExists(f'prepared statement "{name}" already exists')
        if len(self.prepared) >= MOST_PREPARED:
            raise TooMany(f"the session has {MOST_PREPARED} prepared statements", hint="DEALLOCATE ALL")
        self.prepared[name] = prepared

    def find_prepared(self, name: str) -> Prepared:
        """Raises PreparedNotFound."""
        found = self.prepared.get(name)
        if found is None:
            shown = f'prepared statement "{name}"' if name else "unnamed prepared statement"
            raise PreparedNotFound(f"{shown} does not exist")
        return found

    def add_portal(self, name: str, portal: Portal) -> None:
        """The one without a name is replaced. Raises CursorExists, TooMany."""
        if not name:
            self.close_portal(name)
        if name in self.portals:
            raise CursorExists(f'cursor "{name}" already exists')
        if len(self.portals) >= MOST_PORTALS:
            raise TooMany(f"the session has {MOST_PORTALS} cursors", hint="CLOSE ALL")
        self.portals[name] = portal

    def find_portal(self, name: str) -> Portal:
        """Raises CursorNotFound."""
        found = self.portals.get(name)
        if found is None:
            raise CursorNotFound(f'portal "{name}" does not exist')
        return found

    def close_portal(self, name: str) -> None:
        portal = self.portals.pop(name, None)
        if portal is not None:
            portal.close()

    def close_portals(self, *, keep_held: bool) -> None:
        for name, portal in list(self.portals.items()):
            if not (keep_held and portal.held):
                self.close_portal(name)

    def close(self) -> None:
        self.close_portals(keep_held=False)
        self._end_snapshots()
        self.mailbox.close()


def _nothing() -> None:
    return None
