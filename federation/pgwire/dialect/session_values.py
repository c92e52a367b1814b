"""What a statement asks of its session: who, where, when."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from federation.pgwire.dialect.casts import Typed
from federation.pgwire.dialect.context import Context, Handlers
from federation.pgwire.dialect.kinds import DATE, TEXT, TIME, TIMESTAMP, TIMESTAMPTZ, TIMETZ
from federation.pgwire.dialect.templates import cast, filled

VERSION = "PostgreSQL 15.0 (Federation)"


def _text(value: str) -> Typed:
    return Typed(cast(exp.Literal.string(value), "VARCHAR"), TEXT)


def _user(t: Context) -> Typed:
    return _text(t.settings.user)


def _now(template: str) -> Callable[[Context], exp.Expr]:
    """The wall clock of the session's zone."""

    def made(t: Context) -> exp.Expr:
        local = f"timezone('{t.casts.zone}', now())" if t.casts.zone else "now()"
        return filled(template.replace("$now", local))

    return made


def _schema(t: Context) -> Typed:
    return _text(t.settings.search_path[0]) if t.settings.search_path else Typed(exp.Null(), TEXT)


def _date(t: Context) -> Typed:
    # DuckDB takes the word current_date for an output of that name.
    return Typed(_now("CAST($now AS DATE)")(t) if t.casts.zone else exp.Anonymous(this="today"), DATE)


_LOCAL_TIMESTAMP = _now("CAST($now AS TIMESTAMP)")
_LOCAL_TIME = _now("CAST($now AS TIME)")
_VALUES: dict[str, Callable[[Context], Typed]] = {
    **dict.fromkeys(("user", "current_user", "session_user", "current_role"), _user),
    **dict.fromkeys(("current_catalog", "current_database"), lambda t: _text(t.settings.database)),
    "current_schema": _schema,
    "version": lambda _: _text(VERSION),
    "current_date": _date,
    "current_timestamp": lambda _: Typed(filled("now()"), TIMESTAMPTZ),
    "localtimestamp": lambda t: Typed(_LOCAL_TIMESTAMP(t), TIMESTAMP),
    "localtime": lambda t: Typed(_LOCAL_TIME(t), TIME),
    "current_time": lambda t: Typed(filled("CAST($1 AS TIMETZ)", _LOCAL_TIME(t)), TIMETZ),
}
_WORDS = ("user", "current_role")


def keyword(t: Context, name: str) -> Typed | None:
    """A column that is none: `user` and `current_role`, which the grammar takes for names."""
    return _VALUES[name](t) if name in _WORDS else None


def function(t: Context, name: str) -> Typed | None:
    """A call without operands, such as `current_database()`."""
    return _VALUES[name](t) if name in _VALUES and name not in _WORDS else None


def _value(name: str) -> Callable[[Context, exp.Expr], Typed]:
    return lambda t, _: _VALUES[name](t)


HANDLERS: Handlers = {
    exp.CurrentUser: _value("current_user"),
    exp.SessionUser: _value("session_user"),
    exp.CurrentSchema: _value("current_schema"),
    exp.CurrentCatalog: _value("current_catalog"),
    exp.CurrentRole: _value("current_role"),
    exp.CurrentDate: _value("current_date"),
    exp.CurrentTimestamp: _value("current_timestamp"),
    exp.CurrentTime: _value("current_time"),
    exp.Localtime: _value("localtime"),
    exp.Localtimestamp: _value("localtimestamp"),
}
