"""COPY … TO STDOUT: rows as text, CSV or binary, each in a CopyData message of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from adapters.errors import ColumnNotFound
from federation.pgwire.copy_options import CopyOptions
from federation.pgwire.encoder import binary_rows, message_length, slices
from federation.pgwire.encoding.columns import column_encoders
from federation.pgwire.encoding.segments import (
    Column,
    Numbers,
    Part,
    Spans,
    Values,
    data_of,
    evened,
    join,
    lengths,
    pc,
    stream,
    varying,
)
from federation.pgwire.style import Style
from federation.pgwire.types import PgType

_TAG = b"d"
_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # no flags, no extension
_END = b"\xff\xff"
_LETTERS = {b"\b": b"\\b", b"\f": b"\\f", b"\n": b"\\n", b"\r": b"\\r", b"\t": b"\\t", b"\v": b"\\v"}


class CopyEncoder:
    """`header`, then each batch, then `trailer`. Raises ColumnNotFound for a column to be quoted that is not there,
    NotSupportedError for a type that has no binary form."""

    def __init__(self, schema: pa.Schema, types: Sequence[PgType], options: CopyOptions, style: Style) -> None:
        for name in options.force_quote:
            if name != "*" and name not in schema.names:
                raise ColumnNotFound(f'column "{name}" does not exist')
        self._options = options
        self._names = schema.names
        self._binary = options.format == "binary"
        self._columns = column_encoders(schema, types, [int(self._binary)], style)
        self._pending = _SIGNATURE if self._binary else b""  # shares a message with the first row

    def header(self) -> bytes:
        """The names of the columns, if they are asked for."""
        if not self._options.header:
            return b""
        names = [Column(_name(name), None) for name in self._names]
        return bytes(self._lines(names, 1, forced=False))

    def encode(self, batch: pa.RecordBatch) -> Iterator[memoryview | bytes]:
        """As RowEncoder.encode."""
        if self._pending and batch.num_rows:
            first = binary_rows(_TAG, self._columns, batch.slice(0, 1))
            yield _message(self._pending + bytes(first[5:]))
            self._pending = b""
            batch = batch.slice(1)
        for part in slices(batch):
            if self._binary:
                yield binary_rows(_TAG, self._columns, part)
            else:
                columns = [encode(array) for encode, array in zip(self._columns, part.columns, strict=True)]
                yield self._lines(columns, part.num_rows, forced=True)

    def trailer(self) -> bytes:
        """What ends the binary format."""
        return _message(self._pending + _END) if self._binary else b""

    def _lines(self, columns: Sequence[Column], rows: int, forced: bool) -> memoryview:
        parts: list[Part] = []
        total: Numbers | int = 4
        for name, column in zip(self._names, columns, strict=True):
            values = evened(self._protected(column, forced and self._is_forced(name)))
            total = total + lengths(values) + 1
            parts += [values, self._options.delimiter.encode()]
        parts[-1] = b"\n"
        return stream([_TAG, message_length(total), *parts], rows)

    def _is_forced(self, name: str) -> bool:
        return "*" in self._options.force_quote or name in self._options.force_quote

    def _protected(self, column: Column, forced: bool) -> Values:
        """The texts so that they cannot be taken for anything else, and the one that stands for NULL."""
        options = self._options
        null = options.null.encode()
        if options.format == "csv":
            values = _quoted(column.values, options, forced, alone=len(self._names) == 1)
        else:
            values = _escaped(column.values, options.delimiter.encode())
        return Column(values, column.null).filled(null)


def _name(name: str) -> Values:
    return np.frombuffer(name.encode(), np.uint8).reshape(1, -1)


def _message(body: bytes) -> bytes:
    return _TAG + (len(body) + 4).to_bytes(4, "big") + body


def _escaped(values: Values, delimiter: bytes) -> Values:
    """With a backslash before what is special in the text format."""
    present = _present(values, {b"\\", delimiter, *_LETTERS})
    if not present:
        return values
    escaped = varying(values)
    for each in sorted(present, reverse=True, key=lambda each: each == b"\\"):  # the others bring new ones
        escaped = pc.replace_substring(escaped, each, _LETTERS.get(each, b"\\" + each))
    return escaped


def _quoted(values: Values, options: CopyOptions, forced: bool, alone: bool) -> Values:
    """In quotes where something in it, or the value itself, would be read in another way."""
    quote, escape = options.quote.encode(), options.escape.encode()
    special = {options.delimiter.encode(), quote, b"\n", b"\r"}
    values = texts = varying(values)
    needed = pc.equal(texts, options.null.encode())
    if alone:
        needed = pc.or_(needed, pc.equal(texts, b"\\."))
    present = _present(values, special | {escape})
    if special & present:
        pattern = "[" + "".join(f"\\x{ord(each):02x}" for each in sorted(special)) + "]"
        needed = pc.or_(needed, pc.match_substring_regex(texts, pattern))
    if not forced and not pc.any(needed).as_py():
        return values
    inner = texts
    for each in sorted(present & {quote, escape}, key=lambda each: each != escape):  # the quotes bring new ones
        inner = pc.replace_substring(inner, each, escape + each)
    inner = join([quote, inner, quote], len(texts))
    return inner if forced else pc.if_else(needed, inner, texts)


def _present(values: Values, sought: set[bytes]) -> set[bytes]:
    """Which of some bytes there are anywhere in a column."""
    if isinstance(values, Spans):
        data = bytes(values.data)
        if not any(each in data for each in sought):
            return set()
    data = data_of(varying(values)).tobytes()
    return {each for each in sought if each in data}
