"""Arrays taken apart: `{{1,2},{3,NULL}}` and the binary form, into lists of their elements' texts or bytes."""

from __future__ import annotations

import re
import struct
from typing import TypeAlias, TypeVar

from adapters.errors import ConversionError
from federation.pgwire.decoding.errors import InvalidBinary
from federation.pgwire.types import MOST_DIMENSIONS

T = TypeVar("T")
Nested: TypeAlias = "list[Nested[T] | T | None]"  # as deep as the array has dimensions, but for an empty one

_SPACE = " \t\n\r\v\f"
_BOUNDS = re.compile(r"\s*(?:\[[+-]?\d+(?::[+-]?\d+)?\])+\s*=\s*", re.ASCII)
_PLAIN = re.compile(r'(?:\\.|[^{}",\\])+', re.DOTALL)
_QUOTED = re.compile(r'"((?:\\.|[^"\\])*)"', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def array_of_text(text: str) -> Nested[str]:
    """Raises ConversionError for what PostgreSQL would not take. The lower bounds of the dimensions are of no use."""
    bounds = _BOUNDS.match(text)
    reader = _Reader(text, bounds.end() if bounds else 0)
    reader.skip()
    made = reader.dimension(1)
    reader.skip()
    if reader.at != len(text):
        raise reader.malformed()
    shape = _shape(made)
    if shape is None or 0 in shape[1:]:
        raise reader.malformed()
    return made


class _Reader:
    def __init__(self, text: str, at: int) -> None:
        self.text = text
        self.at = at

    def malformed(self) -> ConversionError:
        return ConversionError(f'malformed array literal: "{self.text}"')

    def skip(self) -> None:
        while self.at < len(self.text) and self.text[self.at] in _SPACE:
            self.at += 1

    def take(self, wanted: str) -> bool:
        found = self.text.startswith(wanted, self.at)
        self.at += len(wanted) if found else 0
        return found

    def dimension(self, depth: int) -> Nested[str]:
        if not self.take("{") or depth > MOST_DIMENSIONS:
            raise self.malformed()
        items: Nested[str] = []
        self.skip()
        if self.take("}"):
            return items
        while True:
            self.skip()
            items.append(self.dimension(depth + 1) if self.text.startswith("{", self.at) else self.element())
            self.skip()
            if self.take("}"):
                return items
            if not self.take(","):
                raise self.malformed()

    def element(self) -> str | None:
        if quoted := _QUOTED.match(self.text, self.at):
            self.at = quoted.end()
            return _ESCAPED.sub(r"\1", quoted[1])
        plain = _PLAIN.match(self.text, self.at)
        if plain is None:
            raise self.malformed()
        self.at = plain.end()
        found = plain[0].rstrip(_SPACE) if not re.search(r"\\\s*$", plain[0]) else plain[0]
        if not found:
            raise self.malformed()
        return None if found.lower() == "null" else _ESCAPED.sub(r"\1", found)


def _shape(items: Nested[str]) -> tuple[int, ...] | None:
    """The length of each dimension; None if the array is not rectangular."""
    inner = [_shape(item) if isinstance(item, list) else () for item in items]
    if any(each is None or each != inner[0] for each in inner):
        return None
    return (len(items), *(inner[0] or () if inner else ()))


def array_of_binary(data: bytes, element_oid: int) -> Nested[bytes]:
    """Raises InvalidBinary."""
    try:
        return _array_of_binary(data, element_oid)
    except (struct.error, IndexError):
        raise InvalidBinary("incorrect binary data format for an array") from None


def _array_of_binary(data: bytes, element_oid: int) -> Nested[bytes]:
    dimensions, _, oid = struct.unpack_from(">iiI", data)
    if not 0 <= dimensions <= MOST_DIMENSIONS or oid != element_oid:
        raise InvalidBinary(f"an array of {dimensions} dimensions of the type {oid}, not of {element_oid}")
    shape = [struct.unpack_from(">i", data, 12 + 8 * each)[0] for each in range(dimensions)]
    at, items = 12 + 8 * dimensions, []
    count = 1
    for size in shape:
        count *= size
    if min(shape, default=0) < 0 or 4 * count > len(data):
        raise InvalidBinary("an array has other dimensions than elements")
    for _ in range(count if dimensions else 0):
        (size,) = struct.unpack_from(">i", data, at)
        at += 4
        if size < -1 or at + max(size, 0) > len(data):
            raise InvalidBinary("an element of an array is longer than the array")
        items.append(data[at : at + size] if size >= 0 else None)
        at += max(size, 0)
    if at != len(data):
        raise InvalidBinary("an array is longer than its elements")
    made: Nested[bytes] = list(items)
    for size in reversed(shape[1:]):
        made = [made[i : i + size] for i in range(0, len(made), size)] if size else []
    return made
