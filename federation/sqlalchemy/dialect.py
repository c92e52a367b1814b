"""How SQLAlchemy opens connections, and what it may expect of them."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import sqlalchemy as sa
from sqlalchemy import URL, pool
from sqlalchemy.engine import default
from sqlalchemy.engine.interfaces import ConnectArgsType
from sqlalchemy.exc import ArgumentError

from federation.sqlalchemy.compiler import FederationCompiler, FederationIdentifiers, FederationTypes
from federation.sqlalchemy.reflection import Reflection, default_schema
from federation.sqlalchemy.types import Number

OPTIONS = frozenset({"tls", "ca_file", "timeout"})


class FederationDialect(Reflection, default.DefaultDialect):
    """Read-only: DDL and DML are compiled, and refused by the engine."""

    name = "federation"
    driver = "federation"
    default_paramstyle = "qmark"
    statement_compiler = FederationCompiler
    type_compiler_cls = FederationTypes
    preparer = FederationIdentifiers
    colspecs = {sa.Numeric: Number}  # noqa: RUF012 -- declared by SQLAlchemy
    supports_statement_cache = True
    supports_native_boolean = True
    supports_native_decimal = True
    supports_native_uuid = True
    supports_sane_rowcount = False
    supports_sane_multi_rowcount = False
    supports_alter = False
    supports_sequences = False
    supports_comments = True
    supports_default_values = False
    supports_is_distinct_from = True
    postfetch_lastrowid = False
    div_is_floordiv = False
    max_identifier_length = 10_000

    @classmethod
    def import_dbapi(cls) -> ModuleType:
        import federation

        return federation

    @classmethod
    def get_pool_class(cls, url: URL) -> type[pool.Pool]:
        """The engine of a catalog is opened once: threads may share it."""
        return pool.QueuePool if url.host else pool.StaticPool

    def create_connect_args(self, url: URL) -> ConnectArgsType:
        """Raises ArgumentError for an option that is not known."""
        unknown = sorted(set(url.query) - OPTIONS)
        if unknown:
            raise ArgumentError(f"{unknown[0]} is no option: {', '.join(sorted(OPTIONS))}")
        options = {name: _one(url, name) for name in OPTIONS if name in url.query}
        tls = options.pop("tls", "false")
        if tls not in ("true", "false"):
            raise ArgumentError(f"tls is true or false, not {tls}")
        if "timeout" in options:
            options["timeout"] = _seconds(options["timeout"])
        if not url.host:
            return [], {"target": _catalog_file(url.database), **options}
        plain = url.set(drivername="https" if tls == "true" else "http", query={})
        return [plain.render_as_string(hide_password=False)], options

    def is_disconnect(self, e: Exception, connection: Any, cursor: Any) -> bool:  # noqa: ARG002 -- SQLAlchemy's
        """A source that cannot be reached is none."""
        from federation.client.errors import ServerUnavailable

        return isinstance(e, ServerUnavailable)

    def _get_default_schema_name(self, connection: Any) -> str | None:  # type: ignore[override]
        return default_schema(connection)


def _one(url: URL, name: str) -> Any:
    value = url.query[name]
    if not isinstance(value, str):
        raise ArgumentError(f"{name} is given more than once")
    return value


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ArgumentError(f"timeout is a number of seconds, not {text}") from None


def _catalog_file(path: str | None) -> str | None:
    """SQLAlchemy takes the slash from the front of a path; what is not in the working folder is meant from the root."""
    if path is None or Path(path).exists():
        return path
    rooted = Path("/", path)
    return str(rooted) if rooted.exists() else path
