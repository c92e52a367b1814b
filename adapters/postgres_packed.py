"""Many rows in one: a large scan, each column of a range of pages as one string.

The driver spends about 30 ns on each value of a COPY, more than the server. So the server joins the binary forms of a
column, `string_agg(int8send(x), NULL)`, one row for a range of pages, and here only the byte order is turned. All
aggregates of a statement see the rows in the same order. NULL has no binary form: a column that may hold it brings a
second string, of truth values.

A declared decimal is joined as text, each value with a point behind it as well as within it. The server writes the
digits in half the time that it needs to make them an integer, and here they are read for a whole column at once.

Texts and bytes bring a second string with the length of each, -1 for NULL. They are those of columns whose values all
lie in the pages, so that a string has its limits.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from adapters.base import Column
from adapters.postgres_types import Travel, beyond

Values: TypeAlias = npt.NDArray[Any]

PAGES = 100  # of one row: the strings are small enough for the server to use the same memory again and again
SOON_PAGES = 4  # of the first statement of a scan, so that its rows need not wait for a whole batch
FILTERED_PAGES = 2000  # of one statement, where there is a condition
# The same where texts are joined: they are compressed to no less than a 255th, and the server joins up to 1 GB.
FILTERED_PAGES_OF_TEXTS = 500
_DAYS = pa.scalar(10957, pa.int32())  # from 1970 to 2000, the epoch of PostgreSQL
_MICROSECONDS = pa.scalar(946_684_800_000_000, pa.int64())
_POINT = b"."


@dataclass(frozen=True, slots=True)
class Fixed(ABC):
    """Values of a fixed width, or digits; where they may be NULL, a second string says which are there."""

    travel: Travel

    def select(self, column: str, nullable: bool) -> list[str]:
        present = [f"string_agg(pg_catalog.boolsend({column} IS NOT NULL), NULL)"] if nullable else []
        return [self.joined(column, nullable), *present]

    def array(self, strings: Iterator[pa.Buffer], nullable: bool) -> Any:
        values = self.values(next(strings))
        valid = _bits(next(strings), len(values)) if nullable else None
        return _build(self.travel.type, values, valid)

    @abstractmethod
    def joined(self, column: str, nullable: bool) -> str: ...

    @abstractmethod
    def values(self, joined: pa.Buffer) -> Values: ...


@dataclass(frozen=True, slots=True)
class Binary(Fixed):
    """`send` and `zero` are SQL, `sent` is numpy's name of what arrives."""

    send: str
    zero: str
    sent: str

    def joined(self, column: str, nullable: bool) -> str:
        value = self.travel.select(column)
        value = f"coalesce({value}, {self.zero})" if nullable else value
        return f"string_agg(pg_catalog.{self.send}({value}), NULL)"

    def values(self, joined: pa.Buffer) -> Values:
        return np.frombuffer(memoryview(joined), f">{self.sent}").astype(f"={self.sent}")


@dataclass(frozen=True, slots=True)
class Digits(Fixed):
    """Numbers, all of them with the declared number of digits after the point."""

    def joined(self, column: str, nullable: bool) -> str:
        value = f"{column}::text"
        value = f"coalesce({value}, '{0:.{self.travel.type.scale}f}')" if nullable else value
        return f"string_agg({value}, '.') || '.'"

    def values(self, joined: pa.Buffer) -> Values:
        """Scaled integers. Raises Misfit for what is not such a number, NaN for instance."""
        scale = self.travel.type.scale
        sent = np.frombuffer(memoryview(joined), np.uint8)
        points = np.flatnonzero(sent == ord(_POINT))
        each = 2 if scale else 1  # points of a value
        ends = points[each - 1 :: each]
        complete = sent[-1] == ord(_POINT) and len(points) == each * len(ends)
        if not complete or (scale and (ends - points[::2] != scale + 1).any()):
            raise beyond(self.travel.type)
        offsets = np.zeros(len(ends) + 1, np.int32)  # without the points
        offsets[1:] = ends - np.arange(each - 1, len(points), each)
        digits = joined.to_pybytes().translate(None, _POINT)
        texts: Any = pa.StringArray.from_buffers(len(ends), _buffer(offsets), _buffer(digits))
        try:
            numbers: Values = texts.cast(pa.int64()).to_numpy()
        except pa.ArrowInvalid as exc:
            raise beyond(self.travel.type) from exc
        return numbers


@dataclass(frozen=True, slots=True)
class Varying:
    """Texts or bytes, of the type `kind`."""

    travel: Travel
    kind: pa.DataType

    def select(self, column: str, nullable: bool) -> list[str]:
        value = self.travel.select(column)
        empty, between = ("''::bytea", "NULL") if pt.is_binary(self.kind) else ("''", "''")
        joined = f"coalesce({value}, {empty})" if nullable else value
        size = f"pg_catalog.octet_length({value})"
        size = f"coalesce({size}, -1)" if nullable else size
        return [f"string_agg({joined}, {between})", f"string_agg(pg_catalog.int4send({size}), NULL)"]

    def array(self, strings: Iterator[pa.Buffer], nullable: bool) -> Any:
        joined, sizes = next(strings), np.frombuffer(memoryview(next(strings)), ">i4")
        null = sizes < 0 if nullable else None
        offsets = np.zeros(len(sizes) + 1, np.int32)
        np.cumsum(sizes if null is None else np.maximum(sizes, 0), out=offsets[1:])
        if offsets[-1] != joined.size:
            raise AssertionError(f"{joined.size} bytes came for {offsets[-1]}")
        valid = _bits(~null, len(sizes)) if null is not None else None
        return pa.Array.from_buffers(self.kind, len(sizes), [valid, _buffer(offsets), joined])


Code: TypeAlias = Binary | Digits | Varying


@dataclass(frozen=True, slots=True)
class Packed:
    """A part of a scan: `island` ends in the column ctid, `stop` is None for the last part."""

    island: str
    codes: tuple[Code, ...]
    nullable: tuple[bool, ...]
    filtered: bool
    start: int
    stop: int | None
    pages: int  # as many as were there when it was planned; the last statement has no end

    def statements(self) -> Iterator[str]:
        """One for all ranges, unless there is a condition, for which an index may be the better way: in which case
        every range is planned by itself, as the planner knows nothing of a range that comes from another table."""
        start, end = self.start, self.pages if self.stop is None else self.stop
        rows = self._rows()
        if not start:
            start = SOON_PAGES
            yield f"{rows} WHERE q.page < {_tid(start)}"
        if self.filtered:
            varying = any(isinstance(code, Varying) for code in self.codes)
            step = FILTERED_PAGES_OF_TEXTS if varying else FILTERED_PAGES
            for first in range(start, end, step):
                yield f"{rows} WHERE q.page >= {_tid(first)} AND q.page < {_tid(min(first + step, end))}"
        else:
            tid = "pg_catalog.format('(%s,0)', {})::tid"
            bounds = f"{tid.format('page')} AS first, {tid.format(f'least(page + {PAGES}, {end})')} AS next"
            pages = f"SELECT {bounds} FROM pg_catalog.generate_series({start}, {end - 1}, {PAGES}) AS page"
            joined = f"{rows} WHERE q.page >= r.first AND q.page < r.next"
            yield f"SELECT joined.* FROM ({pages}) AS r, LATERAL ({joined}) AS joined"
        if self.stop is None:
            yield f"{rows} WHERE q.page >= {_tid(end)}"

    def _rows(self) -> str:
        names = [f"c{number}" for number in range(len(self.codes))]
        selected = []
        for name, code, nullable in zip(names, self.codes, self.nullable, strict=True):
            selected += code.select(f"q.{name}", nullable)
        return f"SELECT {', '.join(selected)} FROM ({self.island}) AS q ({', '.join(names)}, page)"

    def unpack(self, batch: pa.RecordBatch) -> Iterator[Any]:
        """The columns as the driver would have delivered them, of a batch that is not empty."""
        strings = (_joined(column) for column in batch.columns)
        for code, nullable in zip(self.codes, self.nullable, strict=True):
            yield code.array(strings, nullable)


def is_empty(batch: pa.RecordBatch) -> bool:
    """Whether there was no row in these ranges of pages: each has given NULLs."""
    return batch.column(0).null_count == batch.num_rows


def _tid(page: int) -> str:
    return f"'({page},0)'::tid"


def _joined(column: Any) -> pa.Buffer:
    """All strings of a column in one."""
    _, offsets, data = column.buffers()
    first, last = np.frombuffer(offsets, np.int32)[[column.offset, column.offset + len(column)]]
    sliced: pa.Buffer = data.slice(first, last - first) if data is not None else pa.py_buffer(b"")
    return sliced


def codes(columns: Sequence[Travel], declared: Sequence[Column | None], *, with_texts: bool) -> tuple[Code, ...] | None:
    """None when a column cannot be joined; `with_texts` says of those of texts and bytes that they can. `declared` has
    None for what is computed."""
    found = tuple(_code(travel, column, with_texts) for travel, column in zip(columns, declared, strict=True))
    known = tuple(each for each in found if each is not None)
    return known if known and len(known) == len(found) else None


def _code(travel: Travel, declared: Column | None, with_texts: bool) -> Code | None:
    kind = travel.type
    if declared is not None and pt.is_decimal64(kind) and declared.type == pa.decimal128(kind.precision, kind.scale):
        return Digits(travel)  # the server keeps every value at that scale
    if declared is not None and with_texts and (pt.is_string(kind) or pt.is_binary(kind)):
        return Varying(travel, kind)
    return next((Binary(travel, send, zero, sent) for test, send, zero, sent in _BINARY if test(kind)), None)


def _buffer(values: Any) -> pa.Buffer:
    return pa.py_buffer(values)


def _bits(flags: Any, count: int) -> pa.Buffer | None:
    """Truth values, of a byte each, as Arrow has them."""
    each: Any = pa.Array.from_buffers(pa.uint8(), count, [None, _buffer(flags)])
    bits: pa.Buffer | None = each.cast(pa.bool_()).buffers()[1]
    return bits


def _build(kind: pa.DataType, values: Values, valid: pa.Buffer | None) -> Any:
    if pt.is_boolean(kind):
        return pa.Array.from_buffers(kind, len(values), [valid, _bits(values, len(values))])
    if isinstance(kind, pa.UuidType):
        stored: Any = pa.Array.from_buffers(kind.storage_type, len(values), [valid, _buffer(values)])
        return kind.wrap_array(stored)
    shift = _DAYS if pt.is_date32(kind) else _MICROSECONDS if pt.is_timestamp(kind) else None
    type_ = shift.type if shift is not None else pa.int64() if pt.is_decimal(kind) else kind
    made: Any = pa.Array.from_buffers(type_, len(values), [valid, _buffer(values)])
    if shift is None:
        return made
    shifted: Any = pc.add(made, shift)  # wraps, as the driver does
    return shifted.view(pa.timestamp("us", "UTC") if getattr(kind, "tz", None) else kind)


_BINARY = (
    (pt.is_boolean, "boolsend", "false", "u1"),
    (
        lambda kind: isinstance(kind, pa.UuidType),
        "uuid_send",
        "'00000000-0000-0000-0000-000000000000'::uuid",
        "V16",
    ),
    (pt.is_int16, "int2send", "0::int2", "i2"),
    (pt.is_int32, "int4send", "0", "i4"),
    (pt.is_int64, "int8send", "0", "i8"),
    (pt.is_decimal64, "int8send", "0", "i8"),
    (pt.is_float32, "float4send", "0::float4", "f4"),
    (pt.is_float64, "float8send", "0::float8", "f8"),
    (pt.is_date32, "date_send", "'2000-01-01'::date", "i4"),
    (lambda kind: bool(kind == pa.timestamp("us")), "timestamp_send", "'2000-01-01'::timestamp", "i8"),
    (
        lambda kind: pt.is_timestamp(kind) and bool(kind.tz),
        "timestamptz_send",
        "'2000-01-01'::timestamptz",
        "i8",
    ),
)
