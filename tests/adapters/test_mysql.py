from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from sqlglot import exp

from adapters.base import (
    Adapter,
    Collation,
    Column,
    ForeignKey,
    Predicate,
    ScanRequest,
    TableName,
)
from adapters.errors import (
    CatalogError,
    ColumnNotFound,
    ReadOnlyError,
    SourceAuthError,
    SourceChanged,
)
from adapters.mysql import MySQLAdapter
from adapters.mysql_session import Session
from tests.adapters.conformance import NUMBERS, PEOPLE, AdapterConformance
from tests.adapters.mysql_islands import query, read
from tests.adapters.oracle import answer, read_all, rows_of
from tests.servers import Server, run_sql

_NUMBER = itertools.count()
SETTING_UP = 4  # statements of a new session


def literal(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, (int, float)):
        return repr(value)
    return f"CONVERT(X'{str(value).encode().hex()}' USING utf8mb4)"


def fill(server: Server, database: str, table: str, declared: str, data: pa.Table) -> None:
    rows = [f"({', '.join(map(literal, row.values()))})" for row in data.to_pylist()]
    server.run(f"USE {database}; DROP TABLE IF EXISTS {table}; CREATE TABLE {table} ({declared});\n"
               f"INSERT INTO {table} VALUES {', '.join(rows)};")  # fmt: skip


@pytest.fixture
def uri(mariadb_server: Server) -> str:
    return mariadb_server.create_database("adapter")


@pytest.fixture
def adapter(uri: str) -> Iterator[MySQLAdapter]:
    made = MySQLAdapter("my", {"uri": uri})
    yield made
    made.close()


class TestMySQL(AdapterConformance):
    """Text in the server's usual collation: neither case nor accents nor trailing spaces tell strings apart."""

    columns = "id bigint PRIMARY KEY, name varchar(100), score double, born date, note text"

    @pytest.fixture(scope="class")
    @classmethod
    def filled(cls, mariadb_server: Server) -> str:
        database = f"conformance{next(_NUMBER)}"
        uri = mariadb_server.create_database(database)
        fill(mariadb_server, database, "people", cls.columns, PEOPLE)
        fill(mariadb_server, database, "numbers", "n bigint", NUMBERS)
        return uri

    @pytest.fixture
    def adapter(self, filled: str) -> Iterator[MySQLAdapter]:
        adapter = MySQLAdapter("my", {"uri": filled})
        yield adapter
        adapter.close()

    @pytest.fixture
    def analyzed(self, filled: str, adapter: MySQLAdapter) -> MySQLAdapter:
        run_sql(filled, "ANALYZE TABLE people, numbers PERSISTENT FOR ALL")
        return adapter

    @pytest.fixture
    def vanishing(self, mariadb_server: Server, adapter: MySQLAdapter) -> tuple[TableName, Callable[[], None]]:
        schema = adapter.default_schema
        fill(mariadb_server, schema, "doomed", self.columns, PEOPLE)
        return TableName(schema, "doomed"), lambda: void(mariadb_server.run(f"DROP TABLE {schema}.doomed"))


class TestMySQLByBytes(TestMySQL):
    columns = "id bigint, name varchar(100) COLLATE utf8mb4_nopad_bin, score double, born date, note text"


class TestMySQLZeroDatesAsNull(TestMySQL):
    """Dates are compared by DuckDB only, so nothing about them is pushed."""

    @pytest.fixture
    def adapter(self, filled: str) -> Iterator[MySQLAdapter]:
        adapter = MySQLAdapter("my", {"uri": filled, "zero_dates": "null"})
        yield adapter
        adapter.close()

    def test_an_island(self, adapter: Adapter, table: TableName) -> None:
        assert isinstance(adapter, MySQLAdapter)
        schema = pa.schema({"id": pa.int64()})
        tree = exp.select("id").from_(exp.table_(table.name, db=table.schema, quoted=True))
        assert adapter.plan_query(tree, schema) is None


def void(_: object) -> None:
    return None


# --- metadata ---------------------------------------------------------------------------------------------------


def test_a_table_with_all_that_is_known_of_it(mariadb_server: Server, adapter: MySQLAdapter) -> None:
    mariadb_server.run(
        "USE adapter; CREATE TABLE `Wei``rd` (a int, `B b` varchar(5) NOT NULL, PRIMARY KEY (a, `B b`));"
        "CREATE TABLE child (x int COMMENT 'of the parent', y varchar(5), UNIQUE (y),"
        " FOREIGN KEY (x, y) REFERENCES `Wei``rd` (a, `B b`)) COMMENT = 'a child';"
        "CREATE VIEW seen AS SELECT x FROM child; CREATE SEQUENCE counter;"
    )
    listed = [each.name for each in adapter.list_tables() if each.schema == "adapter"]
    assert sorted(listed) == ["Wei`rd", "child", "seen"]
    parent, child = TableName("adapter", "Wei`rd"), adapter.get_table(TableName("adapter", "child"))
    assert adapter.get_table(parent).primary_key == ("a", "B b")
    assert adapter.get_table(parent).columns[1] == Column(
        "B b", pa.string(), False, "varchar(5)", Collation.INSENSITIVE
    )
    assert child.foreign_keys == (ForeignKey(("x", "y"), parent, ("a", "B b")),)
    assert (child.comment, child.columns[0].comment) == ("a child", "of the parent")
    assert answer(adapter, ScanRequest(parent, ("B b", "a"))).num_rows == 0


def test_many_tables_in_few_round_trips(
    mariadb_server: Server, adapter: MySQLAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With names that differ by case, of two schemas, and more than are asked for at once."""
    mariadb_server.create_database("adapter2")
    mariadb_server.run(
        "CREATE TABLE adapter2.parent (a int PRIMARY KEY) COMMENT 'above';"
        "USE adapter; CREATE TABLE `100% a?` (j json, t text COMMENT 'no JSON', b longtext CHECK (`b` <> ''));"
        "CREATE TABLE child (p int, d date, KEY (p), FOREIGN KEY (p) REFERENCES adapter2.parent (a));"
        "CREATE TABLE Child (other int); CREATE VIEW seen AS SELECT p FROM child; CREATE SEQUENCE counter;"
    )
    names = [TableName("adapter", each) for each in ("seen", "Child", "100% a?", "child", "CHILD", "counter")]
    names.insert(2, TableName("adapter2", "parent"))
    asked: list[str] = []
    rows = Session.rows

    def noting(self: Session, sql: str, *values: Any) -> Any:
        asked.append(sql)
        return rows(self, sql, *values)

    monkeypatch.setattr(Session, "rows", noting)
    found = {each.name: each for each in adapter.get_tables(names)}
    assert len(asked) <= SETTING_UP + 2 * 4
    monkeypatch.setattr("adapters.mysql._TABLES_AT_ONCE", 2)
    assert {each.name: each for each in adapter.get_tables(names)} == found
    there = [name for name in names if name.name not in ("CHILD", "counter")]
    assert found == {name: adapter.get_table(name) for name in there}


def test_a_column_that_is_not_there(mariadb_server: Server, adapter: MySQLAdapter) -> None:
    mariadb_server.run("CREATE TABLE adapter.t (a int)")
    with pytest.raises(ColumnNotFound):
        adapter.plan_scan(ScanRequest(TableName("adapter", "t"), ("a",), (Predicate("b", "is null"),)))


# --- what an island means ---------------------------------------------------------------------------------------


def test_literals_keep_every_character(adapter: MySQLAdapter) -> None:
    text = "a\\b\\\\ 'q' \"d\" `t` \n\t\0 % _ é🎉"
    select = exp.select(exp.alias_(exp.Literal.string(text), "a"))
    scan = adapter.plan_query(select, pa.schema({"a": pa.string()}))
    assert scan is not None
    assert read_all(adapter, scan).to_pylist() == [{"a": text}]


def test_timestamps_keep_microseconds(adapter: MySQLAdapter) -> None:
    moment = exp.cast(exp.Literal.string("2024-02-29 23:59:59.000001"), "TIMESTAMP")
    scan = adapter.plan_query(exp.select(exp.alias_(moment, "a")), pa.schema({"a": pa.timestamp("us")}))
    assert scan is not None
    assert read_all(adapter, scan).column("a").cast(pa.string()).to_pylist() == ["2024-02-29 23:59:59.000001"]


def test_floats_of_every_shape_of_query(mariadb_server: Server, adapter: MySQLAdapter) -> None:
    mariadb_server.run("CREATE TABLE adapter.f (v float); INSERT INTO adapter.f VALUES (16777215), (0.1)")
    exact = {16777215.0, pa.scalar(0.1, pa.float32()).as_py()}
    for text in (
        "SELECT v FROM adapter.f",
        "SELECT DISTINCT v AS v FROM adapter.f ORDER BY v LIMIT 5",
        "SELECT MAX(v) AS v FROM adapter.f GROUP BY v",
        "SELECT v FROM adapter.f UNION (SELECT v FROM adapter.f)",
        "WITH c AS (SELECT v FROM adapter.f) SELECT v FROM c",
    ):
        assert set(read(adapter, text, v=pa.float32()).column("v").to_pylist()) == exact, text


def test_results_wider_than_their_columns(adapter: MySQLAdapter) -> None:
    got = read(adapter, "SELECT SUM(9223372036854775807) AS s, COUNT(*) AS n, 1 = 1 AS b, 7.0 AS i",
               s=pa.decimal128(38, 0), n=pa.int64(), b=pa.bool_(), i=pa.decimal128(18, 3))  # fmt: skip
    assert got.to_pylist() == [{"s": Decimal(2**63 - 1), "n": 1, "b": True, "i": Decimal(7)}]


@pytest.mark.parametrize("kind", [pa.list_(pa.int64()), pa.month_day_nano_interval(), pa.struct([])])
def test_types_that_mysql_does_not_have_are_declined(adapter: MySQLAdapter, kind: pa.DataType) -> None:
    assert adapter.plan_query(*query("SELECT 1 AS a", a=kind)) is None


def test_nothing_can_be_written(mariadb_server: Server, adapter: MySQLAdapter) -> None:
    mariadb_server.run("CREATE SEQUENCE adapter.counter")
    with pytest.raises(ReadOnlyError, match="READ ONLY"):
        read(adapter, "SELECT NEXTVAL(adapter.counter) AS a", a=pa.int64())


# --- a source that changed, or is not there ---------------------------------------------------------------------


def test_a_table_dropped_after_planning(mariadb_server: Server, adapter: MySQLAdapter) -> None:
    name = TableName("adapter", "t")
    mariadb_server.run("CREATE TABLE adapter.t (a int, b int)")
    scan = adapter.plan_scan(ScanRequest(name, ("a", "b")))
    mariadb_server.run("ALTER TABLE adapter.t DROP b")
    with pytest.raises(SourceChanged):
        read_all(adapter, scan)
    with pytest.raises(ColumnNotFound):  # what was known of the table is forgotten
        adapter.plan_scan(ScanRequest(name, ("a", "b")))
    scan = adapter.plan_scan(ScanRequest(name, ("a",)))
    mariadb_server.run("DROP TABLE adapter.t")
    with pytest.raises(SourceChanged):
        read_all(adapter, scan)


def test_a_wrong_password_is_not_shown(uri: str) -> None:
    secret = "n0t-the-pässword"
    user, _, rest = uri.removeprefix("mysql://").partition(":")
    adapter = MySQLAdapter("my", {"uri": f"mysql://{user}:{secret}@{rest.partition('@')[2]}"})
    with pytest.raises(SourceAuthError) as caught:
        list(adapter.list_tables())
    assert secret not in f"{caught.value!s} {caught.value!r} {adapter._address!r}"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"uri": "postgresql://u:hush@h/d"},
        {"uri": "mysql://u:hush@h"},
        {"uri": "mysql://u:hush@h:port/d"},
        {"uri": "mysql://u:hush@h/d?tls=yes"},
        {"uri": "mysql://u:hush@h/d", "zero_dates": "epoch"},
    ],
)
def test_bad_options(options: dict[str, str]) -> None:
    with pytest.raises(CatalogError) as caught:
        MySQLAdapter("my", options)
    assert "hush" not in f"{caught.value!s}{caught.value.__cause__}"


def test_text_that_ci_collations_confuse(mariadb_server: Server, adapter: MySQLAdapter) -> None:
    mariadb_server.run("USE adapter; CREATE TABLE t (v varchar(9)); INSERT INTO t VALUES ('a'), ('A'), ('á'), ('a ')")
    request = ScanRequest(TableName("adapter", "t"), ("v",), (Predicate("v", "=", ("a",)),))
    assert rows_of(answer(adapter, request)) == ["('a',)"]
