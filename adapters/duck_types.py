"""Result types: from what DuckDB exports to Arrow to what a caller should receive.

`arrow_lossless_conversion` keeps UUID, JSON and the zone of TIMETZ, at the price of wrappers that nobody else reads:
BOOLEAN comes as bytes and HUGEINT as an opaque 16-byte value. Both are put right here, HUGEINT without a copy. What
has no Arrow type at all (BIT, TIMETZ, BIGNUM, UNION, VARIANT, GEOMETRY) is read as text, by a cast in DuckDB.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from adapters.errors import NotSupportedError, NumericOutOfRange

# DuckDB's type identifiers that are read as text.
AS_TEXT = frozenset({"bit", "time with time zone", "bignum", "union", "variant", "geometry"})
HUGEINT = pa.decimal128(38, 0)
# What a column in Arrow is not read as again: HUGEINT, and those of AS_TEXT that their text can be cast to.
_LOST = re.compile(r"\b(U?HUGEINT|BIT|TIME WITH TIME ZONE|BIGNUM)\b")
_PLAIN: dict[str, pa.DataType] = {
    "BOOLEAN": pa.bool_(),
    "SMALLINT": pa.int16(),
    "INTEGER": pa.int32(),
    "BIGINT": pa.int64(),
    "HUGEINT": HUGEINT,
    "UINTEGER": pa.uint32(),
    "FLOAT": pa.float32(),
    "DOUBLE": pa.float64(),
    "TIMESTAMP WITH TIME ZONE": pa.timestamp("us", "UTC"),
    "TIMESTAMP": pa.timestamp("us"),
    "DATE": pa.date32(),
    "INTERVAL": pa.month_day_nano_interval(),
    "BLOB": pa.binary(),
    "VARCHAR": pa.string(),
}
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")


def quoted(name: str) -> str:
    """A quoted identifier in DuckDB's spelling."""
    return exp.to_identifier(name, quoted=True).sql(dialect="duckdb")


def as_pattern(path: str) -> str:
    """DuckDB takes every path for a pattern: the one that matches this path only."""
    return re.sub(r"([*?\[])", r"[\1]", path)


def plain_type(type_: str) -> pa.DataType | None:
    """The Arrow type of a plain DuckDB type, or None: then DuckDB has to be asked."""
    decimal = _DECIMAL.fullmatch(type_)
    return _PLAIN.get(type_) if decimal is None else pa.decimal128(int(decimal[1]), int(decimal[2]))


def with_text_casts(sql: str, names: Sequence[str], types: Sequence[Any]) -> str:
    """`sql` itself, or around it a projection that casts the columns that have no Arrow type. Its columns are then
    numbered, since a result may have two of one name."""
    text = [type_.id in AS_TEXT for type_ in types]
    for name, type_ in zip(names, types, strict=True):
        if type_.id not in AS_TEXT and _holds_text(type_):
            raise unsupported(name, str(type_))
    if not any(text):
        return sql
    inner = [f"c{i}" for i in range(len(names))]
    items = [f"CAST({c} AS VARCHAR) AS {c}" if as_text else c for c, as_text in zip(inner, text, strict=True)]
    return f"SELECT {', '.join(items)} FROM ({sql}\n) AS q({', '.join(inner)})"


def types_again(names: Sequence[str], types: Sequence[str]) -> str | None:
    """The items of a SELECT that gives the columns of an earlier result their DuckDB types again, where Arrow has no
    such type; None where it kept them all."""
    if not any(map(_LOST.search, types)):
        return None
    columns = [(quoted(name), type_) for name, type_ in zip(names, types, strict=True)]
    return ", ".join(f"CAST({name} AS {type_}) AS {name}" if _LOST.search(type_) else name for name, type_ in columns)


def _holds_text(type_: Any) -> bool:
    """Whether a nested type has a part that would be read as text at the top."""
    if type_.id not in ("list", "struct", "map", "array"):
        return False
    parts = [part for name, part in type_.children if name != "size"]
    return any(part.id in AS_TEXT or _holds_text(part) for part in parts)


def unsupported(name: str, type_: str) -> NotSupportedError:
    return NotSupportedError(
        f'column "{name}" has the type {type_}, which has no Arrow type', hint=f"CAST({quoted(name)} AS VARCHAR)"
    )


def wanted_schema(raw: pa.Schema, names: Sequence[str]) -> pa.Schema:
    """The schema that a caller receives for what DuckDB exports."""
    fields = []
    for name, field in zip(names, raw, strict=True):
        try:
            fields.append(pa.field(name, _wanted(field.type)))
        except TypeError:
            raise unsupported(name, str(field.type)) from None
    return pa.schema(fields)


def _wanted(raw: Any) -> Any:
    if isinstance(raw, pa.Bool8Type):
        return pa.bool_()
    if isinstance(raw, pa.OpaqueType):
        if raw.type_name in ("hugeint", "uhugeint"):
            return HUGEINT
        raise TypeError(raw)
    if pa.types.is_list(raw):
        return pa.list_(_wanted_field(raw.value_field))
    if pa.types.is_fixed_size_list(raw):
        return pa.list_(_wanted_field(raw.value_field), raw.list_size)
    if pa.types.is_map(raw):
        return pa.map_(_wanted_field(raw.key_field), _wanted_field(raw.item_field))
    if pa.types.is_struct(raw):
        return pa.struct([_wanted_field(raw.field(i)) for i in range(raw.num_fields)])
    return raw


def _wanted_field(raw: Any) -> Any:
    return raw.with_type(_wanted(raw.type))


def put_right(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch in the types of `wanted_schema`; a column that is right already is not copied."""
    if batch.schema.equals(schema, check_metadata=True):
        return batch
    columns = []
    for array, field in zip(batch.columns, schema, strict=True):
        try:
            columns.append(_put_right(array, field.type))
        except pa.ArrowInvalid as exc:
            raise NumericOutOfRange(
                f'a HUGEINT in column "{field.name}" has more than 38 digits',
                hint=f"CAST({quoted(field.name)} AS VARCHAR)",
            ) from exc
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _put_right(array: Any, wanted: Any) -> Any:
    if array.type == wanted:
        return array
    if isinstance(array.type, pa.Bool8Type):
        return array.storage.cast(pa.bool_())
    if isinstance(array.type, pa.OpaqueType):
        return _decimals(array)
    if pa.types.is_struct(wanted):
        parts = [_put_right(array.field(i), wanted.field(i).type) for i in range(wanted.num_fields)]
        fields = [wanted.field(i) for i in range(wanted.num_fields)]
        return pa.StructArray.from_arrays(parts, fields=fields, mask=array.is_null())
    if pa.types.is_map(wanted):
        entries = pa.StructArray.from_arrays(
            [_put_right(array.keys, wanted.key_type), _put_right(array.items, wanted.item_type)],
            fields=[wanted.key_field, wanted.item_field],
        )
        return _list_of(array, wanted, entries)
    return _list_of(array, wanted, _put_right(array.values, wanted.value_type))


def _list_of(array: Any, wanted: Any, values: Any) -> Any:
    """The same lists over other values: the validity and the offsets are shared."""
    own = array.buffers()[: 1 if pa.types.is_fixed_size_list(wanted) else 2]
    return pa.Array.from_buffers(wanted, len(array), own, array.null_count, array.offset, children=[values])


def _decimals(array: Any) -> Any:
    """HUGEINT and UHUGEINT have the layout of decimal128; ArrowInvalid beyond its 38 digits."""
    storage = array.storage
    result = pa.Array.from_buffers(HUGEINT, len(storage), storage.buffers(), storage.null_count, storage.offset)
    result.validate(full=True)
    if array.type.type_name == "uhugeint" and pc.any(pc.less(result, pa.scalar(0, HUGEINT))).as_py():
        raise pa.ArrowInvalid("beyond 127 bits")
    return result
