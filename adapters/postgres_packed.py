"""Many rows in one: a large scan of fixed-width columns, each column of a range of pages as one binary string.

The driver spends about 30 ns on each value of a COPY, more than the server. So the server joins the binary forms of a
column, `string_agg(int8send(x), '')`, one row for a range of pages, and here only the byte order is turned. All
aggregates of a statement see the rows in the same order. NULL has no binary form: a column that may hold it brings a
second string, of truth values.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from adapters.postgres_types import Travel

PAGES = 2000  # of one statement: its row is a few megabytes
_DAYS = pa.scalar(10957, pa.int32())  # from 1970 to 2000, the epoch of PostgreSQL
_MICROSECONDS = pa.scalar(946_684_800_000_000, pa.int64())


@dataclass(frozen=True, slots=True)
class Code:
    """`send` and `zero` are SQL, `letter` is of the module array."""

    send: str
    zero: str
    letter: str
    nullable: bool


@dataclass(frozen=True, slots=True)
class Packed:
    """A part of a scan: `island` ends in the column ctid, `stop` is None for the last part."""

    island: str
    codes: tuple[Code, ...]
    columns: tuple[Travel, ...]
    start: int
    stop: int | None
    pages: int  # as many as were there when it was planned; the last statement has no end

    def statements(self) -> Iterator[str]:
        names = [f"c{number}" for number in range(len(self.codes))]
        selected = []
        for name, code, travel in zip(names, self.codes, self.columns, strict=True):
            value = travel.select(f"q.{name}")
            value = f"coalesce({value}, {code.zero})" if code.nullable else value
            selected.append(f"string_agg(pg_catalog.{code.send}({value}), '')")
            if code.nullable:
                selected.append(f"string_agg(pg_catalog.boolsend(q.{name} IS NOT NULL), '')")
        rows = f"SELECT {', '.join(selected)} FROM ({self.island}) AS q ({', '.join(names)}, page)"
        end = self.pages if self.stop is None else self.stop
        for first in range(self.start, end, PAGES):
            last = f" AND q.page < '({min(first + PAGES, end)},0)'::tid"
            open_end = self.stop is None and first + PAGES >= end
            yield f"{rows} WHERE q.page >= '({first},0)'::tid{'' if open_end else last}"

    def unpack(self, row: pa.RecordBatch) -> list[Any] | None:
        """The columns as the driver would have delivered them; None for no rows."""
        strings = iter([column[0] for column in row.columns])
        arrays = []
        for code, travel in zip(self.codes, self.columns, strict=True):
            string = next(strings)
            if not string.is_valid:
                return None
            values = array(code.letter)
            values.frombytes(string.as_buffer())
            if sys.byteorder == "little":
                values.byteswap()
            present = next(strings).as_buffer() if code.nullable else None
            arrays.append(_build(travel.type, values, present))
        return arrays


def codes(columns: Sequence[Travel], nullable: Sequence[bool]) -> tuple[Code, ...] | None:
    """None when a column is not of a fixed width."""
    found = tuple(_code(each.type, null) for each, null in zip(columns, nullable, strict=True))
    known = tuple(each for each in found if each is not None)
    return known if known and len(known) == len(found) else None


def _code(kind: pa.DataType, nullable: bool) -> Code | None:
    for test, send, zero, letter in _CODES:
        if test(kind):
            return Code(send, zero, letter, nullable)
    return None


def _build(kind: pa.DataType, values: array[Any], present: pa.Buffer | None) -> Any:
    valid = None
    if present is not None:
        flags: Any = pa.Array.from_buffers(pa.uint8(), len(values), [None, present])
        valid = flags.cast(pa.bool_()).buffers()[1]
    shift = _DAYS if pt.is_date32(kind) else _MICROSECONDS if pt.is_timestamp(kind) else None
    stored = shift.type if shift is not None else pa.int64() if pt.is_decimal(kind) else kind
    made: Any = pa.Array.from_buffers(stored, len(values), [valid, pa.py_buffer(values)])
    if shift is None:
        return made
    shifted: Any = pc.add(made, shift)  # wraps, as the driver does
    return shifted.view(pa.timestamp("us", "UTC") if getattr(kind, "tz", None) else kind)


_CODES = (
    (pt.is_int16, "int2send", "0::int2", "h"),
    (pt.is_int32, "int4send", "0", "i"),
    (pt.is_int64, "int8send", "0", "q"),
    (pt.is_decimal64, "int8send", "0", "q"),
    (pt.is_float32, "float4send", "0::float4", "f"),
    (pt.is_float64, "float8send", "0::float8", "d"),
    (pt.is_date32, "date_send", "'2000-01-01'::date", "i"),
    (lambda kind: bool(kind == pa.timestamp("us")), "timestamp_send", "'2000-01-01'::timestamp", "q"),
    (
        lambda kind: pt.is_timestamp(kind) and bool(kind.tz),
        "timestamptz_send",
        "'2000-01-01'::timestamptz",
        "q",
    ),
)
