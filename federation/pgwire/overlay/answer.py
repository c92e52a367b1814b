"""The rows of a query over the catalog, in PostgreSQL's types.

Numbers that PostgreSQL shows as names (regclass) and vectors come as text; the rest in the Arrow type of its kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from adapters.base import CancelToken
from adapters.duck import Cursor
from federation.pgwire.overlay.catalog_types import REG, arrow_type, duckdb_type, is_array
from federation.pgwire.overlay.expressions import VECTORS, as_text
from federation.pgwire.overlay.scope import Columns
from federation.pgwire.overlay.store import Store
from federation.pgwire.overlay.structure import structure
from federation.pgwire.types import PgType, pg_type


@dataclass(frozen=True, slots=True)
class Prepared:
    """A query in DuckDB's words, what is known of the kinds of its columns, and a cursor of its session."""

    sql: str
    columns: Columns
    cursor: Cursor
    session: str


class Shape:
    """The columns of a result: `kinds` where they are of the catalog, else by what DuckDB says."""

    def __init__(self, store: Store, names: Sequence[str], types: Sequence[str], columns: Columns) -> None:
        known = [kind for _, kind in columns] if len(columns) == len(names) else [None] * len(names)
        self.kinds = [kind if kind and _fits(kind, type_) else None for kind, type_ in zip(known, types, strict=True)]
        fields, self.types = [], list[PgType]()
        for name, type_, kind in zip(names, types, self.kinds, strict=True):
            field = pa.field(name, store.duck.arrow_type(type_) if kind is None else shown_type(kind))
            fields.append(field)
            self.types.append(pg_type(field, type_) if kind is None else structure().types[kind])
        self.schema = pa.schema(fields)


class Answer:
    """As federation.engine.Result: the schema and the types are known at once, the rows stream once."""

    def __init__(self, store: Store, prepared: Prepared) -> None:
        self._store = store
        self._prepared = prepared
        self._cancel = CancelToken()
        try:
            self._rows = store.duck.run(prepared.cursor, prepared.sql, {}, self._cancel)
        except BaseException:
            prepared.cursor.close()
            raise
        shape = Shape(store, self._rows.schema.names, self._rows.types, prepared.columns)
        self.schema, self.types, self._kinds = shape.schema, shape.types, shape.kinds

    def batches(self) -> Iterator[pa.RecordBatch]:
        for batch in self._rows:
            arrays = [
                self._shown(array, field.type, kind)
                for array, field, kind in zip(batch.columns, self.schema, self._kinds, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def read_all(self) -> pa.Table:
        return pa.Table.from_batches(self.batches(), self.schema)

    def cancel(self) -> None:
        """End it from any thread; its reader raises QueryCancelled."""
        self._cancel.cancel()

    def close(self) -> None:
        self._rows.close()
        self._prepared.cursor.close()

    def __enter__(self) -> Answer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _shown(self, array: Any, wanted: pa.DataType, kind: str | None) -> Any:
        if kind is not None and is_array(kind) and kind[1:] in REG:
            offsets, names = array.offsets, self._shown(array.values, pa.string(), kind[1:])
            return pa.ListArray.from_arrays(offsets, names, mask=array.is_null())
        if kind in REG:
            return pc.take(
                self._names(array.dictionary_encode().dictionary, str(kind)), array.dictionary_encode().indices
            )
        if kind in VECTORS:
            return pc.binary_join(array.cast(pa.list_(pa.string())), " ")
        return array if array.type == wanted else array.cast(wanted)

    def _names(self, numbers: Any, kind: str) -> Any:
        """What objects of these numbers are called, in their order."""
        cursor = self._store.cursor(self._prepared.session)
        try:
            name = as_text(exp.column("number", "u"), kind).sql("duckdb")
            listed = ", ".join(map(str, numbers.to_pylist()))
            sql = f"SELECT u.number, {name} AS name FROM unnest(CAST([{listed}] AS UINTEGER[])) AS u(number)"
            found = self._store.duck.run(cursor, sql, {}, self._cancel).read_all().to_pydict()
        finally:
            cursor.close()
        by_number = dict(zip(found["number"], found["name"], strict=True))
        return pa.array([by_number[number] for number in numbers.to_pylist()], pa.string())


def shown_type(kind: str) -> pa.DataType:
    """The Arrow type that a column of a kind comes in."""
    if is_array(kind):
        return pa.list_(shown_type(kind[1:]))
    return pa.string() if kind in REG or kind in VECTORS else arrow_type(kind)


def _fits(kind: str, type_: str) -> bool:
    """Whether what DuckDB gives can be shown as that kind."""
    if kind not in structure().types:
        return False
    wanted = duckdb_type(kind)
    if wanted == type_:
        return True
    return (_is_number(wanted) and _is_number(type_) and kind not in REG) or type_ == '"NULL"'


def _is_number(type_: str) -> bool:
    return type_ in ("SMALLINT", "INTEGER", "BIGINT", "UINTEGER", "UBIGINT", "FLOAT", "DOUBLE", "TINYINT", "HUGEINT")
