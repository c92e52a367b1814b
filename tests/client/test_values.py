"""Parameters arrive as the values, and with the types, that the engine in this process gives them."""

from __future__ import annotations

import datetime
import enum
import math
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import federation
from federation.dbapi import Connection
from tests.http.running import Running


class Colour(enum.IntEnum):
    RED = 1


class Money(float):
    """A subclass, as numpy's floats are."""


PLUS = datetime.timezone(datetime.timedelta(hours=2))
VALUES: list[Any] = [
    *(None, True, False, 0, -1, 2**53 + 1, 2**63, -(2**127), Colour.RED),
    *(0.0, -0.0, 1.0, 0.1, 1e300, 5e-324, math.inf, -math.inf, Money(2.5)),
    *(Decimal("1.10"), Decimal("-0.05"), Decimal("0.00"), Decimal("7"), Decimal("1E+3")),
    Decimal("-12345678901234567890.5"),
    *("", "it's", "日本 \U0001f600", "\u2028", "a\nb", "$1 ?", "{}", '{"type": "DATE", "value": "2026-01-31"}'),
    *(b"", b"\x00\xff", bytearray(b"x"), memoryview(b"y"), uuid.UUID(int=5)),
    *(datetime.date(1, 1, 1), datetime.date(9999, 12, 31), datetime.datetime(2026, 1, 2, 3, 4, 5, 678)),
    datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=PLUS),
    *(datetime.time(1, 2, 3, 4), datetime.time(1, 2, 3, tzinfo=PLUS)),
    *([1, None, 3], (1.5, 2.5), [["a"], ["b", None]], [datetime.date(2026, 1, 2)], [b"x"]),
]
TYPES = """SELECT 1::UTINYINT, 1::HUGEINT, 1::UHUGEINT, 1.5::FLOAT, 1.5::DECIMAL(38, 10), '[1]'::JSON, '101'::BIT,
    TIME '01:02:03', TIMETZ '01:02:03+02', TIMESTAMP_NS '2026-01-01', INTERVAL '1 day', 'a'::ENUM('a', 'b'), [1],
    {'a': 1}, MAP {'k': 1.5::DECIMAL(9, 2)}, NULL, '2cc86fd4-0ce0-4092-8ede-9243787c90e7'::UUID,
    [{'a': ['\\x00'::BLOB]}], 1::INTEGER AS "1", 2 AS "1", 'é' AS "naïve ""name" """
ENUMS = "SELECT CASE WHEN x % 2 = 0 THEN 'b' END::ENUM('a', 'b') FROM range(5000) AS r(x) ORDER BY x"


@pytest.fixture(scope="module")
def sides(server: Running, folder: Path) -> Any:
    with federation.connect(folder / "federation.toml") as here, federation.connect(server.url) as there:
        yield here, there


def named(value: Any) -> str:
    """Without an address, which each of the workers would give another."""
    return f"memoryview({bytes(value)!r})" if isinstance(value, memoryview) else repr(value)


@pytest.mark.parametrize("value", VALUES, ids=named)
def test_both_sides_agree(sides: tuple[Connection, Connection], value: Any) -> None:
    for name, parameters in (("$1", [value]), ("$v", {"v": value})):
        here, there = (side.execute(f"SELECT {name}, typeof({name})", parameters) for side in sides)
        assert here.description == there.description
        assert repr(here.fetchall()) == repr(there.fetchall())


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("Infinity"), datetime.timedelta(1), object(), 1j, {"a": 1}])
def test_values_without_a_type(sides: tuple[Connection, Connection], value: Any) -> None:
    for side in sides:
        with pytest.raises(federation.ProgrammingError):
            side.execute("SELECT ?", [value])


def test_every_type_is_the_same_on_both_sides(sides: tuple[Connection, Connection]) -> None:
    here, there = (side.execute(TYPES) for side in sides)
    assert here.description == there.description
    left, right = here.fetch_arrow_table(), there.fetch_arrow_table()
    assert left.schema.equals(right.schema, check_metadata=True)
    assert left.equals(right)


def test_dictionaries(sides: tuple[Connection, Connection]) -> None:
    here, there = (side.execute(ENUMS).fetchall() for side in sides)
    assert here == there == [("b" if x % 2 == 0 else None,) for x in range(5000)]
