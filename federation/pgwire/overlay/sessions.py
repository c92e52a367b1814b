"""What functions of SQL know of the sessions of a server, and do to them.

Each is told the key of the session that calls it (`session.py`), which nobody can make up: any query may call what
DuckDB knows, in a macro or not.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol

from adapters.duck import Duck
from adapters.errors import Error

#: Of pg_stat_activity, with the times in microseconds since 1970.
_ROW = {
    **{"pid": "INTEGER", "usename": "VARCHAR", "datname": "VARCHAR", "application_name": "VARCHAR"},
    **{"client_addr": "VARCHAR", "client_port": "INTEGER", "state": "VARCHAR", "query": "VARCHAR"},
    **dict.fromkeys(("backend_start", "xact_start", "query_start", "state_change"), "BIGINT"),
}
#: The functions with an effect.
ENDING = frozenset(("pg_cancel_backend", "pg_terminate_backend"))


class Sessions(Protocol):
    """Both raise errors of the tree."""

    def rows(self, key: str) -> list[dict[str, Any]]:
        """Those that pg_stat_activity shows to the session of that key."""

    def end(self, key: str, pid: int, how: str, milliseconds: int) -> bool:
        """`how`: "cancel", or "terminate", which may be waited for. Whether there is such a session, and it ended."""


class NoSessions:
    """Where there is no server."""

    def rows(self, _key: str) -> list[dict[str, Any]]:
        return []

    def end(self, _key: str, _pid: int, _how: str, _milliseconds: int) -> bool:
        return False


def add_functions(duck: Duck, sessions: Sessions) -> None:
    row = ", ".join(f"{name} {type_}" for name, type_ in _ROW.items())
    duck.create_function("sessions_shown_to", _told(sessions.rows), ["VARCHAR"], f"STRUCT({row})[]")
    duck.create_function("end_session", _told(sessions.end), ["VARCHAR", "INTEGER", "VARCHAR", "INTEGER"], "BOOLEAN")


def _told(function: Callable[..., Any]) -> Callable[..., Any]:
    """DuckDB keeps nothing of what a function raises but its text."""

    @wraps(function)
    def called(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except Error as exc:
            raise RuntimeError(f"[{exc.sqlstate}] {exc.message}") from exc

    return called
