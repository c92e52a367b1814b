"""The SQL name of an Arrow type, as DuckDB would say it."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

NAMES: dict[pa.DataType, str] = {
    **{pa.bool_(): "BOOLEAN", pa.string(): "VARCHAR", pa.binary(): "BLOB", pa.date32(): "DATE"},
    **{pa.int8(): "TINYINT", pa.int16(): "SMALLINT", pa.int32(): "INTEGER", pa.int64(): "BIGINT"},
    **{pa.uint8(): "UTINYINT", pa.uint16(): "USMALLINT", pa.uint32(): "UINTEGER", pa.uint64(): "UBIGINT"},
    **{pa.float32(): "FLOAT", pa.float64(): "DOUBLE", pa.time64("us"): "TIME", pa.timestamp("us"): "TIMESTAMP"},
    **{pa.timestamp(unit): f"TIMESTAMP_{unit.upper()}" for unit in ("s", "ms", "ns")},
    **{pa.month_day_nano_interval(): "INTERVAL", pa.uuid(): "UUID", pa.json_(): "JSON"},
}


def sql_type_name(kind: Any) -> str:
    """Arrow's own name for a type that is not known here."""
    if kind in NAMES:
        return NAMES[kind]
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision},{kind.scale})"
    if pa.types.is_timestamp(kind):
        return "TIMESTAMP WITH TIME ZONE"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return f"{sql_type_name(kind.value_type)}[]"
    if pa.types.is_struct(kind):
        fields = (kind.field(i) for i in range(kind.num_fields))
        return f"STRUCT({', '.join(f'{field.name} {sql_type_name(field.type)}' for field in fields)})"
    if pa.types.is_map(kind):
        return f"MAP({sql_type_name(kind.key_type)}, {sql_type_name(kind.item_type)})"
    if pa.types.is_dictionary(kind):
        return sql_type_name(kind.value_type)
    return str(kind)
