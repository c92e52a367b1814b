"""The dialect under test for SQLAlchemy's own suite, which creates tables and fills them.

The federation must refuse each of these writes; then it is made at the source, by SQLAlchemy's dialect of PostgreSQL.
Whatever reads goes through the federation.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

import federation
from federation.sqlalchemy.dialect import FederationDialect

SOURCE = "SUITE_SOURCE"  # the variable that names the database


@cache
def source() -> sa.Engine:
    return sa.create_engine(os.environ[SOURCE], isolation_level="AUTOCOMMIT")


class WrittenDialect(FederationDialect):
    supports_statement_cache = True

    def do_execute(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        execute: Any = super().do_execute  # which has no types
        if not _writes(context):
            execute(cursor, statement, parameters, context)
            return
        try:
            execute(cursor, statement, parameters, context)
        except federation.ProgrammingError as exc:
            assert exc.sqlstate == "25006", statement
        else:
            raise AssertionError(f"this was not refused: {statement}")
        _write(context)

    def do_executemany(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:  # noqa: ARG002
        _write(context)

    def do_execute_no_params(self, cursor: Any, statement: str, context: Any = None) -> None:
        self.do_execute(cursor, statement, None, context)


def _writes(context: Any) -> bool:
    return context is not None and (context.isddl or context.isinsert or context.isupdate or context.isdelete)


def _write(context: Any) -> None:
    statement = (
        context.compiled.statement if context.isddl and context.compiled is not None else context.invoked_statement
    )
    with source().connect() as connection:
        if isinstance(statement, sa.schema.CreateTable):
            _create_enums(connection, statement.element)
        if context.isddl or _has_values(statement):
            connection.execute(statement)
        else:
            connection.execute(statement, [_given(statement, each) for each in context.compiled_parameters])


def _given(statement: Any, parameters: dict[str, Any]) -> dict[str, Any]:
    """Without the key that the source counts up."""
    counted = getattr(statement.table, "autoincrement_column", None)
    return {
        name: value for name, value in parameters.items() if value is not None or counted is None or name != counted.key
    }


def _has_values(statement: Any) -> bool:
    """Whether the statement stands for itself: its parameters are made of its own values."""
    return any(getattr(statement, name, None) for name in ("_multi_values", "_values", "_select_names"))


def _create_enums(connection: sa.Connection, table: sa.Table) -> None:
    for column in table.columns:
        kind = column.type.dialect_impl(connection.dialect)
        if isinstance(kind, postgresql.ENUM):
            kind.create(connection, checkfirst=True)
