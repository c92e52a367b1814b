"""A native query of MySQL or MariaDB: the columns of its result from a prepared statement, which is never run.

The protocol of prepared statements takes exactly one. Then the same text is prepared in parentheses, which only a
query can stand in: SHOW, CALL and SELECT … INTO OUTFILE are refused there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from adapters.base import Collation, Column, Table, TableName
from adapters.errors import ColumnNotFound, NotSupportedError, SQLSyntaxError, TableNotFound
from adapters.mysql_session import OF_NATIVE, Session, translated
from adapters.mysql_types import arrow_type
from adapters.sql.native import ONLY_QUERIES, check_names, relation_of

_UNSIGNED = 32
_BINARY_CHARACTERS = 63
_TEXTS = frozenset({249, 250, 251, 252, 253, 254})
#: the protocol's numbers of types, under the names of information_schema; text and what is not here is by its charset
_NAMES = {
    **{0: "decimal", 246: "decimal", 1: "tinyint", 2: "smallint", 9: "mediumint", 3: "int", 8: "bigint"},
    **{4: "float", 5: "double", 10: "date", 14: "date", 11: "time", 7: "timestamp", 12: "datetime", 13: "year"},
    **{6: "varchar", 16: "bit", 245: "json", 242: "vector", 255: "geometry"},  # 6 is NULL
}


def native_fields(session: Session, sql: str, source: str) -> list[Any]:
    """The driver's descriptions. Raises what `SupportsNativeQuery.describe_native` does."""
    with translated(source, meaning=OF_NATIVE):
        fields = session.prepared(sql)
    names = [field.name for field in fields]
    check_names(names, source)
    try:
        with translated(source, meaning=OF_NATIVE):
            session.prepared(relation_of(sql, names).sql("mysql"))
    except (SQLSyntaxError, ColumnNotFound) as exc:
        raise NotSupportedError(
            f"the native query cannot be read from: {exc.message}", hint=ONLY_QUERIES, source=source
        ) from exc
    return fields


def native_column(field: Any, table: Callable[[TableName], Table]) -> Column:
    """As its table has it, where the protocol says no more than that it is text: so MariaDB sends JSON and UUID."""
    if field.type_code in _TEXTS and field.db and field.org_table and field.org_name:
        try:
            known = table(TableName(field.db.decode(), field.org_table)).column(field.org_name)
            return Column(field.name, known.type, source_type=known.source_type, collation=Collation.UNKNOWN)
        except (TableNotFound, KeyError):
            pass
    kind, declared = _type(field)
    return Column(field.name, kind, source_type=declared, collation=Collation.UNKNOWN)


def _type(field: Any) -> tuple[pa.DataType, str]:
    unsigned = bool(field.flags & _UNSIGNED)
    name = _NAMES.get(field.type_code) or ("varbinary" if field.charsetnr == _BINARY_CHARACTERS else "varchar")
    digits = field.length - bool(field.scale) - (not unsigned) if name == "decimal" else field.length
    return arrow_type(name, f"{name} unsigned" if unsigned else name, digits, field.scale), name
