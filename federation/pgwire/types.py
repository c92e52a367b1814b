"""PostgreSQL's types: their numbers, and which of them a column of a result has.

| DuckDB | PostgreSQL |
|---|---|
| TINYINT, UTINYINT, SMALLINT; USMALLINT, INTEGER; UINTEGER, BIGINT | int2; int4; int8 |
| UBIGINT, HUGEINT, UHUGEINT, BIGNUM, DECIMAL(p,s) | numeric |
| VARCHAR, ENUM, UNION, VARIANT, GEOMETRY, NULL | text |
| STRUCT, MAP, JSON | json |
| lists and arrays, also of lists, up to six deep | an array of the element's type |
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import pyarrow as pa


class PgType(NamedTuple):
    """The type of a column as a RowDescription says it: `size` is typlen, -1 for a varying one."""

    oid: int
    size: int
    typmod: int = -1


BOOL, BYTEA, CHAR, NAME, INT8, INT2, INT2VECTOR, INT4 = 16, 17, 18, 19, 20, 21, 22, 23
REGPROC, TEXT, OID, TID, XID, CID, OIDVECTOR = 24, 25, 26, 27, 28, 29, 30
JSON, XML, PG_NODE_TREE, FLOAT4, FLOAT8, UNKNOWN, VOID = 114, 142, 194, 700, 701, 705, 2278
BPCHAR, VARCHAR, DATE, TIME, TIMESTAMP, TIMESTAMPTZ = 1042, 1043, 1082, 1083, 1114, 1184
INTERVAL, TIMETZ, BIT, VARBIT, NUMERIC = 1186, 1266, 1560, 1562, 1700
REGPROCEDURE, REGOPER, REGOPERATOR, REGCLASS, REGTYPE = 2202, 2203, 2204, 2205, 2206
UUID, JSONB, REGROLE, REGNAMESPACE = 2950, 3802, 4096, 4089
REGISTERED = (REGPROC, REGPROCEDURE, REGOPER, REGOPERATOR, REGCLASS, REGTYPE, REGROLE, REGNAMESPACE)

MOST_DIMENSIONS = 6
SIZES = {
    **{BOOL: 1, CHAR: 1, NAME: 64, INT2: 2, INT4: 4, INT8: 8, OID: 4, TID: 6, XID: 4, CID: 4, FLOAT4: 4, FLOAT8: 8},
    **{DATE: 4, TIME: 8, TIMETZ: 12, TIMESTAMP: 8, TIMESTAMPTZ: 8, INTERVAL: 16, UUID: 16, UNKNOWN: -2},
    **dict.fromkeys(REGISTERED, 4),
}
ARRAYS = {  # an element's type and that of arrays of it
    **{BOOL: 1000, BYTEA: 1001, CHAR: 1002, NAME: 1003, INT2: 1005, INT2VECTOR: 1006, INT4: 1007, REGPROC: 1008},
    **{TEXT: 1009, TID: 1010, XID: 1011, CID: 1012, OIDVECTOR: 1013, BPCHAR: 1014, VARCHAR: 1015, INT8: 1016},
    **{FLOAT4: 1021, FLOAT8: 1022, OID: 1028, TIMESTAMP: 1115, DATE: 1182, TIME: 1183, TIMESTAMPTZ: 1185},
    **{INTERVAL: 1187, NUMERIC: 1231, TIMETZ: 1270, BIT: 1561, VARBIT: 1563, UUID: 2951, JSON: 199, JSONB: 3807},
    **{XML: 143, REGCLASS: 2210, REGTYPE: 2211, REGPROCEDURE: 2207, REGROLE: 4097, REGNAMESPACE: 4090},
}
ELEMENTS = {array: element for element, array in ARRAYS.items()}
_BASES = {
    **{"BOOLEAN": BOOL, "TINYINT": INT2, "UTINYINT": INT2, "SMALLINT": INT2, "USMALLINT": INT4, "INTEGER": INT4},
    **{"UINTEGER": INT8, "BIGINT": INT8, "UBIGINT": NUMERIC, "HUGEINT": NUMERIC, "UHUGEINT": NUMERIC},
    **{"BIGNUM": NUMERIC, "DECIMAL": NUMERIC, "FLOAT": FLOAT4, "DOUBLE": FLOAT8, "VARCHAR": TEXT, "BLOB": BYTEA},
    **{"BIT": VARBIT, "DATE": DATE, "TIME": TIME, "TIME_NS": TIME, "TIME WITH TIME ZONE": TIMETZ},
    **{"TIMESTAMP": TIMESTAMP, "TIMESTAMP_S": TIMESTAMP, "TIMESTAMP_MS": TIMESTAMP, "TIMESTAMP_NS": TIMESTAMP},
    **{"TIMESTAMP WITH TIME ZONE": TIMESTAMPTZ, "INTERVAL": INTERVAL, "UUID": UUID, "JSON": JSON},
    **{"STRUCT": JSON, "MAP": JSON},
}
_LIST = re.compile(r"(\[\d*\])+$")
_DECIMAL = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)")


def pg_types_of(schema: pa.Schema, duckdb_types: Sequence[str]) -> list[PgType]:
    """One for each column of a result of the engine."""
    return [pg_type(field, type_) for field, type_ in zip(schema, duckdb_types, strict=True)]


def pg_type(field: pa.Field[Any], duckdb_type: str) -> PgType:
    """The type of a column that is `duckdb_type` for DuckDB and has come as `field`."""
    element = _LIST.sub("", duckdb_type)
    base = element.partition("(")[0]
    oid = _BASES.get(base, TEXT)
    if oid == JSON and base != "JSON" and pa.types.is_string(field.type):
        oid = TEXT  # nested, but read as DuckDB's own text
    typmod = -1
    if decimal := _DECIMAL.fullmatch(element):
        precision, scale = map(int, decimal.groups())
        typmod = ((precision << 16) | scale) + 4
    dimensions = duckdb_type[len(element) :].count("[")
    if dimensions > MOST_DIMENSIONS:
        return PgType(JSON, -1)
    if dimensions:
        return PgType(ARRAYS[oid], -1, typmod)
    return PgType(oid, SIZES.get(oid, -1), typmod)
