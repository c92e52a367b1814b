from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import federation
from adapters.base import (
    Predicate,
    PredicateOp,
    ScanRequest,
    SupportsLocalScan,
    SupportsQuery,
    TableName,
    TableStatistics,
)
from adapters.errors import CatalogError, SourceChanged
from adapters.memory import MemoryAdapter
from tests.adapters.conformance import NUMBERS, PEOPLE, AdapterConformance
from tests.adapters.oracle import answer, expected, read_all, rows_of
from tests.adapters.recording import record


class TestMemory(AdapterConformance):
    @pytest.fixture
    def tables(self) -> dict[str, pa.Table]:
        return {"people": PEOPLE, "numbers": NUMBERS}

    @pytest.fixture
    def adapter(self, tables: dict[str, pa.Table]) -> MemoryAdapter:
        return MemoryAdapter("mem", {"tables": tables})

    @pytest.fixture
    def vanishing(self, tables: dict[str, pa.Table]) -> tuple[TableName, Callable[[], None]]:
        tables["doomed"] = PEOPLE
        return TableName("main", "doomed"), lambda: tables.clear()


class TestRecorded(TestMemory):
    """The recorder changes nothing."""

    @pytest.fixture
    def adapter(self, tables: dict[str, pa.Table]) -> Any:
        return record(MemoryAdapter("mem", {"tables": tables}))


FLOATS = pa.table(
    {
        "id": pa.array(range(8), pa.int64()),
        "x": pa.array([None, math.nan, -math.nan, 0.0, -0.0, 1.5, math.inf, -math.inf], pa.float64()),
    }
)


@pytest.mark.parametrize("op", ["=", "<>", "<", "<=", ">", ">="])
@pytest.mark.parametrize("value", [math.nan, 0.0, -0.0, math.inf, -math.inf, 1.5])
def test_floats_compare_as_in_duckdb(op: PredicateOp, value: float) -> None:
    request = ScanRequest(TableName("main", "floats"), ("id",), (Predicate("x", op, (value,)),))
    assert rows_of(answer(MemoryAdapter("mem", {"tables": {"floats": FLOATS}}), request)) == rows_of(
        expected(FLOATS, request)
    )


def test_a_float_predicate_is_left_to_the_caller_and_the_limit_with_it() -> None:
    adapter = MemoryAdapter("mem", {"tables": {"floats": FLOATS}})
    nan = Predicate("x", ">=", (1.5,))
    scan = adapter.plan_scan(ScanRequest(TableName("main", "floats"), ("id", "x"), (nan,), limit=1))
    assert scan.residual == (nan,)
    assert read_all(adapter, scan).num_rows == FLOATS.num_rows


def test_what_it_was_asked_is_recorded() -> None:
    adapter = record(MemoryAdapter("mem", {"tables": {"people": PEOPLE}}))
    request = ScanRequest(TableName("main", "people"), ("id",), (Predicate("name", "=", ("Ada",)),), limit=3)
    read_all(adapter, adapter.plan_scan(request))
    assert adapter.scans == [request]
    assert adapter.requests == ["people(id); name = 'Ada'; limit 3"]
    assert not isinstance(adapter, SupportsQuery | SupportsLocalScan)
    adapter.forget()
    assert not adapter.scans
    assert not adapter.requests


def test_rows_of_a_catalog_file() -> None:
    adapter = MemoryAdapter("mem", {"tables": {"rates": [{"code": "EUR"}, {"code": "USD", "rate": 1.25}]}})
    name = TableName("main", "rates")
    assert [c.type for c in adapter.get_table(name).columns] == [pa.string(), pa.float64()]
    rows = read_all(adapter, adapter.plan_scan(ScanRequest(name, ("rate", "code"))))
    assert rows.to_pylist() == [{"rate": None, "code": "EUR"}, {"rate": 1.25, "code": "USD"}]


def test_the_example_of_the_page(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "adapters" / "memory.md").read_text(encoding="utf-8")
    toml, sql = (re.findall(rf"^```{kind}\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)[0] for kind in ("toml", "sql"))
    (tmp_path / "federation.toml").write_text(toml, encoding="utf-8")
    with federation.connect(tmp_path / "federation.toml") as connection:
        assert connection.execute(sql.rstrip().rstrip(";")).fetchall() == [("EUR", 1.0), ("USD", 1.09)]


@pytest.mark.parametrize("rows", [[{"a": 1}, {"a": "x"}], [1, 2], "text", 7])
def test_rows_that_make_no_table(rows: object) -> None:
    adapter = MemoryAdapter("mem", {"tables": {"bad": rows}})
    with pytest.raises(CatalogError) as caught:
        adapter.get_table(TableName("main", "bad"))
    assert caught.value.source == "mem"


def test_a_changed_table_is_an_error() -> None:
    tables = {"people": PEOPLE}
    adapter = MemoryAdapter("mem", {"tables": tables})
    scan = adapter.plan_scan(ScanRequest(TableName("main", "people"), ("id", "name")))
    tables["people"] = PEOPLE.set_column(0, "id", PEOPLE["name"])
    with pytest.raises(SourceChanged):
        read_all(adapter, scan)


def test_it_knows_how_much_it_holds() -> None:
    adapter = MemoryAdapter("mem", {"tables": {"people": PEOPLE, "rates": [{"code": "EUR"}, {"code": "USD"}]}})
    assert adapter.statistics(TableName("main", "people")) == TableStatistics(PEOPLE.num_rows, PEOPLE.nbytes)
    assert adapter.statistics(TableName("main", "rates")).rows == 2
