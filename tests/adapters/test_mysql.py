from __future__ import annotations

import gc
import itertools
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal

import pyarrow as pa
import pytest
import sqlglot
from sqlglot import exp

from adapters.base import (
    CancelToken,
    Collation,
    Column,
    ForeignKey,
    Partition,
    Predicate,
    ScanRequest,
    TableName,
)
from adapters.errors import (
    CardinalityViolation,
    CatalogError,
    ColumnNotFound,
    QueryTimeout,
    SourceAuthError,
    SourceChanged,
    SourceError,
    SourceUnavailable,
)
from adapters.mysql import MySQLAdapter
from tests.adapters.conformance import NUMBERS, PEOPLE, AdapterConformance
from tests.adapters.oracle import answer, read_all, rows_of, run_bounded
from tests.servers import Server, start_mariadb

_NUMBER = itertools.count()


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


def query(text: str, **types: pa.DataType) -> tuple[exp.Query, pa.Schema]:
    tree = sqlglot.parse_one(text, dialect="mysql")
    assert isinstance(tree, exp.Query)
    return tree, pa.schema(types)


def island(adapter: MySQLAdapter, text: str, **types: pa.DataType) -> Partition:
    scan = adapter.plan_query(*query(text, **types))
    assert scan is not None
    return scan.partitions[0]


def read(adapter: MySQLAdapter, text: str, cancel: CancelToken | None = None, **types: pa.DataType) -> pa.Table:
    return adapter.read(island(adapter, text, **types), cancel or CancelToken()).read_all()


@pytest.fixture
def uri(mariadb_server: Server) -> str:
    return mariadb_server.create_database("adapter")


@pytest.fixture
def adapter(uri: str) -> Iterator[MySQLAdapter]:
    made = MySQLAdapter("my", {"uri": uri})
    yield made
    made.close()


def statements(server: Server) -> list[str]:
    """What the connections of adapters are busy with."""
    text = server.run("SELECT ID, INFO FROM information_schema.PROCESSLIST WHERE INFO IS NOT NULL")
    return [line for line in text.splitlines() if "PROCESSLIST" not in line]


def wait_until(condition: Callable[[], bool]) -> None:
    gone = threading.Event()
    run_bounded(lambda: all(condition() or gone.wait(0.02) for _ in iter(lambda: not condition(), False)))
    assert condition()


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

    def test_an_island(self, adapter: MySQLAdapter, table: TableName) -> None:
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
    with pytest.raises(SourceError, match="READ ONLY"):
        read(adapter, "SELECT NEXTVAL(adapter.counter) AS a", a=pa.int64())


# --- long reads -------------------------------------------------------------------------------------------------


def test_rows_of_more_than_one_packet(mariadb_server: Server, adapter: MySQLAdapter) -> None:
    """A row over 16 MiB is sent in several packets; the exact multiple ends with an empty one."""
    mariadb_server.run("SET GLOBAL max_allowed_packet = 67108864")
    head = 2 + 4  # the number and the length before the text
    sizes = [0xFFFFFF - head, 0xFFFFFF - head - 1, 0xFFFFFF - head + 1, 2 * 0xFFFFFF, 40_000_000]
    parts = [f"SELECT {place} AS i, REPEAT('abcdefg', {size // 7 + 1}) AS v, {size} AS n"
             for place, size in enumerate([5, *sizes, 5])]  # fmt: skip
    text = f"SELECT i, LEFT(v, n) AS v, n FROM ({' UNION ALL '.join(parts)}) AS q"
    got = read(adapter, text, i=pa.int8(), v=pa.string(), n=pa.int64())
    values = [value.as_py() for value in got.column("v")]
    assert [len(value) for value in values] == [5, *sizes, 5] == got.column("n").to_pylist()
    assert all(value == ("abcdefg" * (len(value) // 7 + 1))[: len(value)] for value in values)


def test_a_long_read_holds_little(adapter: MySQLAdapter) -> None:
    text = "SELECT seq AS n, REPEAT('x', seq % 2000) AS v FROM seq_1_to_100000"
    rows = length = most = 0
    for batch in adapter.read(island(adapter, text, n=pa.int64(), v=pa.string()), CancelToken()):
        rows += batch.num_rows
        length += sum(len(value.as_py()) for value in batch.column(1))
        most = max(most, batch.nbytes)
        del batch
    assert (rows, length) == (100_000, sum(n % 2000 for n in range(1, 100_001)))
    assert most < 4 << 20
    assert pa.total_allocated_bytes() < 64 << 20


def test_the_last_row_of_a_slow_result_is_not_waited_for(adapter: MySQLAdapter) -> None:
    assert read(adapter, "SELECT 1 AS a UNION ALL SELECT SLEEP(0.2)", a=pa.int64()).column("a").to_pylist() == [1, 0]


# --- the end of a read before its time --------------------------------------------------------------------------


def test_a_cancel_reaches_the_server(mariadb_server: Server, adapter: MySQLAdapter) -> None:
    """The sleep would last longer than the bound: only a cancel that arrives ends it."""
    cancel = CancelToken()
    cause = QueryTimeout("out of time")
    failures: list[BaseException] = []

    def run() -> None:
        try:
            read(adapter, "SELECT SLEEP(3600) AS a", cancel, a=pa.int64())
        except BaseException as exc:
            failures.append(exc)

    reader = threading.Thread(target=run, daemon=True)
    reader.start()
    wait_until(lambda: any("SLEEP(3600)" in each for each in statements(mariadb_server)))
    cancel.cancel(cause)
    reader.join(60)
    assert failures == [cause]
    wait_until(lambda: not statements(mariadb_server))
    assert read(adapter, "SELECT 1 AS a", a=pa.int64()).num_rows == 1


def test_an_abandoned_read_ends_at_the_server(mariadb_server: Server, adapter: MySQLAdapter) -> None:
    text = "SELECT a.seq AS n FROM seq_1_to_10000000 AS a, seq_1_to_1000 AS b"
    reader = adapter.read(island(adapter, text, n=pa.int64()), CancelToken())
    assert reader.read_next_batch().num_rows
    assert any("seq_1_to_10000000" in each for each in statements(mariadb_server))
    del reader
    gc.collect()
    wait_until(lambda: not statements(mariadb_server))


def test_a_connection_killed_during_the_read(mariadb_server: Server, adapter: MySQLAdapter) -> None:
    text = "SELECT a.seq AS n FROM seq_1_to_10000000 AS a, seq_1_to_1000 AS b"
    reader = adapter.read(island(adapter, text, n=pa.int64()), CancelToken())
    reader.read_next_batch()
    (busy,) = [each.split("\t")[0] for each in statements(mariadb_server)]
    mariadb_server.run(f"KILL {busy}")
    with pytest.raises(SourceUnavailable) as caught:
        for _ in reader:
            pass
    assert caught.value.source == "my"
    assert caught.value.retryable
    assert read(adapter, "SELECT 1 AS a", a=pa.int64()).num_rows == 1


def test_a_query_killed_at_the_server(mariadb_server: Server, adapter: MySQLAdapter) -> None:
    reader = adapter.read(
        island(adapter, "SELECT a.seq AS n FROM seq_1_to_10000000 AS a, seq_1_to_1000 AS b", n=pa.int64()),
        CancelToken(),
    )
    reader.read_next_batch()
    (busy,) = [each.split("\t")[0] for each in statements(mariadb_server)]
    mariadb_server.run(f"KILL QUERY {busy}")
    with pytest.raises(SourceUnavailable):
        for _ in reader:
            pass


def test_an_error_in_the_middle_of_the_rows(adapter: MySQLAdapter) -> None:
    text = "SELECT (SELECT b.seq FROM seq_1_to_2 AS b WHERE b.seq = 1 OR a.seq = 150000) AS n FROM seq_1_to_200000 AS a"
    reader = adapter.read(island(adapter, text, n=pa.int64()), CancelToken())
    with pytest.raises(CardinalityViolation) as caught:
        for _ in reader:
            pass
    assert caught.value.source == "my"


def test_an_idle_connection_that_the_server_closed_is_replaced(mariadb_server: Server, adapter: MySQLAdapter) -> None:
    own = read(adapter, "SELECT CONNECTION_ID() AS a", a=pa.int64()).column("a")[0].as_py()
    mariadb_server.run(f"KILL {own}")
    wait_until(lambda: f"{own}" not in mariadb_server.run("SELECT ID FROM information_schema.PROCESSLIST").split())
    assert read(adapter, "SELECT CONNECTION_ID() AS a", a=pa.int64()).column("a")[0].as_py() != own


def test_connections_are_used_again(adapter: MySQLAdapter) -> None:
    used = {read(adapter, "SELECT CONNECTION_ID() AS a", a=pa.int64()).column("a")[0].as_py() for _ in range(5)}
    assert len(used) == 1


def test_the_time_limit_of_the_source(uri: str) -> None:
    adapter = MySQLAdapter("my", {"uri": uri, "limits": {"timeout": 0.2}})
    with pytest.raises(QueryTimeout) as caught:
        read(adapter, "SELECT COUNT(*) AS a FROM seq_1_to_10000000 AS a, seq_1_to_10000000 AS b", a=pa.int64())
    assert caught.value.source == "my"
    adapter.close()


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


def test_a_server_that_stops() -> None:
    server = start_mariadb()
    adapter = MySQLAdapter("my", {"uri": server.uri})
    part = island(adapter, "SELECT a.seq AS n FROM seq_1_to_10000000 AS a, seq_1_to_1000 AS b", n=pa.int64())
    reader = adapter.read(part, CancelToken())
    reader.read_next_batch()
    stopping = threading.Thread(target=server.stop)
    stopping.start()
    with pytest.raises(SourceUnavailable):
        for _ in reader:
            pass
    stopping.join()
    with pytest.raises(SourceUnavailable) as caught:
        list(adapter.list_tables())
    assert caught.value.hint
    adapter.close()


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
