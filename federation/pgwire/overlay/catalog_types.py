"""The types of PostgreSQL's catalogs, and how the overlay holds them.

A kind is a type by its name in pg_type (`oid`, `_name`); DuckDB knows only the type that the values are held in. So
oids, names and numbers of rows that stand for objects are plain integers and texts there, and what they were is found
again by `kinds.py`.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from adapters.duck_types import plain_type

FILES = Path(__file__).parent / "data"

#: Numbers of objects that are shown as their names.
REG = {
    *("regclass", "regcollation", "regconfig", "regdictionary", "regnamespace", "regoper", "regoperator", "regproc"),
    *("regprocedure", "regrole", "regtype"),
}
_DUCKDB = {
    "bool": "BOOLEAN",
    "int2": "SMALLINT",
    "int4": "INTEGER",
    "int8": "BIGINT",
    "float4": "FLOAT",
    "float8": "DOUBLE",
    "numeric": "DECIMAL(38,9)",
    "timestamptz": "TIMESTAMP WITH TIME ZONE",
    "timestamp": "TIMESTAMP",
    "date": "DATE",
    "interval": "INTERVAL",
    "bytea": "BLOB",
    "int2vector": "SMALLINT[]",
    "oidvector": "UINTEGER[]",
    "cardinal_number": "INTEGER",
    "time_stamp": "TIMESTAMP WITH TIME ZONE",
    **dict.fromkeys(("oid", "xid", "cid", *REG), "UINTEGER"),
}


def duckdb_type(kind: str) -> str:
    """What DuckDB holds values of a kind in: text, unless they are something else."""
    if kind in _DUCKDB:
        return _DUCKDB[kind]
    return f"{duckdb_type(kind[1:])}[]" if is_array(kind) else "VARCHAR"


def arrow_type(kind: str) -> pa.DataType:
    return _arrow(duckdb_type(kind))


def is_array(kind: str) -> bool:
    """Whether a kind has elements of the kind that is named behind its underscore."""
    return kind.startswith("_") and not kind.startswith("_pg_")


def _arrow(duckdb: str) -> pa.DataType:
    if duckdb.endswith("[]"):
        return pa.list_(_arrow(duckdb[:-2]))
    plain = plain_type(duckdb)
    assert plain is not None, duckdb
    return plain
