"""Parameters: `?`, `$1` and `$name` become literals of the values' types, quoted by sqlglot."""

from __future__ import annotations

import datetime
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any, TypeAlias

from sqlglot import exp
from sqlglot.errors import SqlglotError

from adapters.errors import ProgrammingError, UndefinedParameter
from adapters.sql.scan import literal

_NUMBER = re.compile(r"-?([0-9]+)\.([0-9]+)")
PARAMETER = "parameter"  # in the metadata of a value: the name of its placeholder
Parameters: TypeAlias = Mapping[str, Any] | Sequence[Any] | None


@dataclass(frozen=True, slots=True)
class Typed:
    """A value as the text that DuckDB casts to `type`, for callers that have no Python values; None is a NULL."""

    type: str
    text: str | None


def substitute(query: exp.Query, parameters: Parameters) -> exp.Query:
    """The query with its placeholders replaced. Raises UndefinedParameter; a value too many is an error as well."""
    placeholders = list(query.find_all(exp.Placeholder, exp.Parameter))
    named = by_name(parameters)
    used = set()
    for placeholder in placeholders:
        name = placeholder.name
        if name not in named:
            known = ", ".join(f"${each}" for each in named) or "none"
            raise UndefinedParameter(f"the parameter ${name} has no value", hint=f"given: {known}")
        used.add(name)
        made = value_literal(named[name])
        made.meta[PARAMETER] = name
        placeholder.replace(made)
    if not isinstance(parameters, Mapping) and len(used) < len(named):
        raise ProgrammingError(f"{len(named)} parameters were given, the statement takes {len(used)}")
    return query


def by_name(parameters: Parameters) -> Mapping[str, Any]:
    """The values by the names of their placeholders, which are numbers from 1 for a sequence."""
    return parameters if isinstance(parameters, Mapping) else {str(i + 1): v for i, v in enumerate(parameters or ())}


def value_literal(value: Any) -> exp.Expr:
    """A Python value as a DuckDB expression of the matching type. Raises ProgrammingError for a type without one."""
    if value is None:
        return exp.Null()
    if isinstance(value, Typed):
        return _typed_literal(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return exp.cast(exp.Literal.string("".join(f"\\x{byte:02X}" for byte in bytes(value))), "BLOB")
    if isinstance(value, uuid.UUID):
        return exp.cast(exp.Literal.string(str(value)), "UUID")
    if isinstance(value, datetime.time):
        return exp.cast(exp.Literal.string(value.isoformat()), "TIMETZ" if value.tzinfo else "TIME")
    if isinstance(value, Decimal) and not value.is_finite():
        raise ProgrammingError(f"DECIMAL has no {value}", hint="pass a float")
    if isinstance(value, (list, tuple)):
        return exp.Array(expressions=[value_literal(each) for each in value])
    if isinstance(value, str) and any("\ud800" <= each <= "\udfff" for each in value):
        raise ProgrammingError("a parameter holds half a surrogate pair, which is not text")
    made = literal(value)
    if not isinstance(value, str) and isinstance(made, exp.Literal) and made.is_string:
        raise ProgrammingError(f"a parameter of type {type(value).__name__} has no SQL type", hint="pass it as text")
    return made


@lru_cache(1024)
def _data_type(name: str) -> exp.DataType:
    """It is parsed, and a list of values has thousands. `exp.cast` copies it."""
    return exp.DataType.build(name, dialect="duckdb")


def _typed_literal(value: Typed) -> exp.Expr:
    try:
        kind = _data_type(value.type)
    except (SqlglotError, ValueError) as exc:
        raise ProgrammingError(f"{value.type!r} is not the name of a type") from exc
    if value.text is not None and (number := _NUMBER.fullmatch(value.text)):
        whole, fraction = map(len, number.groups())
        if value.type == f"DECIMAL({whole + fraction},{fraction})":
            return literal(Decimal(value.text))  # has that type as it is written, and is easier to push down
    return exp.cast(exp.Null() if value.text is None else exp.Literal.string(value.text), kind)
