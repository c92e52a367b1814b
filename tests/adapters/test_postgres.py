"""The conformance suite on PostgreSQL, its metadata, and its islands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest
import sqlglot

from adapters.base import CancelToken, Collation, ForeignKey, ScanRequest, TableName
from adapters.errors import CatalogError, ConversionError, SourceChanged, SourceUnavailable, TableNotFound
from adapters.postgres import PostgresAdapter
from tests.adapters.conformance import NUMBERS, PEOPLE, AdapterConformance
from tests.adapters.oracle import read_all, rows_of
from tests.servers import Server, run_sql

_COLUMNS = "(id bigint, name text, score double precision, born date, note text)"


def copy_of(table: pa.Table, name: str) -> str:
    """A psql script that fills a table."""

    def text(value: Any) -> str:
        if value is None:
            return "\\N"
        return str(value).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")

    lines = ["\t".join(map(text, row.values())) for row in table.to_pylist()]
    return "\n".join([f"COPY {name} FROM STDIN;", *lines, "\\.", ""])


@pytest.fixture(scope="module")
def uri(postgres_server: Server) -> str:
    found = postgres_server.create_database("adapter")
    run_sql(
        found,
        f"CREATE TABLE people {_COLUMNS}; CREATE TABLE numbers (n bigint);\n"
        + copy_of(PEOPLE, "people")
        + copy_of(NUMBERS, "numbers"),
    )
    return found


@pytest.fixture
def adapter(uri: str) -> Iterator[PostgresAdapter]:
    made = PostgresAdapter("pg", {"uri": uri})
    yield made
    made.close()


class TestPostgres(AdapterConformance):
    @pytest.fixture
    def adapter(self, uri: str) -> Iterator[PostgresAdapter]:
        made = PostgresAdapter("pg", {"uri": uri})
        yield made
        made.close()

    @pytest.fixture
    def vanishing(self, uri: str) -> tuple[TableName, Callable[[], None]]:
        run_sql(uri, f"DROP TABLE IF EXISTS passing; CREATE TABLE passing {_COLUMNS};\n" + copy_of(PEOPLE, "passing"))
        return TableName("public", "passing"), lambda: void(run_sql(uri, "DROP TABLE passing"))

    @pytest.fixture
    def analyzed(self, uri: str, adapter: PostgresAdapter) -> PostgresAdapter:
        run_sql(uri, "ANALYZE people, numbers")
        return adapter


def void(_: object) -> None:
    return None


def island(adapter: PostgresAdapter, sql: str, **types: pa.DataType) -> list[dict[str, Any]]:
    query = sqlglot.parse_one(sql, dialect="postgres")
    assert isinstance(query, sqlglot.exp.Query)
    scan = adapter.plan_query(query, pa.schema(types))
    assert scan is not None
    return read_all(adapter, scan).to_pylist()


# --- metadata


def test_every_kind_of_relation_is_listed(adapter: PostgresAdapter, uri: str) -> None:
    run_sql(
        uri,
        """
        DROP SCHEMA IF EXISTS "Sales" CASCADE; CREATE SCHEMA "Sales"; SET search_path = "Sales";
        CREATE TABLE "Order Lines" (id int); CREATE VIEW v AS SELECT 1 AS one;
        CREATE MATERIALIZED VIEW mv AS SELECT 1 AS one; CREATE TABLE parted (id int) PARTITION BY RANGE (id);
        CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
        CREATE FOREIGN DATA WRAPPER nothing; CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing;
        CREATE FOREIGN TABLE far (id int) SERVER nowhere;
        CREATE SEQUENCE not_a_table; CREATE INDEX nor_this ON "Order Lines" (id); CREATE TYPE nor_that AS (a int);
        """,
    )
    names = {each.name for each in adapter.list_tables() if each.schema == "Sales"}
    run_sql(uri, 'DROP SCHEMA "Sales" CASCADE; DROP FOREIGN DATA WRAPPER nothing CASCADE')
    assert names == {"Order Lines", "v", "mv", "parted", "parted_1", "far"}
    assert {each.schema for each in adapter.list_tables()} == {"public"}


def test_keys_comments_and_nullability(adapter: PostgresAdapter, uri: str) -> None:
    run_sql(
        uri,
        """
        DROP TABLE IF EXISTS child, parent;
        CREATE TABLE parent (b int, gone int, a text, PRIMARY KEY (a, b)); ALTER TABLE parent DROP COLUMN gone;
        CREATE TABLE child (id bigint PRIMARY KEY, p_b int NOT NULL, p_a text,
          FOREIGN KEY (p_a, p_b) REFERENCES parent (a, b));
        COMMENT ON TABLE child IS 'it''s a child'; COMMENT ON COLUMN child.p_a IS 'of the parent';
        """,
    )
    parent, child = (adapter.get_table(TableName("public", name)) for name in ("parent", "child"))
    assert [column.name for column in parent.columns] == ["b", "a"]
    assert parent.primary_key == ("a", "b")
    assert child.primary_key == ("id",)
    assert child.foreign_keys == (ForeignKey(("p_a", "p_b"), TableName("public", "parent"), ("a", "b")),)
    assert [column.nullable for column in child.columns] == [False, False, True]
    assert child.comment == "it's a child"
    assert [column.comment for column in child.columns] == [None, None, "of the parent"]


def test_what_a_foreign_table_declares_is_not_checked_by_anybody(adapter: PostgresAdapter, uri: str) -> None:
    run_sql(
        uri,
        """CREATE FOREIGN DATA WRAPPER unchecked; CREATE SERVER unchecked FOREIGN DATA WRAPPER unchecked;
        CREATE FOREIGN TABLE unchecked (id int NOT NULL) SERVER unchecked""",
    )
    assert adapter.get_table(TableName("public", "unchecked")).columns[0].nullable
    run_sql(uri, "DROP FOREIGN DATA WRAPPER unchecked CASCADE")


def test_collations(adapter: PostgresAdapter, uri: str) -> None:
    run_sql(
        uri,
        """
        DROP TABLE IF EXISTS texts; DROP COLLATION IF EXISTS ci;
        CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
        CREATE TABLE texts (plain text, c text COLLATE "C", posix varchar(3) COLLATE "POSIX",
          basic text COLLATE ucs_basic,
          german text COLLATE "de-x-icu", english text COLLATE "en_US", ci text COLLATE ci, name name, n int);
        """,
    )
    found = {column.name: column.collation for column in adapter.get_table(TableName("public", "texts")).columns}
    binary, locale = Collation.BINARY, Collation.LOCALE
    assert found == {
        "plain": locale, "c": binary, "posix": binary, "basic": binary, "german": locale, "english": locale,
        "ci": Collation.INSENSITIVE, "name": binary, "n": binary,
    }  # fmt: skip


def test_a_database_in_the_c_locale_is_binary(postgres_server: Server) -> None:
    uri = postgres_server.create_database("empty")
    postgres_server.run("DROP DATABASE IF EXISTS c_locale; CREATE DATABASE c_locale LC_COLLATE 'C' TEMPLATE template0")
    in_c = uri.replace("/empty", "/c_locale")
    run_sql(in_c, "CREATE TABLE t (a text)")
    adapter = PostgresAdapter("pg", {"uri": in_c})
    assert adapter.get_table(TableName("public", "t")).columns[0].collation is Collation.BINARY
    adapter.close()


# --- islands


def test_an_island_is_cast_to_what_was_described(adapter: PostgresAdapter) -> None:
    types: dict[str, pa.DataType] = {
        "count": pa.int64(),
        "sum": pa.decimal128(38, 0),
        "half": pa.decimal128(20, 1),
        "text": pa.string(),
    }
    rows = island(adapter, "SELECT COUNT(*), SUM(n), MIN(n) + 0.5, 'x' FROM numbers", **types)
    assert [{name: str(value) for name, value in row.items()} for row in rows] == [
        {"count": "20000", "sum": str(sum(range(20000))), "half": "0.5", "text": "x"}
    ]


def test_the_order_of_an_island_is_kept(adapter: PostgresAdapter) -> None:
    rows = island(adapter, "SELECT n FROM numbers ORDER BY n % 7 DESC, n LIMIT 5", n=pa.int64())
    assert [row["n"] for row in rows] == [6, 13, 20, 27, 34]


def test_common_table_expressions_are_no_tables(adapter: PostgresAdapter) -> None:
    rows = island(adapter, "WITH few AS (SELECT n FROM numbers WHERE n < 3) SELECT COUNT(*) FROM few", count=pa.int64())
    assert rows == [{"count": 3}]


def test_an_unknown_type_is_declined(adapter: PostgresAdapter) -> None:
    query = sqlglot.parse_one("SELECT n FROM numbers", dialect="postgres")
    assert isinstance(query, sqlglot.exp.Query)
    assert adapter.plan_query(query, pa.schema({"n": pa.struct([("a", pa.int64())])})) is None


def test_types_without_operators_have_stand_ins(adapter: PostgresAdapter, uri: str) -> None:
    run_sql(
        uri,
        "DROP TABLE IF EXISTS prices; CREATE TABLE prices (id oid, price money);"
        "INSERT INTO prices VALUES (4294967295, 12.50), (1, 0.99)",
    )
    rows = island(
        adapter, "SELECT id + 1, price * 2 FROM prices WHERE price > 1.5", id=pa.int64(), price=pa.decimal128(19, 2)
    )
    assert [(row["id"], str(row["price"])) for row in rows] == [(4294967296, "25.00")]


@pytest.mark.parametrize(
    ("sql", "type_"),
    [
        ("SELECT 'NaN'::numeric", pa.decimal128(10, 2)),
        ("SELECT 1e20::numeric", pa.decimal128(18, 0)),
        ("SELECT 12345::numeric", pa.decimal128(4, 0)),
        ("SELECT 'NaN'::numeric", pa.decimal128(38, 10)),
        ("SELECT 'Infinity'::numeric", pa.decimal128(38, 10)),
        ("SELECT 0.00000000001::numeric", pa.decimal128(38, 10)),
        ("SELECT 1e28::numeric", pa.decimal128(38, 10)),
        ("SELECT ARRAY[[1, 2], [3, 4]]", pa.list_(pa.int32())),
        ("SELECT INTERVAL '2562048 hours'", pa.month_day_nano_interval()),
        ("SELECT TIMESTAMP '294276-12-31'", pa.timestamp("us")),
        ("SELECT TIMESTAMPTZ '294276-12-31'", pa.timestamp("us", "UTC")),
    ],
)
def test_a_value_that_does_not_fit_names_its_column_and_a_cast(
    adapter: PostgresAdapter, sql: str, type_: pa.DataType
) -> None:
    with pytest.raises(ConversionError) as caught:
        island(adapter, f"{sql} AS v, 1.5::numeric(3, 1) AS fine", the_column=type_, fine=pa.decimal128(3, 1))
    assert 'column "the_column"' in caught.value.message
    assert "::" in (caught.value.hint or "")
    assert caught.value.source == "pg"


# --- changes between planning and reading


@pytest.mark.parametrize(
    "change",
    [
        "DROP TABLE shifting",
        "ALTER TABLE shifting DROP COLUMN amount",
        "ALTER TABLE shifting ALTER amount TYPE numeric(10, 4)",
        "ALTER TABLE shifting ALTER amount TYPE text",
        "ALTER TABLE shifting RENAME amount TO other",
        "DROP TABLE shifting; CREATE TABLE shifting (amount bigint, id text)",
    ],
)
def test_a_table_that_changed_is_an_error(adapter: PostgresAdapter, uri: str, change: str) -> None:
    run_sql(
        uri,
        "DROP TABLE IF EXISTS shifting; CREATE TABLE shifting (id int, amount numeric(10, 2));"
        "INSERT INTO shifting VALUES (1, 1.25)",
    )
    name = TableName("public", "shifting")
    adapter.get_table(name)
    scan = adapter.plan_scan(ScanRequest(name, ("id", "amount")))
    run_sql(uri, change)
    with pytest.raises(SourceChanged) as caught:
        read_all(adapter, scan)
    assert caught.value.source == "pg"
    assert caught.value.retryable


def test_a_column_that_was_added_does_not_matter(adapter: PostgresAdapter, uri: str) -> None:
    run_sql(uri, "DROP TABLE IF EXISTS growing; CREATE TABLE growing (id int); INSERT INTO growing VALUES (1)")
    scan = adapter.plan_scan(ScanRequest(TableName("public", "growing"), ("id",)))
    run_sql(uri, "ALTER TABLE growing ADD COLUMN more text DEFAULT 'x'")
    assert rows_of(read_all(adapter, scan)) == ["(1,)"]


def test_a_changed_table_is_read_after_it_was_looked_at_again(adapter: PostgresAdapter, uri: str) -> None:
    run_sql(uri, "DROP TABLE IF EXISTS renewed; CREATE TABLE renewed (id int); INSERT INTO renewed VALUES (7)")
    name = TableName("public", "renewed")
    adapter.get_table(name)
    run_sql(uri, "ALTER TABLE renewed ALTER id TYPE text")
    assert adapter.get_table(name).columns[0].type == pa.string()
    assert rows_of(read_all(adapter, adapter.plan_scan(ScanRequest(name, ("id",))))) == ["('7',)"]


def test_a_dropped_table_is_not_found(adapter: PostgresAdapter, uri: str) -> None:
    run_sql(uri, "DROP TABLE IF EXISTS brief; CREATE TABLE brief (id int)")
    adapter.get_table(TableName("public", "brief"))
    run_sql(uri, "DROP TABLE brief")
    with pytest.raises(TableNotFound):
        adapter.get_table(TableName("public", "brief"))


# --- connecting


def test_a_uri_is_required() -> None:
    with pytest.raises(CatalogError, match="uri"):
        PostgresAdapter("pg", {})


@pytest.mark.parametrize(
    "change",
    [("127.0.0.1:", "127.0.0.1:1"), ("/adapter", "/no_such_database"), ("@127.0.0.1", "x@127.0.0.1"), ("@", "@@")],
)
def test_a_source_that_is_down_is_unavailable_and_keeps_its_secrets(uri: str, change: tuple[str, str]) -> None:
    adapter = PostgresAdapter("pg", {"uri": uri.replace(*change)})
    password = uri.split("@")[0].split(":")[-1]
    with pytest.raises(SourceUnavailable) as caught:
        adapter.list_tables()
    assert caught.value.source == "pg"
    assert caught.value.hint
    error: BaseException | None = caught.value
    while error is not None:
        assert password not in str(error)
        error = error.__cause__
    adapter.close()


@pytest.mark.parametrize(
    "uri",
    [
        "host=127.0.0.1 port=1 user=u password=hush5ecret dbname=d",
        "host=127.0.0.1 port=1 user=u password='hush5ecret' dbname=d nonsense",
        "postgresql://u@127.0.0.1:1/d?password=hush5ecret",
        "postgresql://u:hush5ecret@127.0.0.1:hush5ecret/d",
        "hush5ecret",
    ],
)
def test_no_form_of_the_uri_shows_its_password(uri: str) -> None:
    adapter = PostgresAdapter("pg", {"uri": uri})
    with pytest.raises(SourceUnavailable) as caught:
        adapter.list_tables()
    assert "hush5ecret" not in f"{caught.value} {caught.value.__cause__}"
    adapter.close()


def test_nothing_can_be_written(adapter: PostgresAdapter, uri: str) -> None:
    run_sql(uri, "DROP SEQUENCE IF EXISTS counter; CREATE SEQUENCE counter")
    with pytest.raises(Exception, match="read-only"):
        island(adapter, "SELECT nextval('counter')", n=pa.int64())
    assert run_sql(uri, "SELECT is_called FROM counter").strip() == "f"


def test_the_session_is_in_utc(adapter: PostgresAdapter) -> None:
    rows = island(adapter, "SELECT TIMESTAMPTZ '2024-01-01 00:00+00' AS t", t=pa.string())
    assert rows == [{"t": "2024-01-01 00:00:00+00"}]


def test_a_schema_of_ones_own_is_the_default(uri: str) -> None:
    run_sql(uri, 'DROP SCHEMA IF EXISTS "My" CASCADE; CREATE SCHEMA "My"; CREATE TABLE "My".t AS SELECT 5 AS n')
    adapter = PostgresAdapter("pg", {"uri": uri, "schema": "My"})
    assert adapter.default_schema == "My"
    assert island(adapter, "SELECT n FROM t", n=pa.int32()) == [{"n": 5}]
    adapter.close()
    run_sql(uri, 'DROP SCHEMA "My" CASCADE')


def test_a_cancel_token_that_is_spent_opens_nothing(adapter: PostgresAdapter) -> None:
    scan = adapter.plan_scan(ScanRequest(TableName("public", "people"), ("id",)))
    cancel = CancelToken()
    cancel.cancel(SourceUnavailable("spent"))
    with pytest.raises(SourceUnavailable, match="spent"):
        adapter.read(scan.partitions[0], cancel).read_all()
