"""The SQLAlchemy dialect, over a catalog in this process and over a server."""

from __future__ import annotations

import datetime
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas
import polars
import pytest
import sqlalchemy as sa
from sqlalchemy import exc

from federation.sqlalchemy.dialect import FederationDialect
from federation.sqlalchemy.types import Nested, type_of
from tests.http.running import Running, free_port, start_server

CATALOG = """
[sources.crm]
adapter = "sqlite"
path = "crm.db"

[sources.files]
adapter = "files"
path = "data/*.csv"

[tables."crm.customers"]
comment = "who buys"

[views."customer.names"]
sql = "SELECT id, name FROM crm.customers"
"""
TABLES = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, balance NUMERIC(10,2), since DATE);
CREATE TABLE orders (
  id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers (id), "select" TEXT, amount NUMERIC(9,2));
INSERT INTO customers VALUES (1, 'Ada', 10.5, '2026-01-02'), (2, 'Bo', NULL, NULL), (3, 'Cy', -1.25, '2025-01-01');
INSERT INTO orders VALUES (1, 1, 'x', 1.5), (2, 1, 'y', 2.5), (3, 3, 'it''s', 100);
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("catalog")
    with closing(sqlite3.connect(folder / "crm.db")) as database:
        database.executescript(TABLES)
    (folder / "data").mkdir()
    (folder / "data" / "tickets.csv").write_text("customer_id,subject\n1,late\n3,lost\n")
    (folder / "federation.toml").write_text(CATALOG)
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Running]:
    with start_server(folder) as running:
        yield running


@pytest.fixture(scope="module", params=["embedded", "remote"])
def engine(request: pytest.FixtureRequest, folder: Path) -> Iterator[sa.Engine]:
    if request.param == "embedded":
        made = sa.create_engine(f"federation:///{folder}/federation.toml")
    else:
        server: Running = request.getfixturevalue("server")
        made = sa.create_engine(server.url.replace("http://", "federation://"))
    yield made
    made.dispose()


@pytest.fixture
def connection(engine: sa.Engine) -> Iterator[sa.Connection]:
    with engine.connect() as connection:
        yield connection


@pytest.fixture
def orders(engine: sa.Engine) -> sa.Table:
    return sa.Table("orders", sa.MetaData(), schema="crm", autoload_with=engine)


def test_text_with_parameters(connection: sa.Connection) -> None:
    found = connection.execute(sa.text("SELECT name FROM crm.customers WHERE id = :id"), {"id": 1})
    assert found.all() == [("Ada",)]


def test_the_catalog_is_reflected(engine: sa.Engine) -> None:
    inspector = sa.inspect(engine)
    assert inspector.get_schema_names() == ["crm", "customer", "files"]
    assert inspector.get_table_names("crm") == ["customers", "orders"]
    assert inspector.get_table_names("nothing") == []
    assert inspector.get_view_names("customer") == ["names"]
    assert inspector.get_view_names("crm") == []
    assert inspector.get_table_names() == ["customers", "orders", "tickets"]
    assert inspector.get_view_names() == ["names"]
    assert inspector.has_table("orders", "crm")
    assert inspector.has_table("names", "customer")
    assert not inspector.has_table("order", "crm")
    assert not inspector.has_table("orders", "nothing")


def test_a_table_is_reflected(engine: sa.Engine) -> None:
    inspector = sa.inspect(engine)
    columns = {column["name"]: column for column in inspector.get_columns("customers", "crm")}
    assert list(columns) == ["id", "name", "balance", "since"]
    assert isinstance(columns["balance"]["type"], sa.DECIMAL)
    assert (columns["balance"]["type"].precision, columns["balance"]["type"].scale) == (10, 2)
    assert isinstance(columns["since"]["type"], sa.DATE)
    assert not columns["name"]["nullable"]
    assert inspector.get_pk_constraint("customers", "crm")["constrained_columns"] == ["id"]
    assert inspector.get_table_comment("customers", "crm") == {"text": "who buys"}
    [key] = inspector.get_foreign_keys("orders", "crm")
    assert (key["constrained_columns"], key["referred_schema"], key["referred_table"], key["referred_columns"]) == (
        ["customer_id"],
        "crm",
        "customers",
        ["id"],
    )
    with pytest.raises(exc.NoSuchTableError):
        inspector.get_columns("nothing", "crm")


def test_metadata_are_reflected_with_their_keys(engine: sa.Engine) -> None:
    metadata = sa.MetaData()
    metadata.reflect(engine, schema="crm")
    orders, customers = metadata.tables["crm.orders"], metadata.tables["crm.customers"]
    assert orders.c.customer_id.references(customers.c.id)
    with engine.connect() as connection:
        total = sa.func.sum(orders.c.amount)
        query = sa.select(customers.c.name, total).join_from(customers, orders).group_by(customers.c.name)
        assert connection.execute(query.order_by(total)).all() == [("Ada", Decimal("4.00")), ("Cy", Decimal("100.00"))]


def test_what_is_written_differently(connection: sa.Connection, orders: sa.Table) -> None:
    ids = sa.select(orders.c.id).order_by(orders.c.id)
    asked: list[tuple[Any, list[Any]]] = [
        (ids.offset(2), [3]),
        (ids.limit(1).offset(1), [2]),
        (ids.where(orders.c.id.in_([])), []),
        (ids.where(orders.c.id.not_in([])), [1, 2, 3]),
        (ids.where(orders.c.id.in_([1, 3])).with_for_update(), [1, 3]),
        (ids.where(orders.c["select"].ilike("X")), [1]),
        (ids.where(orders.c["select"].regexp_match("^[xy]$")), [1, 2]),
        (ids.where(~orders.c["select"].regexp_match("^X$", flags="i")), [2, 3]),
        (ids.where(orders.c["select"] == "it's"), [3]),
        (sa.select(sa.literal(6).bitwise_xor(3)), [5]),
        (sa.select(sa.literal(7) / sa.literal(2)), [Decimal("3.5")]),
        (sa.select(sa.literal(7) // sa.literal(2)), [3]),
        (sa.select(sa.literal(-7) // sa.literal(2)), [-4]),
        (sa.select(sa.cast(sa.literal("0.12345"), sa.Numeric)), [Decimal("0.12345")]),
        (sa.select(sa.cast(sa.literal(0.1), sa.Float)), [0.1]),
        (sa.select(sa.try_cast(sa.literal("x"), sa.Integer)), [None]),
        (sa.select(sa.func.aggregate_strings(orders.c["select"], ",")).where(orders.c.id == 3), ["it's"]),
        (sa.select(sa.literal("a").regexp_replace("a", "b")), ["b"]),
    ]
    for query, expected in asked:
        assert connection.scalars(query).all() == expected, query


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (sa.Boolean(), True),
        (sa.BigInteger(), 2**62),
        (sa.Numeric(20, 5), Decimal("1234567890.12345")),
        (sa.Double(), 0.1),
        (sa.String(), "日本 % 'x'"),
        (sa.LargeBinary(), b"\x00\xff"),
        (sa.Date(), datetime.date(2026, 1, 2)),
        (sa.Time(), datetime.time(1, 2, 3, 4)),
        (sa.DateTime(), datetime.datetime(2026, 1, 2, 3, 4, 5)),
        (sa.DateTime(timezone=True), datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)),
        (sa.JSON(), {"a": [1, None, "x"]}),
        (sa.Enum("a", "b"), "b"),
        (sa.ARRAY(sa.Integer()), [1, 2]),
    ],
    ids=repr,
)
def test_values_come_back(connection: sa.Connection, kind: Any, value: Any) -> None:
    found = connection.scalar(sa.select(sa.cast(sa.literal(value, kind), kind)))
    assert (found, type(found)) == (value, type(value))


def test_errors_are_those_of_pep_249(connection: sa.Connection, orders: sa.Table) -> None:
    with pytest.raises(exc.ProgrammingError) as caught:
        connection.execute(sa.text("SELECT * FROM crm.nothing"))
    assert caught.value.orig is not None
    assert caught.value.orig.sqlstate == "42P01"  # type: ignore[attr-defined]
    writes: list[Any] = [sa.insert(orders).values(id=9), sa.update(orders).values(id=9), sa.delete(orders)]
    for write in (*writes, sa.schema.CreateTable(sa.Table("t", sa.MetaData(), sa.Column("x", sa.Integer)))):
        with pytest.raises((exc.ProgrammingError, exc.NotSupportedError)):
            connection.execute(write)
    assert connection.scalar(sa.select(sa.func.count()).select_from(orders)) == 3


def test_frames(engine: sa.Engine, connection: sa.Connection) -> None:
    sql = "SELECT id, name FROM crm.customers ORDER BY id"
    assert list(pandas.read_sql(sa.text(sql), connection)["name"]) == ["Ada", "Bo", "Cy"]
    assert list(pandas.read_sql_table("orders", engine, schema="crm")["id"]) == [1, 2, 3]
    assert polars.read_database(sql, connection)["id"].to_list() == [1, 2, 3]


def test_a_result_streams(engine: sa.Engine) -> None:
    with engine.connect().execution_options(yield_per=1000) as connection:
        found = connection.execute(sa.text("SELECT x FROM range(100000000000) AS r(x)"))
        assert len(found.fetchmany(10)) == 10


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("DECIMAL(18,3)", "DECIMAL(18, 3)"),
        ("INTEGER[]", "INTEGER[]"),
        ("DECIMAL(5,1)[3][]", "DECIMAL(5, 1)[][]"),
        ("ENUM('a', 'it''s')", "VARCHAR(4)"),
        ("HUGEINT", "HUGEINT"),
        ("TIMESTAMP WITH TIME ZONE", "TIMESTAMP WITH TIME ZONE"),
        ("STRUCT(a INTEGER, b VARCHAR[])", "STRUCT(a INTEGER, b VARCHAR[])"),
        ("MAP(VARCHAR, INTEGER)", "MAP(VARCHAR, INTEGER)"),
        ("SOMETHING NEW", "SOMETHING NEW"),
        ("INTERVAL", "INTERVAL"),
    ],
)
def test_types_by_name(name: str, expected: str) -> None:
    assert type_of(name).compile(FederationDialect()) == expected


def test_members_of_an_enum() -> None:
    assert type_of("ENUM('a', 'it''s')").enums == ["a", "it's"]  # type: ignore[attr-defined]
    assert isinstance(type_of("UNION(a INTEGER)"), Nested)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("federation://host", {"": "http://host"}),
        ("federation://host:1/behind/proxy?tls=true", {"": "https://host:1/behind/proxy"}),
        ("federation://:secret@host:1", {"": "http://:secret@host:1"}),
        ("federation://name:p%40ss@host:1", {"": "http://name:p%40ss@host:1"}),
        (
            "federation://host?tls=true&ca_file=x.pem&timeout=2.5",
            {"": "https://host", "ca_file": "x.pem", "timeout": 2.5},
        ),
        ("federation:///x.toml", {"target": "x.toml"}),
        ("federation:////nowhere/x.toml", {"target": "/nowhere/x.toml"}),
        ("federation://", {"target": None}),
    ],
)
def test_urls(url: str, expected: dict[str, Any]) -> None:
    positional, named = FederationDialect().create_connect_args(sa.make_url(url))
    assert {**({"": positional[0]} if positional else {}), **named} == expected


def test_urls_that_are_wrong(folder: Path) -> None:
    for url in ("federation://host?tlx=true", "federation://host?tls=1", "federation://host?timeout=x"):
        with pytest.raises(exc.ArgumentError):
            sa.create_engine(url).connect()
    with pytest.raises(exc.OperationalError) as caught:
        sa.create_engine(f"federation://:secret@127.0.0.1:{free_port()}").connect()
    assert "secret" not in str(caught.value)
    with pytest.raises(exc.ProgrammingError):
        sa.create_engine(f"federation:///{folder}/none.toml").connect()


def test_a_source_that_cannot_be_asked_is_no_empty_one(tmp_path: Path) -> None:
    (tmp_path / "federation.toml").write_text(
        '[sources.pg]\nadapter = "postgres"\nuri = "postgresql://127.0.0.1:1/x"\n'
    )
    engine = sa.create_engine(f"federation:///{tmp_path}/federation.toml")
    with pytest.raises(Exception, match="pg"):
        sa.inspect(engine).get_table_names("pg")
    with pytest.warns(exc.SAWarning, match="pg"):
        assert sa.inspect(engine).get_schema_names() == ["pg"]
    engine.dispose()
