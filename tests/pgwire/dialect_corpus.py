"""The corpus of PostgreSQL's dialect: its rows, its expressions, and what is known to differ."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
DIFFERENCES = FOLDER.parent.parent / "docs" / "pgwire-differences.md"
TABLE = """
CREATE TABLE edge (
  id int PRIMARY KEY, i int, j int, s smallint, b bigint, n numeric(10,2), m numeric(12,4), d double precision, r real,
  t text, u text, bo boolean, dt date, ts timestamp, tz timestamptz, js json, jb jsonb, a int[], uu uuid
);
INSERT INTO edge VALUES
(1, 7, 2, 3, 12, 1.05, 0.3333, 2.5, 0.25, 'abc', 'a', true, '2024-01-31', '2024-01-31 00:00:00',
 '2024-01-31 00:00:00+00',
 '{"a": 1, "b": [1, 2, {"c": null}]}', '{"a": 1, "b": [1, 2]}', '{1,2,3}', '5b30857f-0bfa-48b5-ac0b-5c64e28078d1'),
(2, -7, 2, -3, -3, 2.50, 1.2500, -2.5, 0.5, 'A b', 'b', false, '2024-02-29', '2024-02-29 12:30:15.5',
 '2024-02-29 12:30:15.5+00', '{"a": "x", "b": null}', '{"a": "x"}', '{}', NULL),
(3, 0, 1, 0, 7, -0.25, 10.0000, 0, 1.5, '', 'x', NULL, '2023-12-31', '2023-12-31 23:59:59.999999',
 '2023-12-31 23:59:59.999999+00', '[1, "two", null]', '[1, 2]', '{4,NULL}', NULL),
(4, NULL, 3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, true, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
(5, 1, 2, 1, 100, 99.99, 0.0001, 3.5, -0.75, '10', '1', false, '2024-03-01', '2024-03-01 06:00:00',
 '2024-03-01 06:00:00+00', '{"a": true}', '{"a": true}', '{1,2,3}', NULL),
(6, 2, 1, 2, 5, 3.00, 7.5000, 0.125, 8, 'á', 'é', true, '1999-12-31', '1999-12-31 06:07:08', '1999-12-31 06:07:08+00',
 '{"a": 1.5}', '{"a": 1.5}', '{2,1}', NULL),
(7, 15, 5, 15, 0, -12.34, 2.0000, -0.5, 2, 'a,d,é', ',', false, '2024-12-30', '2024-12-30 00:00:00',
 '2024-12-30 00:00:00+00', '{}', '{}', '{7}', NULL),
(8, 2147483647, 4, 32767, 9007199254740993, 99999999.99, 99999999.9999, 1e300, 1e10, 'a%b_c', '%', true, '9990-12-31',
 '9990-12-31 23:59:59', '9990-12-31 23:59:59+00', '"x"', '"x"', '{5,5}', NULL),
(9, -2147483648, -1, -32768, -9007199254740993, -99999999.99, -0.0001, 1e-5, -0.1, 'Hello World', 'SS', false,
 '1970-01-01', '1970-01-01 00:00:00', '1970-01-01 00:00:00+00', '1', '1', '{9}', NULL);
"""
_ENTRY = re.compile(r"^\| `([a-z-]+)` \|", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a corpus: what is asked, and the key of the difference that it is known for ("" if there is none)."""

    text: str
    difference: str

    @property
    def is_query(self) -> bool:
        return self.text.upper().startswith(("SELECT", "WITH ", "VALUES", "TABLE ", "(SELECT"))

    @property
    def sql(self) -> str:
        if self.is_query:
            return self.text
        aggregate = " over" not in self.text and self.text.lower().split("(")[0].strip() in _AGGREGATES
        if aggregate or any(self.text.startswith(each) for each in ("round(avg", "coalesce(sum", "100.0 * sum")):
            return f"SELECT {self.text} FROM edge WHERE id < 8"
        return f"SELECT id, {self.text} FROM edge WHERE id < 8 ORDER BY id"


_AGGREGATES = {
    *(
        "count",
        "sum",
        "avg",
        "min",
        "max",
        "string_agg",
        "array_agg",
        "bool_and",
        "bool_or",
        "every",
        "bit_and",
        "bit_or",
    ),
    *("json_agg", "jsonb_agg", "json_object_agg", "stddev", "variance", "var_pop", "stddev_pop", "corr", "covar_pop"),
    *("regr_slope", "percentile_cont", "percentile_disc", "regr_count", "bit_xor", "stddev_samp", "var_samp"),
    "covar_samp",
}


def _corpus(file: str) -> dict[str, list[Line]]:
    """The lines of a file beside this one by their headings; a difference stands behind ` ## `."""
    found: dict[str, list[Line]] = {}
    lines: list[Line] = []
    for line in (FOLDER / file).read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            lines = found.setdefault(line[2:], [])
        elif line.strip():
            text, _, difference = line.partition(" ## ")
            lines.append(Line(text.strip(), difference.strip()))
    return found


CORPUS = _corpus("dialect_expressions.txt")
IN_A_ZONE = _corpus("dialect_zones.txt")


def expressions(lines: Iterable[Line]) -> Iterator[Line]:
    """Whole queries, and each expression of the other lines by itself."""
    for line in lines:
        if line.is_query:
            yield line
        else:
            yield from (Line(each, line.difference) for each in _split(line.text))


def _split(text: str) -> list[str]:
    """The parts between the commas that stand in no parentheses and no quotes."""
    parts, depth, start, quote = [], 0, 0, ""
    for at, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth -= 1
        elif letter == "," and depth == 0:
            parts.append(text[start:at].strip())
            start = at + 1
    return [*parts, text[start:].strip()]


def differences() -> set[str]:
    """The keys of the table of differences in the documentation."""
    return set(_ENTRY.findall(DIFFERENCES.read_text(encoding="utf-8")))
