"""What is wrong with a value, with PostgreSQL's SQLSTATEs."""

from __future__ import annotations

from adapters.errors import ConversionError, DataError, NumericOutOfRange


class InvalidBinary(DataError, sqlstate="22P03"):
    """A value in binary form has not the length or the parts that its type has."""


class InvalidEncoding(DataError, sqlstate="22021"):
    """A text is not UTF-8, or holds a NUL."""


def syntax(kind: str, text: str) -> ConversionError:
    return ConversionError(f'invalid input syntax for type {kind}: "{text}"')


def out_of_range(kind: str, text: str) -> NumericOutOfRange:
    return NumericOutOfRange(f'value "{text}" is out of range for type {kind}')
