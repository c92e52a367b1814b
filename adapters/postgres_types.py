"""The type table of PostgreSQL: what a column is in Arrow, and how a value travels.

`arrow_type` maps a declared type. `travel` says, for an Arrow type, how the source is asked for it, which values it
cannot hold, and what is done with the array that the driver delivers:

- a decimal of up to 18 digits comes as a scaled int8, whose buffer becomes a decimal64 as it is; a wider one as text,
- the driver shifts the epoch of dates and timestamps without looking, so that infinity arrives as a wrapped number:
  it becomes the number that DuckDB takes for infinity,
- what Arrow has no type for comes as the source's own text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

Array: TypeAlias = Any  # the stubs of pyarrow know neither views nor extension arrays

MAX_DIGITS = 38
SCALED_DIGITS = 18  # what an int8 always holds
FREE_SCALE = 10  # of numeric without a declared scale

_PLAIN: dict[str, pa.DataType] = {
    "bool": pa.bool_(),
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "oid": pa.int64(),
    "float4": pa.float32(),
    "float8": pa.float64(),
    "money": pa.decimal128(19, 2),
    "text": pa.string(),
    "varchar": pa.string(),
    "bytea": pa.binary(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", "UTC"),
    "interval": pa.month_day_nano_interval(),
    "uuid": pa.uuid(),
    "json": pa.json_(),
    "jsonb": pa.json_(),
}
#: types whose Arrow type has operators that they lack: an island sees them cast
STAND_INS: dict[str, str] = {"money": "NUMERIC", "oid": "BIGINT"}


def arrow_type(name: str, typmod: int, arrays: int) -> pa.DataType:
    """`name` is pg_type.typname of a built-in type, or empty for any other; `arrays` counts the array levels."""
    if arrays > 1:
        return pa.string()
    element = numeric_type(typmod) if name == "numeric" else _PLAIN.get(name, pa.string())
    return pa.list_(element) if arrays else element


def numeric_type(typmod: int) -> pa.Decimal128Type:
    """As declared where that fits; otherwise some values do not, and raise when they are read."""
    if typmod < 4:
        return pa.decimal128(MAX_DIGITS, FREE_SCALE)
    precision = (typmod - 4) >> 16
    scale = (((typmod - 4) & 0x7FF) ^ 1024) - 1024
    whole = max(precision - scale, 0)
    scale = max(scale, 0)
    if whole + scale > MAX_DIGITS:
        scale = min(scale, max(FREE_SCALE, MAX_DIGITS - whole))
    return pa.decimal128(min(whole + scale, MAX_DIGITS) or 1, scale)


class Misfit(Exception):
    """A value that the Arrow type cannot hold. `reason` and `cast` go into the error that names the column."""

    def __init__(self, reason: str, cast: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.cast = cast


@dataclass(frozen=True, slots=True)
class Travel:
    """`cast` is the type that the source casts to, after it has shifted the decimal point (`scaled`) or cut zeros at
    the end (`trim`). `misfits` are SQL conditions over {0} for values that would arrive wrong, each with its error. At
    those of a value that `breaks` the driver it is not sent."""

    type: Any  # pa.DataType
    cast: str | None
    arrive: Callable[[Array], Array]
    scaled: bool = False
    trim: bool = False
    misfits: tuple[tuple[str, Misfit], ...] = ()
    breaks: bool = False

    def select(self, column: str) -> str:
        if self.scaled:
            factor = f" * {10**self.type.scale}" if self.type.scale else ""
            return f"({column}::numeric{factor})::{self.cast}"
        if self.trim:
            return f"pg_catalog.trim_scale({column}::numeric)::{self.cast}"
        value = f"{column}::{self.cast}" if self.cast else column
        if pt.is_list(self.type):
            value = f"({value})[:]"  # lower bounds become 1
        if self.breaks:
            wrong = " OR ".join(condition for condition, _ in self.misfits)
            return f"CASE WHEN {wrong.format(column)} THEN NULL ELSE {value} END"
        return value


def travel(wanted: pa.DataType) -> Travel | None:
    """None for a type that nothing in PostgreSQL becomes. `type` of the answer is what arrives: `wanted`, but for
    decimals of up to 18 digits, which are decimal64."""
    if pt.is_decimal(wanted):
        return _decimal(wanted.precision, wanted.scale)
    if pt.is_list(wanted):
        return _list(wanted.value_type)
    if pt.is_timestamp(wanted):
        if wanted.unit != "us":
            return None
        return Travel(wanted, "timestamptz" if wanted.tz else "timestamp", lambda a: timestamps(a).cast(wanted))
    if isinstance(wanted, pa.UuidType):
        return Travel(wanted, "uuid", lambda a: a)
    if isinstance(wanted, pa.JsonType):
        return Travel(wanted, None, lambda a: _as_json(a, wanted))
    for test, cast, arrive in _SIMPLE:
        if test(wanted):
            return Travel(wanted, cast, arrive or (lambda a: a.cast(wanted)))
    if pt.is_interval(wanted):
        hours = "abs(extract(hour FROM {0}::interval)) > 2562046"
        misfit = Misfit("an interval has more than 2562046 hours", "::text")
        return Travel(wanted, "interval", lambda a: a, misfits=((hours, misfit),), breaks=True)
    return None


def _decimal(precision: int, scale: int) -> Travel | None:
    if scale < 0 or precision > MAX_DIGITS:
        return None
    if precision > SCALED_DIGITS:
        target = pa.decimal128(precision, scale)
        return Travel(target, "text", lambda a: decimals(a, target), trim=True)
    small = pa.decimal64(precision, scale)
    return Travel(small, "int8", lambda a: unscaled(a, small), scaled=True)


def _list(element: pa.DataType) -> Travel | None:
    inner = travel(element)
    if inner is None:
        return None
    arrive, cast = inner.arrive, inner.cast
    if pt.is_decimal(element):
        wide = pa.decimal128(element.precision, element.scale)
        inner_type: pa.DataType = wide
        # By way of numeric, for the text of money has a currency.
        cast, arrive = "numeric[]::text", lambda a: decimals(_trimmed(a), wide)
    else:
        inner_type = inner.type
    target = pa.list_(inner_type)
    dimensions = "pg_catalog.array_ndims({0}) > 1", Misfit("an array has more than one dimension", "::text")
    of_elements = tuple(
        (f"EXISTS (SELECT FROM pg_catalog.unnest({{0}}) AS e WHERE {condition.format('e')})", misfit)
        for condition, misfit in inner.misfits
    )
    return Travel(
        target,
        f"{cast or 'json'}[]",
        lambda a: _elements(a, target, arrive),
        misfits=(dimensions, *of_elements),
        breaks=inner.breaks,
    )


def _elements(array: Array, target: pa.ListType[Any], arrive: Callable[[Array], Array]) -> Array:
    offsets: Array = pa.Array.from_buffers(pa.int32(), len(array) + 1, [None, array.buffers()[1]], offset=array.offset)
    mask: Array = array.is_null() if array.null_count else None
    build: Any = pa.ListArray.from_arrays  # the stubs take a list type for the type of its elements
    return build(offsets, arrive(array.values), target, mask=mask)


def _as_json(array: Array, wanted: pa.JsonType) -> Array:
    storage = array.storage if isinstance(array, pa.ExtensionArray) else array
    return pa.ExtensionArray.from_storage(wanted, storage.cast(pa.string()))


def _trimmed(numbers: Array) -> Array:
    """Without zeros at the end, of which there may be more than Arrow reads."""
    return pc.replace_substring_regex(numbers, r"(\.[0-9]*?)0+$", r"\1")


def beyond(kind: Any) -> Misfit:
    """Of a number that no scaled int8 holds, NaN included; `kind` is the decimal that it should be."""
    reason = f"a number is NaN or has more digits than decimal({kind.precision}, {kind.scale})"
    return Misfit(reason, "::double precision or ::text")


def unscaled(array: Array, target: pa.Decimal64Type) -> Array:
    """int64 values taken as decimals, without a copy."""
    bounds = pc.min_max(array)
    low, high = bounds["min"].as_py(), bounds["max"].as_py()
    if low is not None and max(-low, high) >= 10**target.precision:
        raise Misfit(f"a number has more than {target.precision} digits", "::double precision")
    return pa.Array.from_buffers(target, len(array), array.buffers(), array.null_count, array.offset)


def decimals(array: Array, target: pa.Decimal128Type) -> Array:
    """Exact, or an error: rounding would be a wrong answer."""
    try:
        return array.cast(target)
    except pa.ArrowInvalid as exc:
        raise Misfit(
            f"a number is NaN or infinite, or does not fit decimal({target.precision}, {target.scale}) exactly",
            f"::numeric({MAX_DIGITS}, s), ::double precision or ::text",
        ) from exc


_INT64 = pa.int64()
_DATE_WRAPPED = {-2147472692: 2147483647, -2147472691: -2147483647}
_TIMESTAMP_WRAPPED = {-9222425352054775809: 9223372036854775807, -9222425352054775808: -9223372036854775807}
_FIRST_DATE = -2_440_588 - 1000  # no PostgreSQL date is before 4714-11-24 BC
_FIRST_TIMESTAMP = _FIRST_DATE * 86_400_000_000


def dates(array: Array) -> Array:
    numbers = array.view(pa.int32())
    low = pc.min(numbers).as_py()
    if low is None or low > _FIRST_DATE:
        return array
    return _unwrap(numbers, _DATE_WRAPPED).view(pa.date32())


def timestamps(array: Array) -> Array:
    numbers = array.view(_INT64)
    low = pc.min(numbers).as_py()
    if low is None or low > _FIRST_TIMESTAMP:
        return array
    mapped = _unwrap(numbers, _TIMESTAMP_WRAPPED)
    rest = pc.min(pc.if_else(pc.equal(mapped, pa.scalar(-9223372036854775807, _INT64)), 0, mapped)).as_py()
    if rest <= _FIRST_TIMESTAMP:
        raise Misfit("a timestamp is after 294247-01-10, the last one of DuckDB", "::text")
    return mapped.view(array.type)


def _unwrap(numbers: Array, mapping: dict[int, int]) -> Array:
    for wrapped, meant in mapping.items():
        numbers = pc.if_else(
            pc.equal(numbers, pa.scalar(wrapped, numbers.type)), pa.scalar(meant, numbers.type), numbers
        )
    return numbers


_SIMPLE: tuple[tuple[Callable[[pa.DataType], bool], str, Callable[[Array], Array] | None], ...] = (
    (pt.is_boolean, "bool", None),
    (pt.is_int8, "int2", None),
    (pt.is_uint8, "int2", None),
    (pt.is_int16, "int2", None),
    (pt.is_uint16, "int4", None),
    (pt.is_int32, "int4", None),
    (pt.is_uint32, "int8", None),
    (pt.is_int64, "int8", None),
    (pt.is_uint64, "text", None),
    (pt.is_float32, "float4", None),
    (pt.is_float64, "float8", None),
    (pt.is_string, "text", None),
    (pt.is_large_string, "text", None),
    (pt.is_binary, "bytea", None),
    (pt.is_date32, "date", dates),
    (lambda t: bool(t == pa.time64("us")), "time", None),
    (pt.is_null, "text", lambda a: pa.nulls(len(a))),
)
