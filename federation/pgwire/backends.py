"""The sessions of a server, those of all its processes: the list of them, and ending what another one does.

A session asks by its key, which nobody else knows: functions of SQL have it from the session that calls them. What
others do is shown, and may be ended, as over HTTP (`/v1/queries`).
"""

from __future__ import annotations

import hmac
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from adapters.errors import InsufficientPrivilege, NumericOutOfRange
from catalog.policies import Caller, Rights
from federation.http.engines import Engines
from federation.http.place import Place
from federation.pgwire.connection import Connection
from federation.pgwire.session import AdminShutdown, Session

CLOSE_SECONDS = 5.0  # for a session that was ended to tell its client
LOOK_EVERY = 0.05
HIDDEN = "<insufficient privilege>"
_SHOWN_TO_ALL = ("pid", "usename", "datname", "application_name")


class Ending(StrEnum):
    """Of what a session does, or of the session."""

    CANCEL = "cancel"
    TERMINATE = "terminate"


class Outcome(StrEnum):
    SIGNALLED = "signalled"
    UNKNOWN = "unknown"
    DENIED = "denied"


_DENIED = {
    Ending.CANCEL: "query is being canceled",
    Ending.TERMINATE: "process is being terminated",
}


@dataclass(frozen=True, slots=True)
class Backend:
    """A session, as pg_stat_activity calls it. Times are microseconds since 1970; `identity` says whose it is, as
    Caller.identity."""

    identity: str
    pid: int
    usename: str
    datname: str
    application_name: str
    client_addr: str
    client_port: int
    backend_start: int
    xact_start: int | None
    query_start: int | None
    state_change: int
    state: str
    query: str

    def row(self, *, shown: bool) -> dict[str, Any]:
        """Who may not see what it does sees that it is there."""
        row = asdict(self)
        del row["identity"]
        if shown:
            return row
        return {name: row[name] if name in _SHOWN_TO_ALL else None for name in row} | {"query": HIDDEN}


class Others(Protocol):
    """The other processes of the server. Raises OperationalError where one does not answer."""

    def cancel(self, process: int, pid: int, secret: bytes) -> None: ...
    def backends(self) -> list[Backend]: ...
    def end(self, process: int, caller: Caller, pid: int, how: Ending) -> Outcome: ...


class Served(NamedTuple):
    secret: bytes
    session: Session
    connection: Connection

    def shown(self) -> Backend:
        session, activity = self.session, self.session.activity
        return Backend(
            session.caller.identity,
            session.pid,
            session.user,
            session.database,
            session.settings["application_name"],
            self.connection.peer,
            self.connection.peer_port,
            _micros(activity.began),
            _micros(activity.in_transaction),
            _micros(activity.asked),
            _micros(activity.changed),
            activity.state,
            activity.text,
        )

    def terminate(self, reason: AdminShutdown) -> None:
        """End what it does, tell its client why, and close the connection."""
        self.session.terminate(reason)
        self.connection.stop_reading()


class Backends:
    """`place` is that of this process. Every method may be called from any thread."""

    def __init__(self, engines: Engines, place: Place, others: Others) -> None:
        self._engines = engines
        self._place = place
        self._others = others
        self._served: dict[int, Served] = {}
        self._by_key: dict[str, Session] = {}

    # --- of this process --------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._served)

    def add(self, served: Served) -> None:
        self._served[served.session.pid] = served
        self._by_key[served.session.key] = served.session

    def remove(self, session: Session) -> None:
        del self._served[session.pid], self._by_key[session.key]

    def served(self) -> list[Served]:
        return list(self._served.values())

    def here(self) -> list[Backend]:
        return [each.shown() for each in self.served()]

    def cancel_here(self, pid: int, secret: bytes) -> None:
        """As `cancel`, for a session of this process."""
        found = self._served.get(pid)
        if found is not None and hmac.compare_digest(found.secret, secret):
            found.session.cancel()

    def end_here(self, caller: Caller, pid: int, how: Ending) -> Outcome:
        """As `end`, for a session of this process."""
        found = self._served.get(pid)
        if found is None:
            return Outcome.UNKNOWN
        if not self._may_see(caller)(found.session.caller.identity):
            return Outcome.DENIED
        if how is Ending.CANCEL:
            found.session.cancel()
        else:
            found.terminate(AdminShutdown())
            clock = threading.Timer(CLOSE_SECONDS, self._abort, [found])  # its client may read nothing
            clock.daemon = True
            clock.start()
        return Outcome.SIGNALLED

    def _abort(self, served: Served) -> None:
        if self._served.get(served.session.pid) is served:
            served.connection.abort()

    # --- of all processes -------------------------------------------------------------------------------------------

    def cancel(self, pid: int, secret: bytes) -> None:
        """End what that session does, if the secret is its own."""
        owner = self._place.owner(pid)
        if owner == self._place.number:
            self.cancel_here(pid, secret)
        else:
            self._others.cancel(owner, pid, secret)

    def rows(self, key: str) -> list[dict[str, Any]]:
        """All sessions, as the one of that key may see them; see `Backend.row`. Raises OperationalError."""
        shown = self._may_see(self._by_key[key].caller)
        found = sorted([*self.here(), *self._others.backends()], key=lambda each: each.pid)
        return [each.row(shown=shown(each.identity)) for each in found]

    def end(self, key: str, pid: int, how: str, milliseconds: int) -> bool:
        """pg_cancel_backend and pg_terminate_backend, called by the session of that key. It is warned of False: there
        is no such session, or it was not over in that time, where it is to be waited for. Raises
        InsufficientPrivilege, NumericOutOfRange, OperationalError."""
        session, ending = self._by_key[key], Ending(how)
        if milliseconds < 0:
            raise NumericOutOfRange('"timeout" must not be negative')
        outcome = self._signal(session.caller, pid, ending)
        if outcome is Outcome.DENIED:
            raise InsufficientPrivilege(
                f"must be a member of the role whose {_DENIED[ending]} or member of pg_signal_backend"
            )
        if outcome is Outcome.UNKNOWN:
            session.warn("01000", f"PID {pid} is not a PostgreSQL backend process")
            return False
        if not milliseconds or self._ends(pid, milliseconds / 1000, session):
            return True
        session.warn("01000", f"backend with PID {pid} did not terminate within {milliseconds} milliseconds")
        return False

    def _signal(self, caller: Caller, pid: int, how: Ending) -> Outcome:
        owner = self._place.owner(pid)
        if pid <= 0 or owner == self._place.number:
            return self.end_here(caller, pid, how)
        return self._others.end(owner, caller, pid, how)

    def _ends(self, pid: int, seconds: float, waiting: Session) -> bool:
        """Whether it does within that time, and while the other one is not ended itself."""
        until = time.monotonic() + seconds
        while any(each.pid == pid for each in [*self.here(), *self._others.backends()]):
            if time.monotonic() > until or waiting.interrupted:
                return False
            time.sleep(LOOK_EVERY)
        return True

    def _may_see(self, caller: Caller) -> Callable[[str], bool]:
        """Whether a caller may see and end what somebody does."""
        return Rights(self._engines.current.catalog, caller).sees_queries_of


def _micros(seconds: float | None) -> Any:
    return None if seconds is None else round(seconds * 1_000_000)
