"""The suite that every adapter's test class inherits: what `adapters.base` promises, checked against plain DuckDB.

    class TestSqlite(AdapterConformance):
        @pytest.fixture
        def adapter(self, tmp_path): ...        # holds PEOPLE as `people` and NUMBERS as `numbers`

        @pytest.fixture
        def vanishing(self, adapter): ...       # a third table with the rows of PEOPLE, and a function that drops it

        @pytest.fixture
        def analyzed(self, adapter): ...        # the adapter after its ANALYZE, if its source has that

The columns of `people` are made of the source's own types: a 64-bit integer, text, a double, a date, text.
`tests.adapters.oracle` is also for an adapter's own tests.
"""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pyarrow as pa
import pytest
import sqlglot
from sqlglot import exp

from adapters.base import (
    Adapter,
    CancelToken,
    Collation,
    Predicate,
    PredicateOp,
    ScanRequest,
    SupportsEstimate,
    SupportsLocalScan,
    SupportsManyTables,
    SupportsNativeQuery,
    SupportsQuery,
    SupportsSnapshot,
    SupportsStatistics,
    Table,
    TableName,
)
from adapters.errors import Error, NotSupportedError, QueryCancelled, TableNotFound
from catalog.catalog import Catalog
from catalog.model import Source
from federation.native import native_table
from tests.adapters.oracle import answer, expected, filtered, read_all, rows_of, run_bounded

_DAY = datetime.date
_TYPES: dict[str, pa.DataType] = {
    "id": pa.int64(),
    "name": pa.string(),
    "score": pa.float64(),
    "born": pa.date32(),
    "note": pa.string(),
}
_PEOPLE_ROWS: list[tuple[Any, ...]] = [
    (1, "Ada", 9.5, _DAY(1815, 12, 10), "first"),
    (2, "ada", 0.1, _DAY(1990, 2, 28), None),
    (3, "Émile", -3.25, _DAY(2000, 2, 29), ""),
    (4, "", 0.0, None, "empty name"),
    (5, None, None, _DAY(1969, 12, 31), "nobody"),
    (6, "日本 🎉", 1e300, _DAY(9999, 12, 31), "beyond the first plane"),
    (7, "O'Hara \\ %_", -1e-300, _DAY(1970, 1, 1), 'quotes " and \\ and %'),
    (8, "ada ", 9.5, _DAY(2024, 6, 1), "a trailing space"),
    (9, "Zoë", 2.5, _DAY(2024, 6, 1), "Ada"),
    (-9223372036854775808, "zoe", None, None, None),
    (9223372036854775807, "ADA", 3.5, _DAY(1900, 1, 1), "the largest"),
]
PEOPLE = pa.table(
    {name: pa.array(values, _TYPES[name]) for name, values in zip(_TYPES, zip(*_PEOPLE_ROWS, strict=True), strict=True)}
)
NUMBERS = pa.table({"n": pa.array(range(20_000), pa.int64())})

_CASES: list[tuple[str, PredicateOp, tuple[Any, ...]]] = [
    *((column, op, (value,))
      for column, value in (("id", 4), ("name", "ada"), ("score", 0.1), ("born", _DAY(1970, 1, 1)))
      for op in ("=", "<>", "<", "<=", ">", ">=")),
    *((column, op, ()) for column in ("id", "name", "score", "born", "note") for op in ("is null", "is not null")),
    ("id", "=", (9223372036854775807,)),
    ("id", "<", (-9223372036854775807,)),
    ("name", "=", ("",)),
    ("name", "=", ("O'Hara \\ %_",)),
    ("name", "=", ("日本 🎉",)),
    ("name", "=", ("zoe",)),
    ("name", "<", ("a",)),
    ("name", ">", ("z",)),
    ("score", "=", (-0.0,)),
    ("score", ">", (1e299,)),
    ("score", "<", (float("inf"),)),
    ("born", "<", (_DAY(1900, 1, 1),)),
    ("id", "in", (1, 3, 99, 9223372036854775807)),
    ("name", "in", ("ada", "Émile", "", "nobody at all")),
    ("score", "in", (9.5, 0.0)),
    ("born", "in", (_DAY(2024, 6, 1), _DAY(1815, 12, 10))),
    ("note", "in", ('quotes " and \\ and %',)),
    ("id", "in", tuple(range(2, 1500))),
]  # fmt: skip


class AdapterConformance:
    people: ClassVar[pa.Table] = PEOPLE  # a source that cannot hold a value of PEOPLE says so by its own table
    numbers: ClassVar[pa.Table] = NUMBERS

    @pytest.fixture
    def adapter(self) -> Iterator[Adapter]:
        raise NotImplementedError("a conformance class provides the fixture `adapter`")

    @pytest.fixture
    def vanishing(self, adapter: Adapter) -> tuple[TableName, Callable[[], None]]:
        raise NotImplementedError("a conformance class provides the fixture `vanishing`")

    @pytest.fixture
    def analyzed(self, adapter: Adapter) -> Adapter:
        return adapter

    @pytest.fixture
    def table(self, adapter: Adapter) -> TableName:
        return TableName(adapter.default_schema, "people")

    # --- metadata

    def test_it_lists_its_tables(self, adapter: Adapter, table: TableName) -> None:
        names = list(adapter.list_tables())
        assert table in names
        assert len(set(names)) == len(names)

    def test_it_describes_a_table(self, adapter: Adapter, table: TableName) -> None:
        described = adapter.get_table(table)
        assert described.name == table
        assert [(c.name, c.type) for c in described.columns] == [(f.name, f.type) for f in self.people.schema]
        assert all(isinstance(column.collation, Collation) for column in described.columns)

    def test_many_tables_are_described_as_one_is(self, adapter: Adapter) -> None:
        if not isinstance(adapter, SupportsManyTables):
            assert not hasattr(adapter, "get_tables")
            return
        names = list(adapter.list_tables())
        gone = TableName(adapter.default_schema, "no_such_table")
        assert list(adapter.get_tables([*names, gone])) == [adapter.get_table(name) for name in names]
        assert list(adapter.get_tables([gone])) == []

    @pytest.mark.parametrize("schema", [None, "no_such_schema"])
    def test_an_unknown_table_is_an_error(self, adapter: Adapter, schema: str | None) -> None:
        name = TableName(schema or adapter.default_schema, "no_such_table")
        with pytest.raises(TableNotFound) as caught:
            adapter.get_table(name)
        assert caught.value.source == adapter.name
        assert "no_such_table" in caught.value.message

    # --- scans

    def test_a_scan_returns_every_row(self, adapter: Adapter, table: TableName) -> None:
        request = ScanRequest(table, tuple(self.people.column_names))
        assert rows_of(answer(adapter, request)) == rows_of(self.people)

    @pytest.mark.parametrize("columns", [("note", "id"), ("score",), ("born", "name", "id")])
    def test_columns_come_in_the_order_asked_for(
        self, adapter: Adapter, table: TableName, columns: tuple[str, ...]
    ) -> None:
        request = ScanRequest(table, columns)
        scan = adapter.plan_scan(request)
        assert scan.schema.names == list(columns)
        assert rows_of(read_all(adapter, scan)) == rows_of(expected(self.people, request))

    def test_no_column_still_counts_rows(self, adapter: Adapter, table: TableName) -> None:
        assert read_all(adapter, adapter.plan_scan(ScanRequest(table, ()))).num_rows == self.people.num_rows

    @pytest.mark.parametrize(("column", "op", "values"), _CASES)
    def test_predicates_mean_what_they_mean_in_duckdb(
        self, adapter: Adapter, table: TableName, column: str, op: PredicateOp, values: tuple[Any, ...]
    ) -> None:
        request = ScanRequest(table, ("id", "name"), (Predicate(column, op, values),))
        assert rows_of(answer(adapter, request)) == rows_of(expected(self.people, request))

    def test_predicates_are_a_conjunction(self, adapter: Adapter, table: TableName) -> None:
        predicates = (
            Predicate("score", ">", (-5.0,)),
            Predicate("name", "<>", ("Ada",)),
            Predicate("born", "is not null"),
            Predicate("id", "in", (1, 2, 3, 8, 9)),
        )
        request = ScanRequest(table, ("name", "note"), predicates)
        assert rows_of(answer(adapter, request)) == rows_of(expected(self.people, request))

    @pytest.mark.parametrize("column", PEOPLE.column_names)
    def test_in_without_a_value_is_no_row(self, adapter: Adapter, table: TableName, column: str) -> None:
        assert answer(adapter, ScanRequest(table, ("id",), (Predicate(column, "in", ()),))).num_rows == 0

    @pytest.mark.parametrize("limit", [0, 1, 4, 1000])
    def test_a_limit(self, adapter: Adapter, table: TableName, limit: int) -> None:
        rows = answer(adapter, ScanRequest(table, ("id", "score"), limit=limit))
        assert rows.num_rows == min(limit, self.people.num_rows)
        assert set(rows_of(rows)) <= set(rows_of(self.people.select(["id", "score"])))

    @pytest.mark.parametrize(
        ("column", "value"), [("id", 3), ("name", "a"), ("score", 0.0), ("born", _DAY(1950, 1, 1))]
    )
    def test_a_limit_after_a_predicate(self, adapter: Adapter, table: TableName, column: str, value: Any) -> None:
        request = ScanRequest(table, ("id",), (Predicate(column, ">", (value,)),), limit=2)
        matching = rows_of(expected(self.people, request))
        rows = rows_of(answer(adapter, request))
        assert len(rows) == min(2, len(matching))
        assert set(rows) <= set(matching)

    def test_an_unknown_column_is_a_typed_error(self, adapter: Adapter, table: TableName) -> None:
        with pytest.raises(Error) as caught:
            read_all(adapter, adapter.plan_scan(ScanRequest(table, ("id", "no_such_column"))))
        assert caught.value.source == adapter.name

    # --- readers

    def test_a_long_read_is_whole(self, adapter: Adapter) -> None:
        scan = adapter.plan_scan(ScanRequest(TableName(adapter.default_schema, "numbers"), ("n",)))
        assert rows_of(read_all(adapter, scan)) == rows_of(self.numbers)

    def test_two_readers_at_once(self, adapter: Adapter) -> None:
        scan = adapter.plan_scan(ScanRequest(TableName(adapter.default_schema, "numbers"), ("n",)))
        readers = [adapter.read(partition, CancelToken()) for partition in scan.partitions * 2]
        batches: list[pa.RecordBatch] = []
        while readers:
            for reader in list(readers):
                try:
                    batches.append(reader.read_next_batch())
                except StopIteration:
                    readers.remove(reader)
        scan.close()
        rows = pa.Table.from_batches(batches, scan.schema)
        assert rows_of(rows) == rows_of(pa.concat_tables([self.numbers, self.numbers]))

    def test_an_abandoned_reader_gives_its_connection_back(self, adapter: Adapter) -> None:
        scan = adapter.plan_scan(ScanRequest(TableName(adapter.default_schema, "numbers"), ("n",)))

        def abandon_many() -> None:
            for _ in range(40):
                adapter.read(scan.partitions[0], CancelToken()).read_next_batch()

        run_bounded(abandon_many)
        scan.close()

    def test_a_cancel_before_the_read(self, adapter: Adapter, table: TableName) -> None:
        scan = adapter.plan_scan(ScanRequest(table, ("id",)))
        cancel = CancelToken()
        cancel.cancel()
        with pytest.raises(QueryCancelled):
            adapter.read(scan.partitions[0], cancel).read_all()
        scan.close()

    def test_a_cancel_during_the_read_is_never_a_shorter_answer(self, adapter: Adapter) -> None:
        """Even a reader that has handed out its last row raises at the next call."""
        scan = adapter.plan_scan(ScanRequest(TableName(adapter.default_schema, "numbers"), ("n",)))
        cancel = CancelToken()
        reader = adapter.read(scan.partitions[0], cancel)
        reader.read_next_batch()
        cancel.cancel()
        with pytest.raises(QueryCancelled):
            for _ in range(self.numbers.num_rows):
                reader.read_next_batch()
        scan.close()
        assert answer(adapter, ScanRequest(TableName(adapter.default_schema, "people"), ("id",))).num_rows

    def test_a_vanished_table_is_an_error(
        self, adapter: Adapter, vanishing: tuple[TableName, Callable[[], None]]
    ) -> None:
        name, drop = vanishing
        scan = adapter.plan_scan(ScanRequest(name, ("id", "name")))
        drop()
        with pytest.raises(Error) as caught:
            for partition in scan.partitions:
                adapter.read(partition, CancelToken()).read_all()
        scan.close()
        assert caught.value.source == adapter.name
        assert caught.value.sqlstate != "XX000"

    # --- the whole

    def test_many_threads_ask_at_once(self, adapter: Adapter, table: TableName) -> None:
        request = ScanRequest(table, ("id", "name"), (Predicate("id", ">", (3,)),))
        answers: list[list[str]] = []
        threads = [
            threading.Thread(target=lambda: answers.append(rows_of(answer(adapter, request))), daemon=True)
            for _ in range(12)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert answers == [rows_of(expected(self.people, request))] * 12

    def test_closing_twice_is_fine(self, adapter: Adapter, table: TableName) -> None:
        assert answer(adapter, ScanRequest(table, ("id",))).num_rows == self.people.num_rows
        adapter.close()
        adapter.close()

    def test_abilities_are_whole(self, adapter: Adapter) -> None:
        """An ability is there with all its methods, or not at all: half of one would be found out in a query."""
        for ability, members in (
            (SupportsQuery, ("dialect", "plan_query")),
            (SupportsLocalScan, ("local_sql", "local_paths")),
            (SupportsNativeQuery, ("describe_native", "plan_native")),
            (SupportsEstimate, ("estimate",)),
            (SupportsStatistics, ("statistics",)),
            (SupportsManyTables, ("get_tables",)),
            (SupportsSnapshot, ("reads_snapshots_in_parallel", "take_snapshot")),
        ):
            present = [member for member in members if hasattr(adapter, member)]
            assert present == (list(members) if isinstance(adapter, ability) else [])

    def test_a_native_query(self, adapter: Adapter) -> None:
        """The text is one that every database takes; what is none refuses it before anything is sent."""
        catalog = Catalog([Source(adapter.name, "test", adapter)])
        query = sqlglot.parse_one(f"SELECT * FROM query('{adapter.name}', 'SELECT id, name FROM people')")
        call = query.find(exp.Anonymous)
        assert call is not None
        if not isinstance(adapter, SupportsNativeQuery):
            with pytest.raises(NotSupportedError) as caught:
                native_table(catalog, call)
            assert (caught.value.sqlstate, caught.value.source) == ("0A000", adapter.name)
            return
        found = native_table(catalog, call)
        predicate = Predicate("id", ">", (2,))
        scan = found.source.adapter.plan_scan(ScanRequest(found.table.name, ("name", "id"), (predicate,), limit=1))
        assert scan.residual == (predicate,)
        assert rows_of(read_all(adapter, scan)) == rows_of(self.people.select(["name", "id"]))

    def test_an_island(self, adapter: Adapter, table: TableName) -> None:
        if not isinstance(adapter, SupportsQuery):
            assert not hasattr(adapter, "dialect")
            return
        inner = adapter.get_table(table)
        query = _island(inner, adapter.dialect.name)
        kept = filtered(self.people, (Predicate("id", ">", (2,)),)).select(["id", "name", "born", "score"])
        schema = kept.rename_columns(["key", "who", "day", "points"]).schema
        scan = adapter.plan_query(query, schema)
        assert scan is not None
        assert scan.schema.equals(schema)
        assert rows_of(read_all(adapter, scan)) == rows_of(kept)

    def test_an_island_that_the_source_refuses_is_a_typed_error(self, adapter: Adapter) -> None:
        if not isinstance(adapter, SupportsQuery):
            assert not hasattr(adapter, "plan_query")
            return
        query = sqlglot.parse_one('SELECT "no_such_column" AS "a" FROM "no_such_table"', dialect="duckdb")
        assert isinstance(query, exp.Query)
        with pytest.raises(Error) as caught:
            scan = adapter.plan_query(query, pa.schema({"a": pa.int64()}))
            assert scan is not None
            read_all(adapter, scan)
        assert caught.value.source == adapter.name

    # --- what to expect

    def test_an_estimate(self, analyzed: Adapter) -> None:
        """Asked of queries like those of an island, about a whole table and about one row of it."""
        if not isinstance(analyzed, SupportsEstimate):
            assert not hasattr(analyzed, "estimate")
            return
        assert isinstance(analyzed, SupportsQuery)
        numbers = analyzed.estimate(_select(analyzed, "numbers", "n"))
        one = exp.EQ(this=exp.column("id", quoted=True), expression=exp.Literal.number(4))
        person = analyzed.estimate(_select(analyzed, "people", "id").where(one))
        count = self.numbers.num_rows
        assert numbers.rows is not None and count / 2 <= numbers.rows <= count * 2
        assert numbers.bytes is None or numbers.rows <= numbers.bytes <= numbers.rows * 100
        assert person.rows is not None and 0 <= person.rows <= 3

    def test_an_estimate_of_what_the_source_refuses_is_a_typed_error(self, analyzed: Adapter) -> None:
        if isinstance(analyzed, SupportsEstimate):
            assert isinstance(analyzed, SupportsQuery)
            for table, column in (("numbers", "no_such_column"), ("no_such_table", "n")):
                with pytest.raises(Error) as caught:
                    analyzed.estimate(_select(analyzed, table, column))
                assert caught.value.source == analyzed.name

    def test_statistics(self, analyzed: Adapter) -> None:
        """What is said of a column is right; nothing need be said."""
        if not isinstance(analyzed, SupportsStatistics):
            assert not hasattr(analyzed, "statistics")
            return
        for name, table in (("numbers", self.numbers), ("people", self.people)):
            found = analyzed.statistics(TableName(analyzed.default_schema, name))
            assert found.rows is None or table.num_rows / 2 <= found.rows <= table.num_rows * 2
            assert found.bytes is None or found.bytes > 0
            assert set(found.columns) <= set(table.column_names)
            for column, known in found.columns.items():
                values = [value for value in table[column].to_pylist() if value is not None]
                numeric = not pa.types.is_string(table.schema.field(column).type)
                assert known.minimum == (min(values) if numeric and known.minimum is not None else None)
                assert known.maximum == (max(values) if numeric and known.maximum is not None else None)
                missing = table.num_rows - len(values)
                assert known.null_fraction is None or abs(known.null_fraction * table.num_rows - missing) < 1
                distinct = len(set(values))
                assert known.distinct is None or distinct / 2 <= known.distinct <= distinct * 2
                assert known.bytes is None or 0 < known.bytes < 100

    def test_statistics_of_an_unknown_table(self, analyzed: Adapter) -> None:
        if isinstance(analyzed, SupportsStatistics):
            with pytest.raises(TableNotFound) as caught:
                analyzed.statistics(TableName(analyzed.default_schema, "no_such_table"))
            assert caught.value.source == analyzed.name


def _select(adapter: SupportsQuery, table: str, column: str) -> exp.Select:
    """A query over a table of the default schema, as a tree in the dialect of its source."""
    assert hasattr(adapter, "default_schema")
    source = exp.table_(table, db=adapter.default_schema, quoted=True)
    query = exp.select(exp.column(column, quoted=True)).from_(source).sql(dialect=adapter.dialect.name)
    parsed = sqlglot.parse_one(query, dialect=adapter.dialect.name)
    assert isinstance(parsed, exp.Select)
    return parsed


def _island(table: Table, dialect: str) -> exp.Select:
    source = exp.table_(table.name.name, db=table.name.schema, quoted=True)
    columns = {"key": "id", "who": "name", "day": "born", "points": "score"}
    query = exp.select(*(exp.alias_(exp.column(c, quoted=True), alias, quoted=True) for alias, c in columns.items()))
    query = query.from_(source).where(exp.GT(this=exp.column("id", quoted=True), expression=exp.Literal.number(2)))
    parsed = sqlglot.parse_one(query.sql(dialect=dialect), dialect=dialect)
    assert isinstance(parsed, exp.Select)
    return parsed
