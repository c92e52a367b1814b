"""Types as PostgreSQL judges expressions by them, and as DuckDB names them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from sqlglot import exp

from adapters.errors import NotSupportedError, SQLSyntaxError, TypeMismatch
from federation.pgwire.dialect.problems import UndefinedType

MAX_DIGITS = 38
SCALE = 16  # of a quotient, and of what has no scale of its own


class Kind(NamedTuple):
    """`name` as PostgreSQL spells it inside ("int4"), of arrays with "[]" behind it. `precision` and `scale` are those
    of a numeric as DuckDB stores it; a precision of 0 is DuckDB's HUGEINT. `parts` are the fields of a row."""

    name: str
    precision: int = MAX_DIGITS
    scale: int = 0
    parts: tuple[tuple[str, Kind], ...] = ()

    @property
    def is_array(self) -> bool:
        return self.name.endswith("[]")

    @property
    def element(self) -> Kind:
        return self._replace(name=self.name[:-2])

    def array(self) -> Kind:
        return self._replace(name=self.name + "[]")

    @property
    def duckdb(self) -> str:
        """DuckDB's name of the type."""
        if self.is_array:
            return f"{self.element.duckdb}[]"
        if self.name == "numeric":
            return f"DECIMAL({self.precision}, {self.scale})" if self.precision else "HUGEINT"
        return _TO_DUCKDB.get(self.name, "VARCHAR")

    @property
    def shown(self) -> str:
        """PostgreSQL's name of the type for people."""
        return f"{self.element.shown}[]" if self.is_array else _SHOWN.get(self.name, self.name)


def numeric(precision: int, scale: int) -> Kind:
    return Kind("numeric", min(precision, MAX_DIGITS), scale)


UNKNOWN, BOOL, TEXT, RECORD = Kind("unknown"), Kind("bool"), Kind("text"), Kind("record")
INT2, INT4, INT8, FLOAT4, FLOAT8 = Kind("int2"), Kind("int4"), Kind("int8"), Kind("float4"), Kind("float8")
DATE, TIME, TIMETZ = Kind("date"), Kind("time"), Kind("timetz")
TIMESTAMP, TIMESTAMPTZ, INTERVAL = Kind("timestamp"), Kind("timestamptz"), Kind("interval")
UUID, BYTEA, JSON, JSONB = Kind("uuid"), Kind("bytea"), Kind("json"), Kind("jsonb")
HUGE = Kind("numeric", 0, 0)
ANY_NUMERIC = numeric(MAX_DIGITS, SCALE)

INTEGERS = ("int2", "int4", "int8")
NUMBERS = (*INTEGERS, "numeric", "float4", "float8")
TEXTS = ("text", "unknown", "bpchar", "name")
_DIGITS = {"int2": 5, "int4": 10, "int8": 19}

_TO_DUCKDB = {
    **{"bool": "BOOLEAN", "text": "VARCHAR", "bpchar": "VARCHAR", "name": "VARCHAR", "unknown": "VARCHAR"},
    **{"int2": "SMALLINT", "int4": "INTEGER", "int8": "BIGINT", "float4": "REAL", "float8": "DOUBLE"},
    **{"date": "DATE", "time": "TIME", "timetz": "TIMETZ", "timestamp": "TIMESTAMP", "timestamptz": "TIMESTAMPTZ"},
    **{"interval": "INTERVAL", "uuid": "UUID", "bytea": "BLOB", "json": "JSON", "jsonb": "JSON", "varbit": "BIT"},
    **{"oid": "UINTEGER"},
}
_FROM_DUCKDB = {
    **{"BOOLEAN": BOOL, "TINYINT": INT2, "UTINYINT": INT2, "SMALLINT": INT2, "USMALLINT": INT4, "INTEGER": INT4},
    **{"UINTEGER": INT8, "BIGINT": INT8, "HUGEINT": HUGE, "UBIGINT": numeric(20, 0), "FLOAT": FLOAT4, "DOUBLE": FLOAT8},
    **{"VARCHAR": TEXT, "BLOB": BYTEA, "DATE": DATE, "TIME": TIME, "TIME WITH TIME ZONE": TIMETZ, "JSON": JSON},
    **{"TIMESTAMP WITH TIME ZONE": TIMESTAMPTZ, "INTERVAL": INTERVAL, "UUID": UUID},
}
_SHOWN = {
    **{"bool": "boolean", "int2": "smallint", "int4": "integer", "int8": "bigint", "float4": "real"},
    **{"float8": "double precision", "time": "time without time zone", "timetz": "time with time zone"},
    **{"timestamp": "timestamp without time zone", "timestamptz": "timestamp with time zone", "bpchar": "character"},
}
_WIDER = (("timestamptz", "timestamp"), ("timestamptz", "date"), ("timestamp", "date"), ("jsonb", "json"))
_DECIMAL = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)")
_ARRAY = re.compile(r"\[\d*\]$")

# sqlglot's types, and the words that it does not know as types of PostgreSQL
_BY_TYPE = {
    **{exp.DType.BOOLEAN: BOOL, exp.DType.SMALLINT: INT2, exp.DType.INT: INT4, exp.DType.BIGINT: INT8},
    **{exp.DType.FLOAT: FLOAT4, exp.DType.DOUBLE: FLOAT8, exp.DType.DECIMAL: ANY_NUMERIC, exp.DType.TEXT: TEXT},
    **{exp.DType.VARCHAR: TEXT, exp.DType.CHAR: Kind("bpchar"), exp.DType.DATE: DATE, exp.DType.TIME: TIME},
    **{exp.DType.TIMETZ: TIMETZ, exp.DType.TIMESTAMP: TIMESTAMP, exp.DType.TIMESTAMPTZ: TIMESTAMPTZ},
    **{exp.DType.INTERVAL: INTERVAL, exp.DType.UUID: UUID, exp.DType.VARBINARY: BYTEA, exp.DType.JSON: JSON},
    **{exp.DType.JSONB: JSONB, exp.DType.NAME: Kind("name"), exp.DType.BPCHAR: Kind("bpchar")},
}
_BY_NAME = {
    **{"bool": BOOL, "int2": INT2, "int4": INT4, "int8": INT8, "float4": FLOAT4, "float8": FLOAT8, "text": TEXT},
    **{"numeric": ANY_NUMERIC, "date": DATE, "time": TIME, "timetz": TIMETZ, "timestamp": TIMESTAMP, "uuid": UUID},
    **{"timestamptz": TIMESTAMPTZ, "interval": INTERVAL, "bytea": BYTEA, "json": JSON, "jsonb": JSONB},
    **{"name": Kind("name"), "bpchar": Kind("bpchar"), "varchar": TEXT, "integer": INT4, "bigint": INT8},
    **{"smallint": INT2, "real": FLOAT4, "boolean": BOOL, "char": TEXT},
}
# Types of PostgreSQL that have no values here.
_NOT_HERE = {
    *("money", "inet", "cidr", "macaddr", "macaddr8", "point", "line", "lseg", "box", "path", "polygon", "circle"),
    *("tsvector", "tsquery", "xml", "bit", "varbit", "oid", "xid", "cid", "tid", "pg_lsn", "txid_snapshot", "hstore"),
    *("regclass", "regtype", "regproc", "regprocedure", "regnamespace", "regrole", "regoper", "regoperator"),
    *("regconfig", "int4range", "int8range", "numrange", "tsrange", "tstzrange", "daterange"),
}


def from_duckdb(type_: str) -> Kind:
    """The kind of a column that has this type in DuckDB."""
    if decimal := _DECIMAL.fullmatch(type_):
        return numeric(int(decimal[1]), int(decimal[2]))
    if type_ in _FROM_DUCKDB:
        return _FROM_DUCKDB[type_]
    if _ARRAY.search(type_):
        return from_duckdb(_ARRAY.sub("", type_)).array()
    if type_.startswith("TIMESTAMP"):
        return TIMESTAMP
    if type_.startswith(("STRUCT", "MAP", "TUPLE")):
        return JSON
    return TEXT


def sizes_of(type_: exp.DataType) -> list[int]:
    """The numbers in the parentheses of a type. Raises SQLSyntaxError."""
    if not all(each.name.isdigit() for each in type_.expressions):
        raise SQLSyntaxError("type modifiers must be simple constants or identifiers")
    return [int(each.name) for each in type_.expressions]


def of_type(type_: exp.DataType) -> Kind:
    """The kind that a statement names. Raises UndefinedType, NotSupportedError."""
    if type_.this is exp.DType.ARRAY:
        return of_type(type_.expressions[0]).array() if type_.expressions else TEXT.array()
    if type_.this is exp.DType.DECIMAL and type_.expressions:
        sizes = sizes_of(type_)
        precision, scale = sizes[0], sizes[1] if len(sizes) > 1 else 0
        if precision > MAX_DIGITS or scale > precision or scale < 0:
            raise NotSupportedError(
                f"numeric({precision},{scale}) is not supported", hint=f"it has up to {MAX_DIGITS} digits here"
            )
        return numeric(precision, scale)
    found = _BY_TYPE.get(type_.this)
    if found is not None:
        return found
    word = type_.args.get("kind")
    if isinstance(word, exp.Dot):
        word = word.expression
    name = word.name.lower() if isinstance(word, exp.Expr) else str(word or type_.sql("postgres")).lower()
    if name in _BY_NAME:
        return _BY_NAME[name]
    if name in _NOT_HERE or type_.this is not exp.DType.USERDEFINED:
        raise NotSupportedError(f"the type {name} is not supported")
    raise UndefinedType(f'type "{name}" does not exist', position=_position(word))


def _position(word: object) -> int | None:
    start = word.meta.get("start") if isinstance(word, exp.Expr) else None
    return None if start is None else int(start) + 1


def is_type(name: str) -> bool:
    """Whether a call of that name is a cast: int4(x)."""
    return name in _BY_NAME


def by_name(name: str) -> Kind:
    """The kind of an internal name, as in Kind.name."""
    return by_name(name[:-2]).array() if name.endswith("[]") else _BY_NAME.get(name, Kind(name))


def as_numeric(kind: Kind) -> Kind:
    """The numeric that holds every value of an integer or numeric kind."""
    if kind.name in _DIGITS:
        return numeric(_DIGITS[kind.name], 0)
    return kind if kind.precision else numeric(MAX_DIGITS, 0)


def common(kinds: Iterable[Kind], what: str) -> Kind:
    """The kind of a CASE, COALESCE, array or set operation over these. Raises TypeMismatch."""
    result = UNKNOWN
    for kind in kinds:
        if kind.name == "unknown" or kind == result:
            continue
        if result.name == "unknown":
            result = kind
            continue
        both = wider(result, kind)
        if both is None:
            raise TypeMismatch(f"{what} types {result.shown} and {kind.shown} cannot be matched")
        result = both
    return result


def is_cut(one: Kind, result: Kind) -> bool:
    """Whether DuckDB takes digits of this numeric where it makes the common one itself: of more digits than a DECIMAL
    has, it drops those at the end."""
    return (
        one.name == result.name and one.name.startswith("numeric") and result.precision == MAX_DIGITS and one != result
    )


def wider(one: Kind, other: Kind) -> Kind | None:
    """The kind that both convert to by themselves, if there is one."""
    if one.is_array and other.is_array:
        inner = wider(one.element, other.element) if one != other else one.element
        return inner.array() if inner else None
    names = (one.name, other.name)
    if all(name in NUMBERS for name in names):
        return _wider_number(one, other)
    if all(name in TEXTS for name in names):
        return TEXT
    if one.name == other.name:
        return one
    return next((Kind(wide) for wide, narrow in _WIDER if {wide, narrow} == set(names)), None)


def _wider_number(one: Kind, other: Kind) -> Kind:
    highest = max(one.name, other.name, key=NUMBERS.index)
    if highest != "numeric":
        if highest == "float4" and "numeric" in (one.name, other.name):
            return FLOAT8 if {one.name, other.name} == {"float4", "numeric"} else FLOAT4
        return Kind(highest)
    left, right = as_numeric(one), as_numeric(other)
    scale = max(left.scale, right.scale)
    return numeric(max(left.precision - left.scale, right.precision - right.scale) + scale, scale)
