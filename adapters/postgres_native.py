"""A native query of PostgreSQL: the columns of its result from a prepared statement, which is never run.

The extended protocol takes exactly one statement. Then the same text is prepared in parentheses, which only a query
can stand in: a DELETE … RETURNING or a data-modifying WITH is refused there.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.types as pt

from adapters.base import Collation, Column
from adapters.errors import NotSupportedError, SourceChanged, SQLSyntaxError
from adapters.postgres_errors import Faults
from adapters.postgres_session import Session
from adapters.postgres_types import arrow_type
from adapters.sql.native import ONLY_QUERIES, check_names, relation_of

# How the driver says of a column what the server has described.
_TYPE = b"POSTGRESQL:type"
_MODIFIER = b"POSTGRESQL:typmod"


def native_columns(session: Session, sql: str, faults: Faults, source: str) -> tuple[Column, ...]:
    """Raises what `SupportsNativeQuery.describe_native` does."""
    with faults.of_native():
        columns = tuple(_column(field) for field in session.schema(sql))
    names = [column.name for column in columns]
    check_names(names, source)
    relation = relation_of(sql, names).sql("postgres")
    try:
        with faults.of_native(before=relation.index(sql)):
            session.schema(relation)
    except SQLSyntaxError as exc:
        raise NotSupportedError(
            f"the native query cannot be read from: {exc.message}", hint=ONLY_QUERIES, source=source
        ) from exc
    return columns


def check_unchanged(session: Session, sql: str, wanted: tuple[Column, ...], faults: Faults, source: str) -> None:
    """Inside a transaction this also locks every table of the text, so that its columns stay as they are."""
    with faults.translated():
        found = {column.name: column for column in map(_column, session.schema(sql))}
    changed = next((column.name for column in wanted if found.get(column.name) != column), None)
    if changed is not None:
        raise SourceChanged(
            f'the column "{changed}" of the native query has changed since it was planned',
            hint="run the query again",
            source=source,
        )


def _column(field: pa.Field[pa.DataType]) -> Column:
    """The server describes a domain as its base type; an array's type is that of its elements after an underscore."""
    about = field.metadata or {}
    declared = about[_TYPE].decode()
    levels = int(pt.is_list(field.type) and declared.startswith("_"))
    kind = arrow_type(declared[levels:], int(about.get(_MODIFIER, b"-1")), levels)
    return Column(field.name, kind, source_type=declared, collation=Collation.UNKNOWN)
