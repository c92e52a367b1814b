"""Values as text, exactly: what the command line prints, and what goes into CSV and JSON.

Everything works on whole Arrow arrays and returns string arrays of the same length. Dates, times and numbers are
spelled as DuckDB spells them, so that their text can be cast back:

* decimals and integers never pass through a float, floats are the shortest text that reads back equal; in JSON,
  decimals with a fraction and whole numbers beyond 2^53 are strings (RFC 7493)
* timestamps are ISO 8601; those with a zone carry their offset; years outside 1 to 9999 and infinity as in DuckDB
* intervals are ISO 8601 durations, bytes are `\\x` and hexadecimal digits as in PostgreSQL
* lists, structs and maps are JSON
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute

from federation.nested import Values, list_rows, map_rows, struct_rows

pc: Any = pyarrow.compute  # its stubs do not know that arrays mix with Python scalars

MAX_JSON_INTEGER = 2**53 - 1  # beyond it, common JSON readers lose digits
DAYS_IN_400_YEARS = 146_097
EPOCH = datetime.date(1970, 1, 1)
FIRST_DAY = (datetime.date.min - EPOCH).days
LAST_DAY = (datetime.date.max - EPOCH).days
PER_DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}
UTC_NAMES = frozenset({"UTC", "Etc/UTC", "+00:00"})
FEW_VALUES = 16
_escape: Callable[[str], str] = json.encoder.encode_basestring


def to_text(array: Values, separator: str = " ") -> Values:
    """One text per value, null for null. `separator` stands between the date and the time of a timestamp."""
    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        return _extension_text(array, separator)
    if pa.types.is_dictionary(kind):
        return to_text(array.dictionary_decode(), separator)
    if pa.types.is_timestamp(kind):
        return _timestamp_text(array, separator)
    if pa.types.is_nested(kind):
        return pc.if_else(array.is_valid(), json_text(array), pa.scalar(None, pa.string()))
    for matches, convert in _TEXT:
        if matches(kind):
            return convert(array)
    return array.cast(pa.string())


def json_text(array: Values) -> Values:
    """One JSON text per value, `null` for null."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        return json_text(array.dictionary_decode())
    if isinstance(kind, pa.JsonType):
        texts = _strings(_embedded(text) for text in array.storage.to_pylist())
    elif pa.types.is_nested(kind):
        texts = _nested_json(array)
    elif pa.types.is_integer(kind) or (pa.types.is_decimal(kind) and kind.scale == 0):
        texts = to_text(array)
        if kind.bit_width >= 64:
            texts = pc.if_else(_is_wide(array), _in_quotes(texts), texts)
    elif pa.types.is_boolean(kind):
        texts = array.cast(pa.string())
    elif pa.types.is_floating(kind):
        texts = to_text(array)
        texts = pc.if_else(pc.is_finite(array), texts, _in_quotes(texts))
    else:
        texts = _strings(None if text is None else _escape(text) for text in to_text(array, "T").to_pylist())
    return texts.fill_null("null")


def json_texts(array: Values) -> list[str]:
    """As `json_text`; of few values of the plain types sooner than Arrow makes its arrays."""
    plain = _PLAIN_JSON.get(array.type.id) if len(array) <= FEW_VALUES else None
    if plain is not None:
        return ["null" if value is None else plain(value) for value in array.to_pylist()]
    texts: list[str] = json_text(array).to_pylist()
    return texts


def _json_integer(value: int) -> str:
    return str(value) if -MAX_JSON_INTEGER <= value <= MAX_JSON_INTEGER else f'"{value}"'


def _json_boolean(value: bool) -> str:
    return "true" if value else "false"


def _strings(values: Iterable[str | None]) -> Values:
    return pa.array(values, pa.string())


def _in_quotes(texts: Values) -> Values:
    return pc.binary_join_element_wise('"', texts, '"', "")


def _is_wide(array: Values) -> Values:
    wide = pc.greater(array, pa.scalar(MAX_JSON_INTEGER, array.type))
    if pa.types.is_unsigned_integer(array.type):
        return wide
    return pc.or_(wide, pc.less(array, pa.scalar(-MAX_JSON_INTEGER, array.type)))


def _embedded(text: str | None) -> str | None:
    """JSON as it came, on one line; a text that is no JSON (a source may lie) becomes a JSON string."""
    if text is None:
        return None
    try:
        json.loads(text, parse_int=str, parse_float=str, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return _escape(text)
    return text.replace("\n", " ").replace("\r", " ")


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _nested_json(array: Values) -> Values:
    kind = array.type
    if pa.types.is_struct(kind):
        names = [_escape(kind.field(i).name) for i in range(kind.num_fields)]
        rows = struct_rows(array, _json_list)
        texts = ["{" + ", ".join(f"{n}: {v}" for n, v in zip(names, row, strict=True)) + "}" for row in rows]
    elif pa.types.is_map(kind):
        entries = map_rows(array, lambda keys: to_text(keys, "T").to_pylist(), _json_list)
        texts = ["{" + ", ".join(f"{_escape(k)}: {v}" for k, v in row) + "}" for row in entries]
    else:
        texts = ["[" + ", ".join(row) + "]" for row in list_rows(array, _json_list)]
    return pc.if_else(array.is_valid(), _strings(texts), pa.scalar(None, pa.string()))


def _json_list(array: Values) -> list[str]:
    texts: list[str] = json_text(array).to_pylist()
    return texts


def _extension_text(array: Values, separator: str) -> Values:
    kind = array.type
    if isinstance(kind, pa.UuidType):
        return _strings(None if value is None else str(value) for value in array.to_pylist())
    return to_text(array.storage, separator)


def _float_text(array: Values) -> Values:
    texts = pc.replace_substring_regex(array.cast(pa.string()), r"^(-?\d+)$", r"\1.0")
    texts = pc.replace_substring_regex(texts, "^nan$", "NaN")
    return pc.replace_substring_regex(texts, "inf$", "Infinity")


def _decimal_text(array: Values) -> Values:
    texts = array.cast(pa.string())
    scientific = pc.match_substring(texts, "E")
    if not pc.any(scientific).as_py():
        return texts
    return _strings(None if text is None else f"{Decimal(text):f}" for text in texts.to_pylist())


def _bytes_text(array: Values) -> Values:
    return _strings(None if value is None else "\\x" + value.hex() for value in array.to_pylist())


def _interval_text(array: Values) -> Values:
    return _strings(None if value is None else iso_interval(*value) for value in array.to_pylist())


def iso_interval(months: int, days: int, nanoseconds: int) -> str:
    """An ISO 8601 duration; each part carries its own sign, as in PostgreSQL."""
    years, months = divmod(abs(months), 12) if months >= 0 else (-part for part in divmod(-months, 12))
    date = "".join(f"{n}{unit}" for n, unit in ((years, "Y"), (months, "M"), (days, "D")) if n)
    sign = "-" if nanoseconds < 0 else ""
    seconds, fraction = divmod(abs(nanoseconds), 10**9)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    time = "".join(f"{sign}{n}{unit}" for n, unit in ((hours, "H"), (minutes, "M")) if n)
    if seconds or fraction:
        digits = f".{fraction:09}".rstrip("0") if fraction else ""
        time += f"{sign}{seconds}{digits}S"
    return f"P{date}{'T' if time else ''}{time}" if date or time else "PT0S"


def _time_text(array: Values) -> Values:
    midnight = pc.equal(array.cast(pa.int64() if array.type.bit_width == 64 else pa.int32()), PER_DAY[array.type.unit])
    texts = pc.if_else(midnight, pa.scalar(None, array.type), array).cast(pa.string())
    return pc.if_else(midnight, "24:00:00", _without_zeros(texts))


def _without_zeros(texts: Values) -> Values:
    """A fraction of a second without its trailing zeros."""
    return pc.replace_substring_regex(pc.replace_substring_regex(texts, r"(\.\d*?)0+$", r"\1"), r"\.$", "")


def _date_text(array: Values) -> Values:
    array = array.cast(pa.date32())
    return _with_far(array, array.cast(pa.int32()), 1, lambda near: near.cast(pa.string()), _far_date)


def _timestamp_text(array: Values, separator: str) -> Values:
    unit, zone = array.type.unit, array.type.tz

    def near_text(near: Values) -> Values:
        if zone is None or zone in UTC_NAMES:
            texts = _without_zeros(near.cast(pa.timestamp(unit)).cast(pa.string()))
            offset: Values = "" if zone is None else "+00:00"
        else:
            whole = near.cast(pa.string())
            texts = _without_zeros(pc.utf8_slice_codeunits(whole, 0, -5))
            offset = pc.replace_substring_regex(pc.utf8_slice_codeunits(whole, -5), r"^(...)", r"\1:")
        if separator != " ":
            texts = pc.replace_substring(texts, " ", separator, max_replacements=1)
        return pc.binary_join_element_wise(texts, offset, "")

    def far_text(value: int) -> str:
        days, rest = divmod(value, PER_DAY[unit])
        text = _far_date(days) if abs(value) < 2**63 - 1 else "infinity" if value > 0 else "-infinity"
        if text.endswith("infinity"):
            return text
        seconds, fraction = divmod(rest, PER_DAY[unit] // 86_400)
        digits = f".{fraction:0{DIGITS[unit]}}".rstrip("0") if fraction else ""
        time = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{digits}"
        return f"{text} {time}{'' if zone is None else '+00:00'}"

    return _with_far(array, array.cast(pa.int64()), PER_DAY[unit], near_text, far_text)


def _with_far(
    array: Values,
    numbers: Values,
    per_day: int,
    near_text: Callable[[Values], Values],
    far_text: Callable[[int], str],
) -> Values:
    """`near_text` for the years 1 to 9999, `far_text` value by value for the others, which Arrow cannot print."""
    last = min((LAST_DAY + 1) * per_day - 1, 2**63 - 2)
    first = max(FIRST_DAY * per_day, -(2**63) + 2)
    far = pc.or_(pc.less(numbers, first), pc.greater(numbers, last))
    if not pc.any(far).as_py():
        return near_text(array)
    texts = near_text(pc.if_else(far, pa.scalar(None, array.type), array)).to_pylist()
    for index, (is_far, number) in enumerate(zip(far.to_pylist(), numbers.to_pylist(), strict=True)):
        if is_far:
            texts[index] = far_text(number)
    return _strings(texts)


def _far_date(days: int) -> str:
    """The Gregorian calendar repeats every 400 years, which brings any day into the range of `datetime`."""
    if abs(days) == 2**31 - 1:
        return "infinity" if days > 0 else "-infinity"
    cycles, rest = divmod(days, DAYS_IN_400_YEARS)
    day = EPOCH + datetime.timedelta(rest)
    year = day.year + 400 * cycles
    return f"{year:04}-{day:%m-%d}" if year > 0 else f"{1 - year:04}-{day:%m-%d} (BC)"


_TEXT: tuple[tuple[Callable[[pa.DataType], bool], Callable[[Values], Values]], ...] = (
    (pa.types.is_floating, _float_text),
    (pa.types.is_decimal, _decimal_text),
    (pa.types.is_date, _date_text),
    (pa.types.is_time, _time_text),
    (pa.types.is_binary, _bytes_text),
    (pa.types.is_large_binary, _bytes_text),
    (pa.types.is_fixed_size_binary, _bytes_text),
    (pa.types.is_binary_view, _bytes_text),
    (pa.types.is_interval, _interval_text),
)
_PLAIN_JSON: dict[int, Callable[[Any], str]] = {
    **dict.fromkeys((each.id for each in (pa.int8(), pa.int16(), pa.int32(), pa.int64())), _json_integer),
    **dict.fromkeys((each.id for each in (pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())), _json_integer),
    **dict.fromkeys((each.id for each in (pa.string(), pa.large_string())), _escape),
    pa.bool_().id: _json_boolean,
}
