"""The table format: aligned columns for people, in bounded memory.

The first rows fix the widths; a later value that is wider moves its line, and is never cut, unless the table goes to a
terminal: there text is cut to the width of the window and ends in `…`, numbers are never cut, and a table that cannot
fit is shown as records, one line per value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
import wcwidth

from federation.cli.destination import Output
from federation.cli.formats import Look
from federation.text import to_text
from federation.writers.text import slices

SAMPLE_ROWS = 1000
NARROWEST = 8  # a text column is not cut below this
NULL = "NULL"
# Control characters, line separators, and the marks that reorder the text around them.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
Cell = str | None


class TableWriter:
    def __init__(self, out: Output, schema: pa.Schema, look: Look) -> None:
        self._out = out
        self._look = look
        self._names = [printable(name) for name in schema.names]
        self._right = [is_number(field.type) for field in schema]
        self._sample: list[tuple[Cell, ...]] | None = []
        self._layout: Grid | Records | None = None
        self._count = 0

    def write(self, batch: pa.RecordBatch) -> None:
        for part in slices(batch):
            rows = list(zip(*map(cells, part.columns), strict=True))
            self._count += len(rows)
            if self._layout is not None:
                self._put(self._layout.lines(rows))
                continue
            assert self._sample is not None
            self._sample += rows
            if len(self._sample) >= SAMPLE_ROWS:
                self._begin()

    def end(self) -> None:
        if self._layout is None:
            self._begin()
        self._put([f"({self._count} row{'' if self._count == 1 else 's'})"])

    def _begin(self) -> None:
        sample, self._sample = self._sample or [], None
        first = sample[:SAMPLE_ROWS]
        widths = [
            max(shown_width(name), *(shown_width(row[i]) for row in first), 1) for i, name in enumerate(self._names)
        ]
        fitting = fit(widths, self._right, self._look.width)
        if self._look.expanded or fitting is None:
            self._layout = Records(self._names, self._look)
        else:
            self._layout = Grid(self._names, fitting, self._right, self._look)
            self._put(self._layout.header())
        self._put(self._layout.lines(sample))

    def _put(self, lines: Iterable[str]) -> None:
        self._out.write("".join(f"{line}\n" for line in lines).encode())


class Grid:
    """One line per row."""

    def __init__(self, names: Sequence[str], widths: Sequence[int], right: Sequence[bool], look: Look) -> None:
        self._names = names
        self._widths = widths
        self._right = right
        self._look = look

    def header(self) -> list[str]:
        return [self._line(self._names), "+".join("-" * (width + 2) for width in self._widths)]

    def lines(self, rows: Iterable[Sequence[Cell]]) -> Iterable[str]:
        return (self._line(row) for row in rows)

    def _line(self, row: Sequence[Cell]) -> str:
        shown = (self._cell(*cell) for cell in zip(row, self._widths, self._right, strict=True))
        return f" {' | '.join(shown)}".rstrip()

    def _cell(self, value: Cell, width: int, right: bool) -> str:
        text = NULL if value is None else value
        if self._look.width is not None and not right and shown_width(text) > width:
            text = cut(text, width)
        padding = " " * (width - shown_width(text))
        text = dim(text) if value is None and self._look.colour else text
        return padding + text if right else text + padding


class Records:
    """One line per value."""

    def __init__(self, names: Sequence[str], look: Look) -> None:
        self._width = max(map(shown_width, names))
        self._names = [name + " " * (self._width - shown_width(name)) for name in names]
        self._look = look
        self._number = 0

    def lines(self, rows: Iterable[Sequence[Cell]]) -> Iterable[str]:
        for row in rows:
            self._number += 1
            title = f"-[ RECORD {self._number} ]"
            yield title + "-" * max(0, self._width + 2 - len(title))
            for name, value in zip(self._names, row, strict=True):
                null = dim(NULL) if self._look.colour else NULL
                yield f"{name} | {null if value is None else value}".rstrip()


def cells(column: Any) -> list[Cell]:
    return [
        value if value is None or value.isprintable() else printable(value) for value in to_text(column).to_pylist()
    ]


def printable(text: str) -> str:
    """Nothing in it moves the cursor, rings, colours or reorders."""
    return UNPRINTABLE.sub(lambda found: ESCAPES.get(found[0]) or ascii(found[0])[1:-1], text)


def shown_width(text: Cell) -> int:
    if text is None:
        return len(NULL)
    return len(text) if text.isascii() else wcwidth.width(text)


def cut(text: str, width: int) -> str:
    return wcwidth.clip(text, 0, width - 1) + "…"


def dim(text: str) -> str:
    return f"\x1b[2m{text}\x1b[0m"


def is_number(kind: Any) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)


def fit(widths: Sequence[int], right: Sequence[bool], limit: int | None) -> list[int] | None:
    """Widths that fit into `limit`, taken from the widest text columns; None if there are none."""
    if limit is None:
        return list(widths)
    for level in range(limit, NARROWEST - 1, -1):
        fitting = [width if is_right else min(width, level) for width, is_right in zip(widths, right, strict=True)]
        if sum(fitting) + 3 * len(fitting) - 1 <= limit:
            return fitting
    return None
