"""What is picked before DuckDB picks: DuckDB's answer stays the same, and less is read."""

from __future__ import annotations

import datetime
import random
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from adapters.base import Predicate, PredicateOp
from adapters.duck import Duck
from adapters.sql.scan import to_expression
from cache.payload import PayloadWriter, open_payload
from cache.pruning import pruned

DAY, MOMENT = datetime.date(2024, 1, 1), datetime.datetime(2024, 1, 1)
TYPES: dict[str, tuple[pa.DataType, list[Any]]] = {
    "small": (pa.int16(), [-32768, -1, 0, 1, 2, 3, 32767, 40_000]),
    "large": (pa.int64(), [-(2**63), -5, 0, 5, 2**63 - 1]),
    "unsigned": (pa.uint64(), [0, 1, 2**63, 2**64 - 1]),
    "day": (pa.date32(), [DAY + datetime.timedelta(days) for days in (-800_000 // 2, -1, 0, 1, 30)]),
    "moment": (pa.timestamp("us"), [MOMENT + datetime.timedelta(microseconds=n) for n in (-1, 0, 1, 10**9)]),
    "there": (pa.timestamp("us", "UTC"), [MOMENT.replace(tzinfo=datetime.UTC), MOMENT.astimezone(datetime.UTC)]),
    "seconds": (pa.timestamp("s"), [MOMENT, MOMENT + datetime.timedelta(milliseconds=500)]),
    "text": (pa.string(), ["", "a", "A", "á", "b ", "b", "\U0001f600", "\uffff"]),
    "number": (pa.float64(), [float("nan"), -0.0, 0.0, 1.5, float("inf")]),
    "exact": (pa.decimal128(9, 2), [Decimal("0.00"), Decimal("1.50"), Decimal("1.505")]),
    "flag": (pa.bool_(), [True, False]),
}
SCHEMA = pa.schema({name: type_ for name, (type_, _) in TYPES.items()})


def fits(value: Any, type_: pa.DataType) -> bool:
    try:
        return bool(pa.scalar(value, type_).as_py() == value or value != value)
    except pa.ArrowException:
        return False


def batch(rng: random.Random) -> pa.RecordBatch:
    """Of few values each, so that many batches have none of those that are asked for."""
    rows, arrays = rng.randrange(1, 9), []
    for type_, values in TYPES.values():
        some = [each for each in rng.sample(values, min(2, len(values))) if fits(each, type_)] or [None]
        arrays.append(pa.array([rng.choice([*some, *some, None]) for _ in range(rows)], type_))
    return pa.record_batch(arrays, schema=SCHEMA)


def condition(rng: random.Random) -> Predicate:
    name = rng.choice(SCHEMA.names)
    _, values = TYPES[name]
    ops: list[PredicateOp] = ["in", "in", "<", "<=", ">", ">=", "is null", "is not null"]
    op = rng.choice(ops)
    if op == "in":
        return Predicate(name, op, tuple(rng.sample(values, rng.randrange(1, len(values) + 1))))
    return Predicate(name, op, () if op.startswith("is") else (rng.choice(values),))


@pytest.fixture(scope="module")
def duck() -> Iterator[Duck]:
    made = Duck()
    yield made
    made.close()


def written(path: Path, batches: list[pa.RecordBatch]) -> pa.RecordBatchReader:
    """As they are: what is less than a whole batch is joined otherwise."""
    writer = PayloadWriter(path, batches[0].schema, 1 << 30)
    for each in batches:
        writer.append(each)
        writer._flush([waiting for found in writer._waiting.values() for waiting in found.batches])
        writer._waiting.clear()
    found = open_payload(path, writer.finish(), trusted=True, seal=None, fail=lambda: pytest.fail("damaged"))
    assert found is not None
    return found


@pytest.mark.parametrize("seed", range(60))
def test_duckdb_answers_the_same(tmp_path: Path, duck: Duck, seed: int) -> None:
    rng = random.Random(seed)
    batches = [batch(rng) for _ in range(rng.randrange(1, 6))]
    for number in range(8):
        conditions = [condition(rng) for _ in range(rng.choice((1, 1, 2)))]
        where = " AND ".join(f"({to_expression(each).sql('duckdb')})" for each in conditions)
        sql = f"SELECT * FROM t WHERE {where}"
        whole = duck.query(sql, {"t": pa.RecordBatchReader.from_batches(SCHEMA, batches)}).read_all()
        kept = pruned(written(tmp_path / f"{number}.arrow", batches), conditions)
        less = duck.query(sql, {"t": pa.RecordBatchReader.from_batches(SCHEMA, kept)}).read_all()
        assert sorted(map(str, less.to_pylist())) == sorted(map(str, whole.to_pylist())), where


def test_batches_without_such_values_are_not_looked_at(tmp_path: Path) -> None:
    batches = [pa.record_batch({"id": list(range(at, at + 100)), "x": ["text"] * 100}) for at in range(0, 1000, 100)]

    def kept(*conditions: Predicate) -> list[list[Any]]:
        (tmp_path / "f.arrow").unlink(missing_ok=True)
        return [found.column(0).to_pylist() for found in pruned(written(tmp_path / "f.arrow", batches), conditions)]

    assert kept(Predicate("id", "in", (250,))) == [[250]]
    assert kept(Predicate("id", "in", (5, 999, 5000))) == [[5], [999]]
    assert kept(Predicate("id", ">=", (398,)), Predicate("id", "<", (401,))) == [[398, 399], [400]]
    assert kept(Predicate("id", "<", (0,))) == []
    assert kept(Predicate("x", "in", ("other",))) == []
    assert len(kept(Predicate("nothing", "in", (1,)), Predicate("id", "in", ("no number",)))) == 10
