"""JSON in, Arrow out: the paths and the column types of a REST table.

A value becomes exactly what its column declares, or a typed error names the table, the column and the JSON type that
came instead. Numbers keep every digit: JSON is parsed with decimals.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections.abc import Callable, Sequence
from decimal import Context, Decimal, Inexact, InvalidOperation
from functools import cache
from typing import Any

import pyarrow as pa

from adapters.errors import ConversionError, DataError, NumericOutOfRange

JsonPath = tuple[str | int, ...]
Convert = Callable[[Any], Any]

_PATH = re.compile(r"\$((?:\.[A-Za-z_][\w-]*|\['[^']*'\]|\[\d+\])*)")
_STEP = re.compile(r"\.(?P<dot>[A-Za-z_][\w-]*)|\['(?P<quoted>[^']*)'\]|\[(?P<index>\d+)\]")
_TYPE = re.compile(r"(?P<name>[a-z]+\d*)(?:\((?P<precision>\d+),\s*(?P<scale>\d+)\)|<(?P<item>.+)>)?")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")
_BEYOND_MICROSECONDS = re.compile(r"\.\d{6}\d*[1-9]")

_JSON_NAMES = {str: "string", int: "integer", Decimal: "number", bool: "boolean", dict: "object", list: "array"}
_ARROW_NAMES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "double": pa.float64(),
    "bool": pa.bool_(),
    "date": pa.date32(),
}
_ARROW_NAMES |= {"timestamp": pa.timestamp("us"), "timestamptz": pa.timestamp("us", "UTC"), "json": pa.json_()}
_INTEGERS = {f"{sign}int{bits}": (sign == "", bits) for sign in ("", "u") for bits in (8, 16, 32, 64)}
_ARROW_NAMES |= {name: getattr(pa, name)() for name in _INTEGERS}
TYPE_NAMES = (*_ARROW_NAMES, "decimal(p,s)", "list<type>")

MISSING = object()


class Unfit(Exception):
    """A value that its place cannot hold; says what came, never the value."""

    error: type[DataError] = ConversionError


class _TooLarge(Unfit):
    error = NumericOutOfRange


def parse_path(text: str) -> JsonPath:
    """`$.a['b c'][0]` as steps. Raises ValueError for anything else of JSONPath."""
    match = _PATH.fullmatch(text)
    if match is None:
        raise ValueError("a path looks like $.items, $['some key'] or $.rows[0].id")
    steps = _STEP.finditer(match[1])
    return tuple(int(step["index"]) if step["index"] else step["dot"] or step["quoted"] or "" for step in steps)


def find(document: Any, path: JsonPath) -> Any:
    """The value at `path`, MISSING without one; null on the way is null. Raises Unfit for a wrong container."""
    for step in path:
        if document is None:
            return None
        expected = dict if isinstance(step, str) else list
        if not isinstance(document, expected):
            raise Unfit(f"{describe(document)} came on the path, where {_article(_JSON_NAMES[expected])} is needed")
        if isinstance(document, dict):
            document = document.get(step, MISSING)
        else:
            document = document[step] if isinstance(step, int) and step < len(document) else MISSING
        if document is MISSING:
            return MISSING
    return document


def parse_body(body: bytes) -> Any:
    """Raises ValueError for what is not JSON (NaN and Infinity are not) or nests too deep to be read."""
    try:
        return json.loads(body, parse_float=Decimal, parse_constant=_no_constant)
    except (RecursionError, ArithmeticError) as exc:
        raise ValueError("beyond what can be read") from exc


def describe(value: Any) -> str:
    """The JSON type of a value, with its article."""
    return "null" if value is None else _article(_JSON_NAMES.get(type(value), "value"))


def parse_type(text: str) -> pa.DataType:
    """The Arrow type of a spelling such as int64, decimal(12,2) or list<string>. Raises ValueError."""
    match = _TYPE.fullmatch(text.strip())
    if match and match["item"] and match["name"] == "list":
        return pa.list_(parse_type(match["item"]))
    if match and match["precision"] and match["name"] == "decimal":
        precision, scale = int(match["precision"]), int(match["scale"])
        if not 0 <= scale <= precision <= 38 or precision == 0:
            raise ValueError("a decimal has 1 to 38 digits, and no more behind the point than in all")
        return pa.decimal128(precision, scale)
    if text.strip() in _ARROW_NAMES:
        return _ARROW_NAMES[text.strip()]
    raise ValueError(f"no column type; known: {', '.join(TYPE_NAMES)}")


@cache
def converter(spelling: str) -> Convert:
    """The function that takes a non-null JSON value to the Python value that pyarrow stores, or raises Unfit."""
    kind = parse_type(spelling)
    name = spelling.strip()
    if name.startswith("list<"):
        return _list_of(converter(name[5:-1]))
    if pa.types.is_decimal(kind):
        return _decimal(kind.precision, kind.scale)
    if name in _INTEGERS:
        return _integer(*_INTEGERS[name])
    simple: dict[str, Convert] = {
        "string": _string,
        "double": _double,
        "bool": _bool,
        "date": _date,
        "timestamp": _timestamp,
        "timestamptz": _timestamptz,
        "json": json_text,
    }
    return simple[name]


def to_array(
    records: Sequence[Any], path: JsonPath, kind: pa.DataType, convert: Convert, nullable: bool
) -> pa.Array[Any]:
    """One column of a page. A missing key is NULL, like null. Raises Unfit."""
    values: list[Any] = []
    for record in records:
        value = find(record, path)
        if value is None or value is MISSING:
            if not nullable:
                raise Unfit("no value came, and it is declared not to be null")
            values.append(None)
        else:
            values.append(convert(value))
    try:
        return pa.array(values, kind)
    except UnicodeEncodeError as exc:
        raise Unfit("a string came that is not Unicode text (half of a surrogate pair)") from exc


def json_text(value: Any) -> str:
    """A parsed value as JSON text again, every digit kept."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json_text(key)}: {json_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(json_text, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aio' else 'a'} {noun}"


def _clash(value: Any) -> Unfit:
    return Unfit(f"{describe(value)} came")


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise _clash(value)
    return value


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _clash(value)
    return value


def _integer(signed: bool, bits: int) -> Convert:
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)

    def convert(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise _clash(value)
        if not low <= value <= high:
            raise _TooLarge("a number came that is outside its range")
        if value != int(value):
            raise Unfit("a number with a fraction came")
        return int(value)

    return convert


def _double(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise _clash(value)
    try:
        result = float(value)
    except OverflowError:
        result = math.inf
    if math.isinf(result):
        raise _TooLarge("a number came that is outside its range")
    return result


def _decimal(precision: int, scale: int) -> Convert:
    exactly = Context(prec=precision, traps=[Inexact, InvalidOperation])
    unit = Decimal(1).scaleb(-scale)

    def convert(value: Any) -> Decimal:
        # Money often travels as text, because JSON numbers become binary floats elsewhere.
        if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
            raise _clash(value)
        if isinstance(value, str) and not _NUMBER.fullmatch(value):
            raise Unfit("a string came that is no number")
        try:
            return Decimal(value).quantize(unit, context=exactly)
        except (Inexact, InvalidOperation) as exc:
            raise _TooLarge("a number came with more digits than it has room for") from exc

    return convert


def _date(value: Any) -> dt.date:
    try:
        return dt.date.fromisoformat(_string(value))
    except ValueError as exc:
        raise Unfit("a string came that is no ISO 8601 date") from exc


def _timestamp(value: Any) -> dt.datetime:
    moment = _moment(value)
    if moment.tzinfo is not None:
        raise Unfit("a point in time came with a UTC offset, which timestamptz would hold")
    return moment


def _timestamptz(value: Any) -> dt.datetime:
    moment = _moment(value)
    if moment.tzinfo is None:
        raise Unfit("a point in time came without a UTC offset, which timestamp would hold")
    try:
        return moment.astimezone(dt.UTC)
    except OverflowError as exc:
        raise _TooLarge("a point in time came that is outside its range") from exc


def _moment(value: Any) -> dt.datetime:
    text = _string(value)
    if _BEYOND_MICROSECONDS.search(text):
        raise Unfit("a point in time came that is finer than a microsecond, which string would hold")
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError as exc:
        raise Unfit("a string came that is no ISO 8601 point in time") from exc


def _list_of(item: Convert) -> Convert:
    def convert(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise _clash(value)
        return [None if element is None else item(element) for element in value]

    return convert
