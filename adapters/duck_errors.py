"""From a DuckDB failure to the error tree.

The database runs with `errors_as_json`, so a failure carries its kind, its subtype, its position and the name that
was not found as data: also where pyarrow delivers it as an OSError in the middle of a stream. Only where DuckDB has no
code for a case does its wording refine the class, never more than that: without a match the answer is the general
class.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from adapters import errors

# DuckDB's exception kinds, lower case without spaces: `OutOfRangeException` and "Out of Range" are both outofrange.
KINDS: dict[str, type[errors.Error]] = {
    "binder": errors.ProgrammingError,
    "catalog": errors.ProgrammingError,
    "parser": errors.SQLSyntaxError,
    "syntax": errors.SQLSyntaxError,
    "parameternotallowed": errors.ProgrammingError,
    "parameternotresolved": errors.UndefinedParameter,
    "typemismatch": errors.TypeMismatch,
    "mismatchtype": errors.TypeMismatch,
    "invalidtype": errors.TypeMismatch,
    "expression": errors.ProgrammingError,
    "conversion": errors.ConversionError,
    "outofrange": errors.NumericOutOfRange,
    "decimal": errors.NumericOutOfRange,
    "dividebyzero": errors.DivisionByZero,
    "invalidinput": errors.DataError,
    "data": errors.DataError,
    "sequence": errors.DataError,
    "objectsize": errors.DataError,
    "constraint": errors.IntegrityError,
    "integrity": errors.IntegrityError,
    "outofmemory": errors.OutOfMemory,
    "interrupt": errors.QueryCancelled,
    "io": errors.SourceError,
    "http": errors.SourceError,
    "permission": errors.NotSupportedError,
    "notimplemented": errors.NotSupportedError,
    "notsupported": errors.NotSupportedError,
    "missingextension": errors.NotSupportedError,
}

# (kind, subtype, what was missing) -> class, for the failures that DuckDB tells apart itself.
SUBTYPES: dict[tuple[str, str, str], type[errors.Error]] = {
    ("binder", "COLUMN_NOT_FOUND", ""): errors.ColumnNotFound,
    ("binder", "NO_MATCHING_FUNCTION", ""): errors.FunctionNotFound,
    ("binder", "UNSUPPORTED", ""): errors.ProgrammingError,
    ("catalog", "MISSING_ENTRY", "Table"): errors.TableNotFound,
    ("catalog", "MISSING_ENTRY", "View"): errors.TableNotFound,
    ("catalog", "MISSING_ENTRY", "Schema"): errors.SchemaNotFound,
    ("catalog", "MISSING_ENTRY", "Scalar Function"): errors.FunctionNotFound,
    ("catalog", "MISSING_ENTRY", "Aggregate Function"): errors.FunctionNotFound,
    ("catalog", "MISSING_ENTRY", "Table Function"): errors.FunctionNotFound,
}

# DuckDB has no code for these; tests hold the wording.
WORDINGS: tuple[tuple[str, str, type[errors.Error]], ...] = (
    ("binder", "Ambiguous reference to column name", errors.AmbiguousColumn),
    ("binder", "does not have a column named", errors.ColumnNotFound),
    ("binder", "Referenced table", errors.TableNotFound),
    ("binder", "must appear in the GROUP BY clause", errors.GroupingError),
    ("binder", "aggregate function calls cannot be nested", errors.GroupingError),
    ("binder", "does not support the supplied arguments", errors.FunctionNotFound),  # a macro
    ("binder", "Could not choose a best candidate function", errors.FunctionNotFound),
    ("binder", "Cannot compare values of type", errors.TypeMismatch),
    ("binder", "Max expression depth limit", errors.StatementTooComplex),
    ("parser", "Max expression depth limit", errors.StatementTooComplex),
    ("syntax", "Max expression depth limit", errors.StatementTooComplex),
    ("conversion", "field format", errors.InvalidDatetime),
    ("conversion", "field value out of range", errors.DatetimeOverflow),
    ("conversion", "Date out of range", errors.DatetimeOverflow),
    ("conversion", "out of range for the destination type", errors.NumericOutOfRange),
    ("conversion", "Failed to cast decimal value", errors.NumericOutOfRange),
    ("conversion", "failed: value is out of range", errors.NumericOutOfRange),
    ("conversion", "Could not cast value", errors.NumericOutOfRange),
    ("invalidinput", "Division by zero", errors.DivisionByZero),
    ("invalidinput", "according to format specifier", errors.InvalidDatetime),
    ("invalidinput", "More than one row returned by a subquery", errors.CardinalityViolation),
    ("invalidinput", "Values were not provided for the following", errors.UndefinedParameter),
)

# Instead of a message that names settings which nobody can change here.
MESSAGES: dict[type[errors.Error], str] = {
    errors.DivisionByZero: "division by zero",
    errors.CardinalityViolation: "a subquery used as a value returned more than one row",
    errors.StatementTooComplex: "the statement is nested too deeply",
}

HINTS: dict[type[errors.Error], str] = {
    errors.OutOfMemory: "raise memory_limit under [settings], or let the query keep fewer rows at once",
    errors.ConversionError: "TRY_CAST gives NULL for a value that does not convert",
    errors.InvalidDatetime: "TRY_CAST gives NULL for a value that does not convert",
    errors.DatetimeOverflow: "TRY_CAST gives NULL for a value that does not convert",
    errors.NumericOutOfRange: "cast an operand to a wider type, such as DOUBLE or DECIMAL(38, s)",
}


# What error() raises in an expression of ours, or Python in a function, says which SQLSTATE it means.
_CODED = re.compile(r"(?:Python exception occurred while executing the UDF: \w+: )?\[([0-9A-Z]{5})\] ")


@dataclass(frozen=True, slots=True)
class Failure:
    """What DuckDB said: the kind as in KINDS, the message, and the fields beside it."""

    kind: str
    message: str
    fields: dict[str, Any]

    @property
    def structured(self) -> bool:
        return bool(self.fields)


def read_failure(exc: Exception) -> Failure:
    """Take apart what DuckDB raised, or what pyarrow raised for it."""
    text = str(exc)
    start = text.find("{")
    if start >= 0:
        try:
            fields, _ = json.JSONDecoder().raw_decode(text, start)
        except ValueError:
            fields = {}
        if "exception_type" in fields and "exception_message" in fields:
            return Failure(_kind(fields["exception_type"]), fields["exception_message"], fields)
    return Failure(_kind(type(exc).__name__.removesuffix("Exception")), text, {})


def error_from(failure: Failure, sql: str | None, given: str | None = None) -> errors.Error:
    """The error to raise for a failure of `sql`, which DuckDB was given inside `given` (alone unless said)."""
    kind = _class(failure)
    if coded := _CODED.match(failure.message):
        error = kind(failure.message[coded.end() :])
        error.sqlstate = coded[1]
        return error
    message = MESSAGES.get(kind, failure.message)
    if message.startswith("CSV Error"):
        hint = 'say what the column is: types = { name = "VARCHAR" }' if kind is errors.ConversionError else None
        return kind(_shorter(message), hint=hint)
    candidates = failure.fields.get("candidates", "")
    hint = HINTS.get(kind)
    if failure.fields.get("error_subtype") == "NO_MATCHING_FUNCTION" and candidates:
        hint = f"it takes: {'; '.join(candidates.splitlines())}"
    elif kind in (errors.ColumnNotFound, errors.TableNotFound, errors.FunctionNotFound) and candidates:
        hint = f"the nearest names are: {candidates}"
    return kind(message, hint=hint, position=_position(failure, sql, given))


def _class(failure: Failure) -> type[errors.Error]:
    fields = failure.fields
    subtype = (failure.kind, fields.get("error_subtype", ""), fields.get("type", ""))
    if subtype in SUBTYPES:
        return SUBTYPES[subtype]
    for kind, words, refined in WORDINGS:
        if kind == failure.kind and words in failure.message:
            return refined
    return KINDS.get(failure.kind, errors.InternalError)


def _shorter(message: str) -> str:
    """The line, what is wrong with it and the file, without the dump of every parameter of the reader."""
    lines = message.splitlines()
    end = next((i for i, line in enumerate(lines) if not line or line.startswith(("Possible", "Column "))), len(lines))
    files = [line.strip() for line in lines[end:] if line.startswith("  file = ")]
    return "\n".join(lines[:end] + files)


def _position(failure: Failure, sql: str | None, given: str | None) -> int | None:
    """DuckDB counts bytes from 0; ours are characters of `sql` from 1."""
    position = failure.fields.get("position")
    if sql is None or position is None:
        return None
    text = given if given is not None else sql
    character = len(text.encode()[: int(position)].decode(errors="ignore")) - text.index(sql)
    return character + 1 if 0 <= character <= len(sql) else None


def _kind(name: str) -> str:
    return name.replace(" ", "").lower()
