"""How DuckDB reads the files of a table: an expression that is found out once and then says everything.

What DuckDB guesses from a sample can lose data without a word: a row that begins with `#` becomes a comment, a first
line that looks odd is skipped, quotes that come late stay in the text, a key that comes late in JSON is dropped. So
CSV is RFC 4180 unless the catalog file says otherwise, with only the delimiter, the header and the types guessed, and
JSON is looked through whole. What was guessed is written into the expression: a later reading cannot guess otherwise,
and a value that does not fit is an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
from sqlglot import exp

from adapters.duck import Duck
from adapters.duck_types import as_pattern, quoted
from adapters.errors import CatalogError, DataError
from adapters.files_layout import FileTable

# The settings of `csv` and `json` in the catalog file, all of them DuckDB's own parameters.
CSV_OPTIONS = frozenset(
    {"comment", "compression", "dateformat", "decimal_separator", "delim", "encoding", "escape", "header"}
    | {"max_line_size", "new_line", "null_padding", "allow_quoted_nulls", "nullstr", "quote", "sample_size", "skip"}
    | {"strict_mode", "thousands", "timestampformat"}
)
JSON_OPTIONS = frozenset(
    {"compression", "dateformat", "map_inference_threshold", "maximum_depth", "maximum_object_size", "records"}
    | {"sample_size", "timestampformat"}
)
# A quoted empty value is a text, an unquoted one is NULL, as in PostgreSQL.
CSV_DEFAULTS: dict[str, Any] = {"quote": '"', "escape": '"', "comment": "", "skip": 0, "allow_quoted_nulls": False}
SNIFFED = {
    "delim": "Delimiter",
    "header": "HasHeader",
    "dateformat": "DateFormat",
    "timestampformat": "TimestampFormat",
}
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Reading:
    """`sql` is a table expression; `schema` its columns as the federation sees them, `types` their DuckDB types."""

    sql: str
    schema: pa.Schema
    types: tuple[str, ...]


def find_reading(duck: Duck, table: FileTable) -> Reading:
    """Look into the files. Raises what DuckDB finds wrong with them."""
    function = {"parquet": _parquet, "csv": _csv, "json": _json, "ndjson": _json}[table.format]
    return _in_known_types(duck, function(duck, table))


def _parquet(_duck: Duck, table: FileTable) -> str:
    return _call("read_parquet", table, {})


def _csv(duck: Duck, table: FileTable) -> str:
    given = {**CSV_DEFAULTS, **table.settings.csv}
    sample = next((path for path in table.files if path.stat().st_size), table.files[0])
    sniffed = _sniff(duck, sample, given)
    known = {**sniffed, **given}
    described = _columns(duck, _call("read_csv", table, known), table)
    return _call("read_csv", table, {**known, "types": _with_overrides(table, described)})


def _sniff(duck: Duck, path: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """What is left to guess: the delimiter, whether there is a header, how dates are written."""
    columns = {
        "delim": "Delimiter",
        "header": "HasHeader",
        "dateformat": "DateFormat",
        "timestampformat": "TimestampFormat",
    }
    sql = f"SELECT {', '.join(columns.values())} FROM sniff_csv({_value(as_pattern(str(path)))}{_named(given)})"
    row = duck.query(sql).read_all().to_pylist()[0]
    return {name: row[column] for name, column in SNIFFED.items() if row[column] is not None}


def _json(duck: Duck, table: FileTable) -> str:
    for path in table.files:
        with path.open("rb") as file:
            if file.read(3) == BYTE_ORDER_MARK:
                raise DataError(
                    f'the JSON file "{path}" begins with a byte order mark', hint="save it as UTF-8 without one"
                )
    layout = "newline_delimited" if table.format == "ndjson" else "auto"
    given = {"format": layout, "sample_size": -1, **table.settings.json}
    described = _columns(duck, _call("read_json", table, given), table)
    if _renamed(list(described)):
        # Two keys that differ in case only: DuckDB numbers them, and finds them again only by looking.
        return _call("read_json", table, given)
    given.pop("sample_size")
    return _call("read_json", table, {**given, "columns": _with_overrides(table, described)})


def _renamed(names: Sequence[str]) -> bool:
    folded = {name.casefold() for name in names}
    return any((match := re.fullmatch(r"(.+)_\d+", name)) and match[1].casefold() in folded for name in names)


def _columns(duck: Duck, call: str, table: FileTable) -> dict[str, str]:
    """The columns that the files themselves hold."""
    keys = {key.casefold() for key in table.keys}
    return {name: type_ for name, type_ in duck.describe(f"SELECT * FROM {call}") if name.casefold() not in keys}


def _with_overrides(table: FileTable, described: Mapping[str, str]) -> dict[str, str]:
    wanted = {name.casefold(): type_ for name, type_ in table.settings.types.items()}
    unknown = wanted.keys() - {name.casefold() for name in described}
    if unknown and table.declared:
        raise CatalogError(
            f'types names "{min(unknown)}", and "{table.name}" has no such column',
            hint=f"its columns are {', '.join(described)}",
        )
    return {name: wanted.get(name.casefold(), type_) for name, type_ in described.items()}


def _in_known_types(duck: Duck, call: str) -> Reading:
    """The planner sees Arrow types only. A column that would be another type again on the way back (an ENUM is text
    there) is cast already where it is read, so that the plan and the reading agree."""
    described = duck.describe(f"SELECT * FROM {call}")
    # Of the types alone: binding the call again would open every file again.
    nulls = ", ".join(f"CAST(NULL AS {type_}) AS {quoted(name)}" for name, type_ in described)
    schema = duck.result_schema(f"SELECT {nulls}")
    plain = pa.schema([pa.field(field.name, _plain(field.type)) for field in schema])
    table = f"types_{uuid4().hex}"
    duck.create_table(table, plain)
    try:
        seen = duck.describe(f"SELECT * FROM {table}")
    finally:
        duck.drop_table(table)
    casts = [
        f"CAST({quoted(name)} AS {back}) AS {quoted(name)}"
        for (name, type_), (_, back) in zip(described, seen, strict=True)
        if type_ != back and type_ != '"NULL"'
    ]
    sql = f"(SELECT * REPLACE ({', '.join(casts)}) FROM {call})" if casts else call
    return Reading(sql, plain, tuple(type_ for _, type_ in described))


def _plain(type_: Any) -> Any:
    return type_.value_type if pa.types.is_dictionary(type_) else type_


def _call(function: str, table: FileTable, options: Mapping[str, Any]) -> str:
    several: dict[str, Any] = {"union_by_name": True} if len(table.files) > 1 else {}
    several["hive_partitioning"] = bool(table.keys)
    files = _value([as_pattern(str(path)) for path in table.files])
    return f"{function}({files}{_named({**several, **options})})"


def _named(options: Mapping[str, Any]) -> str:
    return "".join(f", {name} = {_value(value)}" for name, value in options.items())


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_value(key)}: {_value(item)}" for key, item in value.items()) + "}"
    return exp.convert(value).sql(dialect="duckdb")
