"""Whole columns at once, as `adapters.postgres_packed` reads them, are what the same columns are row by row."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import sqlglot

from adapters.base import Collation, Predicate, Scan, ScanRequest, TableName
from adapters.errors import ConversionError
from adapters.postgres import PostgresAdapter
from adapters.postgres_packed import Digits
from adapters.postgres_types import Misfit, travel
from federation.engine import Engine
from tests.adapters.oracle import read_all
from tests.adapters.postgres_big import LONG_TEXT
from tests.servers import Server, run_sql

NAME = TableName("public", "numbers")
ROWS = 30_000
#: as declared, and the smallest step
KINDS = {
    "numeric(18, 0)": "1",
    "numeric(18, 2)": "0.01",
    "numeric(18, 18)": "1e-18",
    "numeric(5)": "1",
    "numeric(5, 1)": "0.1",
    "numeric(4, -3)": "1000",
    "numeric(2, 6)": "0.000001",
    "money_like": "0.01",
}
#: nine tenths of a page are empty, so that few rows make a large table
CREATE = f"""
DROP TABLE IF EXISTS numbers;
DROP DOMAIN IF EXISTS money_like;
CREATE DOMAIN money_like AS numeric(15, 2);
CREATE TABLE numbers (id int NOT NULL,
  {", ".join(f"n{i} {kind}, r{i} {kind} NOT NULL" for i, kind in enumerate(KINDS))})
  WITH (fillfactor = 10, autovacuum_enabled = off);
"""


@pytest.fixture(scope="module")
def uri(postgres_server: Server) -> str:
    return postgres_server.create_database("packed")


@pytest.fixture
def adapter(uri: str) -> Iterator[PostgresAdapter]:
    made = PostgresAdapter("pg", {"uri": uri})
    yield made
    made.close()


def statements(scan: Scan) -> list[str]:
    return [sql for each in scan.partitions for sql in each.payload.fetch.statements()]


def values(chosen: random.Random, kind: str) -> Iterator[Decimal]:
    """Of every length and sign, the largest ones too; endless."""
    digits = {"numeric(18": 18, "numeric(5": 5, "numeric(4": 4, "numeric(2": 2, "money_like": 15}
    most = next(count for start, count in digits.items() if kind.startswith(start))
    while True:
        length = chosen.randint(0, most)
        number = chosen.choice((0, 10**length - 1, chosen.randrange(10**length)))
        yield Decimal(number * chosen.choice((1, -1))) * Decimal(KINDS[kind])


def test_random_numbers_arrive_as_they_are(adapter: PostgresAdapter, uri: str) -> None:
    chosen = random.Random(7)
    sources = [values(chosen, kind) for kind in KINDS for _ in range(2)]
    rows = []
    for number in range(ROWS):
        row: list[Decimal | None] = [next(source) for source in sources]
        for column in range(0, len(row), 2):
            row[column] = None if chosen.random() < 0.3 else row[column]
        rows.append([number, *row])
    lines = "\n".join("\t".join("\\N" if each is None else f"{Decimal(each):f}" for each in row) for row in rows)
    run_sql(uri, f"{CREATE}COPY numbers FROM stdin;\n{lines}\n\\.\n")
    columns = tuple(column.name for column in adapter.get_table(NAME).columns)
    scan = adapter.plan_scan(ScanRequest(NAME, columns))
    assert all("'.')" in sql for sql in statements(scan))
    assert ["LATERAL" in sql for sql in statements(scan)[:2]] == [False, True]
    read = read_all(adapter, scan).sort_by("id")
    assert [list(row.values()) for row in read.to_pylist()] == rows


def test_each_range_is_found_by_its_pages(adapter: PostgresAdapter, uri: str) -> None:
    run_sql(uri, f"{CREATE}{_fill('1')}")
    every, some = (
        adapter.plan_scan(ScanRequest(NAME, ("id", "n0"), predicates))
        for predicates in ((), (Predicate("id", "<", (10,)),))
    )
    for sql in statements(every):
        plan = run_sql(uri, f"EXPLAIN {sql}")
        assert "Tid Range Scan" in plan
        assert "Seq Scan" not in plan
    assert not any("LATERAL" in sql for sql in statements(some))
    assert read_all(adapter, some).sort_by("id").column(0).to_pylist() == list(range(1, 10))
    every.close()


def test_ranges_without_rows(adapter: PostgresAdapter, uri: str) -> None:
    run_sql(uri, f"{CREATE}{_fill('1.5')}DELETE FROM numbers WHERE id BETWEEN 100 AND {ROWS - 100}")
    scan = adapter.plan_scan(ScanRequest(NAME, ("n4", "id")))
    assert len(scan.partitions) == 4
    read = read_all(adapter, scan)
    assert read.sort_by("id").column(1).to_pylist() == [*range(1, 100), *range(ROWS - 99, ROWS + 1)]
    assert set(read.column(0).to_pylist()) == {Decimal("1.5")}
    run_sql(uri, "DELETE FROM numbers")
    assert read_all(adapter, adapter.plan_scan(ScanRequest(NAME, ("n4", "id")))).num_rows == 0


def test_columns_that_were_added_or_widened(adapter: PostgresAdapter, uri: str) -> None:
    """Values that were never written, and values that were written as another type."""
    run_sql(
        uri,
        f"{CREATE}{_fill('-7')}ALTER TABLE numbers ADD added numeric(9, 3) NOT NULL DEFAULT 5;"
        "ALTER TABLE numbers ALTER n4 TYPE numeric(12, 1), ALTER n3 TYPE numeric(10, 4)",
    )
    read = read_all(adapter, adapter.plan_scan(ScanRequest(NAME, ("added", "n3", "n4"))))
    assert read.num_rows == ROWS
    assert {tuple(map(str, row.values())) for row in read.slice(0, 100).to_pylist()} == {("5.000", "-7.0000", "-7.0")}
    assert all(len(set(column.to_pylist())) == 1 for column in read.columns)


def test_computed_numbers_travel_as_integers(adapter: PostgresAdapter, uri: str) -> None:
    run_sql(uri, f"{CREATE}{_fill('-7')}")
    query = sqlglot.parse_one("SELECT n3 / 4 AS a, n4 AS b, n4 AS c FROM numbers", dialect="postgres")
    assert isinstance(query, sqlglot.exp.Query)
    wanted = pa.schema([("a", pa.decimal128(10, 2)), ("b", pa.decimal128(5, 1)), ("c", pa.decimal128(7, 3))])
    scan = adapter.plan_query(query, wanted)
    assert scan is not None
    assert "string_agg" in statements(scan)[0]
    read = read_all(adapter, scan)
    assert read.num_rows == ROWS
    assert {tuple(map(str, row.values())) for row in read.to_pylist()} == {("-1.75", "-7.0", "-7.000")}


@pytest.mark.parametrize("column", ["n0", "r0", "n1", "r1", "n7", "r7"])
@pytest.mark.parametrize("row", [1, ROWS // 2, ROWS])
def test_not_a_number_names_its_column(adapter: PostgresAdapter, filled: str, column: str, row: int) -> None:
    run_sql(filled, f"UPDATE numbers SET {column} = 'NaN' WHERE id = {row}")
    with pytest.raises(ConversionError, match=f'column "{column}"'):
        read_all(adapter, adapter.plan_scan(ScanRequest(NAME, ("id", "r2", column, "r3"))))
    run_sql(filled, f"UPDATE numbers SET {column} = 1 WHERE id = {row}")


TEXTS = TableName("public", "texts")
#: with their texts of a value
TEXT_KINDS: dict[str, Callable[[random.Random], object]] = {
    "text": lambda chosen: "".join(chosen.choices("aé漢🙂\x01' \\\t\n", k=chosen.choice((0, 1, 5, 40)))),
    "varchar(9)": lambda chosen: "".join(chosen.choices("xÿ ", k=chosen.randint(0, 9))),
    "char(5)": lambda chosen: "".join(chosen.choices("y ", k=chosen.randint(0, 5))).rstrip(),
    "name": lambda chosen: chosen.choice(("", "n", "pg_é")),
    "bytea": lambda chosen: chosen.randbytes(chosen.choice((0, 1, 30))),
    "mood": lambda chosen: chosen.choice(("sad", "ok", "très content")),
    "bool": lambda chosen: chosen.random() < 0.5,
    "uuid": lambda chosen: UUID(int=chosen.choice((0, 1, 2**128 - 1, chosen.getrandbits(128)))),
    "inet": lambda chosen: f"10.0.{chosen.randrange(256)}.1/8",
    "int": lambda chosen: chosen.randint(-(2**31), 2**31 - 1),
}
CREATE_TEXTS = f"""
DROP TABLE IF EXISTS texts;
DROP TYPE IF EXISTS mood;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'très content');
CREATE TABLE texts (id int NOT NULL,
  {", ".join(f"n{i} {kind}, r{i} {kind} NOT NULL" for i, kind in enumerate(TEXT_KINDS))})
  WITH (fillfactor = 10, autovacuum_enabled = off);
"""


@pytest.fixture(scope="module")
def texts(uri: str) -> list[list[object]]:
    """The rows of that table, without those between pages of NULLs alone."""
    chosen = random.Random(11)
    run_sql(uri, CREATE_TEXTS)
    rows: list[list[object]] = []
    for number in range(ROWS):
        row: list[object] = [number]
        for make in TEXT_KINDS.values():
            empty = number // 5000 == 2 or chosen.random() < 0.3
            row += [None if empty else make(chosen), make(chosen)]
        rows.append(row)
    with psycopg.connect(uri) as connection, connection.cursor().copy("COPY texts FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
    return rows


@pytest.mark.parametrize("most", [ROWS, 20_000], ids=["all", "some"])
def test_random_texts_arrive_as_they_are(adapter: PostgresAdapter, texts: list[list[object]], most: int) -> None:
    columns = tuple(column.name for column in adapter.get_table(TEXTS).columns)
    scan = adapter.plan_scan(ScanRequest(TEXTS, columns, () if most == ROWS else (Predicate("id", "<", (most,)),)))
    assert len(scan.partitions) == 4
    assert all("string_agg" in sql for sql in statements(scan))
    read = read_all(adapter, scan).sort_by("id")
    assert [list(row.values()) for row in read.to_pylist()] == texts[:most]
    plain = read_all(adapter, adapter.plan_scan(ScanRequest(TEXTS, columns, limit=1_000_000))).sort_by("id")
    assert plain.slice(0, most).equals(read)


def test_texts_alone_and_of_none(adapter: PostgresAdapter, texts: list[list[object]]) -> None:
    for column, index in (("n0", 1), ("r4", 10), ("n4", 9)):
        read = read_all(adapter, adapter.plan_scan(ScanRequest(TEXTS, (column,))))
        expected = Counter(row[index] for row in texts)
        assert Counter(read.column(0).to_pylist()) == expected


def test_texts_that_lie_outside_the_pages_come_row_by_row(adapter: PostgresAdapter, uri: str) -> None:
    create = "DROP TABLE IF EXISTS outside; CREATE TABLE outside (id int, t text) WITH (fillfactor = 10);"
    run_sql(uri, f"{create}INSERT INTO outside SELECT i, repeat('x', 90) FROM generate_series(1, {ROWS}) i")
    name = TableName("public", "outside")
    before = adapter.plan_scan(ScanRequest(name, ("id", "t")))
    run_sql(uri, f"INSERT INTO outside SELECT 0, {LONG_TEXT}")
    adapter.get_table(name)
    after = adapter.plan_scan(ScanRequest(name, ("id", "t")))
    assert all("string_agg" in sql for sql in statements(before))
    assert not any("string_agg" in sql for sql in statements(after))
    for scan in (before, after):  # and one that was planned when all lay within
        read = read_all(adapter, scan)
        assert read.num_rows == ROWS + 1
        assert pc.max(pc.utf8_length(read.column(1))).as_py() == 64_000


def test_a_long_default_that_was_never_written_comes_row_by_row(adapter: PostgresAdapter, uri: str) -> None:
    create = "DROP TABLE IF EXISTS later; CREATE TABLE later (id int, pad text) WITH (fillfactor = 10);"
    run_sql(uri, f"{create}INSERT INTO later SELECT i, repeat('x', 700) FROM generate_series(1, 5000) i")
    name = TableName("public", "later")
    for length, packed in ((10, True), (3000, False)):
        text = "".join(random.Random(length).choices("0123456789abcdef", k=length))
        run_sql(uri, f"ALTER TABLE later ADD t{length} text DEFAULT '{text}'")
        adapter.get_table(name)
        scan = adapter.plan_scan(ScanRequest(name, ("id", f"t{length}")))
        assert any("string_agg" in sql for sql in statements(scan)) is packed
        read = read_all(adapter, scan)
        assert read.num_rows == 5000
        assert pc.min(pc.utf8_length(read.column(1))).as_py() == length


def test_texts_of_another_encoding_come_row_by_row(postgres_server: Server) -> None:
    postgres_server.run("DROP DATABASE IF EXISTS latin")
    postgres_server.run("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'")
    uri = postgres_server.uri.rsplit("/", 1)[0] + "/latin"
    run_sql(uri, "CREATE TABLE t (id int, t text) WITH (fillfactor = 10);")
    run_sql(uri, f"INSERT INTO t SELECT i, chr(233) || repeat('x', 90) FROM generate_series(1, {ROWS}) i")
    with closing(PostgresAdapter("pg", {"uri": uri})) as adapter:
        name = TableName("public", "t")
        assert adapter.get_table(name).column("t").collation is Collation.UNKNOWN
        scan = adapter.plan_scan(ScanRequest(name, ("id", "t")))
        assert len(scan.partitions) == 4
        assert not any("string_agg" in sql for sql in statements(scan))
        assert set(read_all(adapter, scan).column(1).to_pylist()) == {"é" + "x" * 90}


def test_texts_of_another_encoding_are_compared_here(postgres_server: Server, tmp_path: Path) -> None:
    """By their bytes the euro sign comes before every é there."""
    postgres_server.run("DROP DATABASE IF EXISTS windows")
    postgres_server.run("CREATE DATABASE windows TEMPLATE template0 ENCODING 'WIN1252' LC_COLLATE 'C' LC_CTYPE 'C'")
    uri = postgres_server.uri.rsplit("/", 1)[0] + "/windows"
    run_sql(uri, "CREATE TABLE t (t text); INSERT INTO t VALUES ('é'), ('€'), ('a')")
    (tmp_path / "federation.toml").write_text(f'[sources.w]\nadapter = "postgres"\nuri = "{uri}"\n')
    with Engine.open(tmp_path / "federation.toml") as engine:
        for sql, expected in (
            ("SELECT t FROM w.t ORDER BY t", ["a", "é", "€"]),
            ("SELECT t FROM w.t ORDER BY t LIMIT 2", ["a", "é"]),
            ("SELECT max(t) FROM w.t", ["€"]),
            ("SELECT t FROM w.t WHERE t > 'é'", ["€"]),
            ("SELECT t FROM w.t WHERE t IN ('漢', 'é')", ["é"]),
            ("SELECT t FROM w.t JOIN (VALUES ('漢'), ('€')) v(k) ON t = k", ["€"]),
        ):
            with engine.query(sql) as result:
                assert result.read_all().column(0).to_pylist() == expected, sql


@pytest.fixture(scope="module")
def filled(uri: str) -> str:
    run_sql(uri, f"{CREATE}{_fill('1')}")
    return uri


def _fill(value: str) -> str:
    """Every number is the value, or zero where the type does not hold it."""
    holds = [kind for kind in KINDS if not kind.startswith(("numeric(18, 18)", "numeric(4", "numeric(2"))]
    numbers = ", ".join(f"{value}, {value}" if kind in holds else "0, 0" for kind in KINDS)
    return f"INSERT INTO numbers SELECT i, {numbers} FROM generate_series(1, {ROWS}) i;"


@pytest.mark.parametrize(
    ("scale", "text"),
    [
        (2, "NaN."),
        (2, "1.00.NaN.2.00."),
        (2, "NaN.NaN."),
        (2, "1.5.20.00."),
        (2, "1.505.20.0."),
        (2, "1.00.2."),
        (2, "1.00.2.00"),
        (2, "1.00.2"),
        (3, "NaN.NaN."),
        (2, "--1.00."),
        (2, "1-1.00."),
        (2, "9999999999999999999.00."),
        (0, "1.NaN."),
        (0, "1..2."),
        (0, "-Infinity."),
    ],
)
def test_what_is_no_such_number_is_never_another_number(scale: int, text: str) -> None:
    kind = travel(pa.decimal128(15, scale))
    assert kind is not None
    with pytest.raises(Misfit):
        Digits(kind).values(pa.py_buffer(text.encode()))


def test_digits() -> None:
    kinds = [travel(pa.decimal128(15, scale)) for scale in (0, 2)]
    whole, money = (Digits(kind) for kind in kinds if kind is not None)
    assert whole.values(pa.py_buffer(b"1.-20.0.")).tolist() == [1, -20, 0]
    assert money.values(pa.py_buffer(b"1.00.-0.20.1234567.89.")).tolist() == [100, -20, 123456789]
