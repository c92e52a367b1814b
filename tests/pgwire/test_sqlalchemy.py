"""SQLAlchemy and pandas over both drivers: a server answers them as the PostgreSQL does that it reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from sqlalchemy.engine.reflection import ObjectKind, ObjectScope
from sqlalchemy.orm import DeclarativeBase, Session, selectinload
from sqlalchemy.orm import relationship as related

from tests.pgwire.overlay_world import World
from tests.pgwire.running import Postgres

LISTS = (
    *("table_names", "view_names", "materialized_view_names", "sequence_names", "foreign_table_names", "enums"),
    *("domains", "sorted_table_and_fkc_names"),
)
OF_TABLES = (
    *("columns", "pk_constraint", "foreign_keys", "unique_constraints", "check_constraints", "indexes"),
    *("table_comment", "table_options"),
)


@pytest.fixture(scope="module", params=["psycopg2", "psycopg"])
def engines(request: pytest.FixtureRequest, world: World, catalog_face: Postgres) -> Iterator[tuple[sa.Engine, ...]]:
    """Ours and PostgreSQL's, with the same search path."""
    ours = f"postgresql://federation@127.0.0.1:{catalog_face.port}/overlay"
    made = [
        sa.create_engine(
            uri.replace("postgresql:", f"postgresql+{request.param}:", 1),
            connect_args={"options": "-csearch_path=shop -cTimeZone=UTC"},
        )
        for uri in (ours, world.uri)
    ]
    yield tuple(made)
    for each in made:
        each.dispose()


@pytest.fixture
def engine(engines: tuple[sa.Engine, ...]) -> sa.Engine:
    return engines[0]


@pytest.fixture(scope="module")
def tables(engines: tuple[sa.Engine, ...]) -> tuple[dict[str, sa.Table], ...]:
    """By name, as they were reflected: ours and PostgreSQL's."""
    found = []
    for each in engines:
        metadata = sa.MetaData()
        metadata.reflect(each, views=True)
        found.append({table.name: table for table in metadata.sorted_tables})
    return tuple(found)


def both(engines: tuple[sa.Engine, ...], ask: Callable[..., Any], *arguments: Any, **more: Any) -> tuple[Any, Any]:
    ours, theirs = (ask(each, *arguments, **more) for each in engines)
    return ours, theirs


# --- the inspector ----------------------------------------------------------------------------------------------------


def comparable(value: object) -> Any:
    """Types by their names; tables in no order, as PostgreSQL's catalog has none."""
    if isinstance(value, dict):
        return {key: comparable(each) for key, each in value.items()}
    if isinstance(value, list):
        shown = [comparable(each) for each in value]
        return sorted(shown) if all(isinstance(each, str) for each in shown) else shown
    return repr(value) if isinstance(value, sa.types.TypeEngine) else value


def inspected(engine: sa.Engine, method: str, *arguments: Any, **more: Any) -> object:
    try:
        return comparable(getattr(sa.inspect(engine), method)(*arguments, **more))
    except sa.exc.NoSuchTableError as exc:
        return repr(exc)


@pytest.mark.parametrize("schema", [None, "shop"])
def test_lists(engines: tuple[sa.Engine, ...], schema: str | None) -> None:
    for what in LISTS:
        ours, theirs = both(engines, inspected, f"get_{what}", schema=schema)
        assert ours == theirs, what


def test_what_has_no_schema(engines: tuple[sa.Engine, ...]) -> None:
    for method in ("get_schema_names", "get_temp_table_names", "get_temp_view_names"):
        ours, theirs = both(engines, inspected, method)
        assert ours == theirs, method
    for name in ("shop", "absent"):
        ours, theirs = both(engines, inspected, "has_schema", name)
        assert ours == theirs


@pytest.mark.parametrize("what", OF_TABLES)
def test_tables(engines: tuple[sa.Engine, ...], what: str) -> None:
    for name in ("orders", "absent"):
        ours, theirs = both(engines, inspected, f"get_{what}", name, schema="shop")
        assert ours == theirs
    every = {"kind": ObjectKind.ANY, "scope": ObjectScope.ANY}
    ours, theirs = both(engines, inspected, f"get_multi_{what}", **every)
    assert ours == theirs


def test_what_there_is(engines: tuple[sa.Engine, ...]) -> None:
    for method, arguments in (
        *(("has_table", (name,)) for name in ("Odd Name", "absent")),
        *(("has_index", ("customers", index)) for index in ("customers_pkey", "absent")),
        ("has_sequence", ("absent",)),
        ("get_view_definition", ("pg_tables", "pg_catalog")),
    ):
        ours, theirs = both(engines, inspected, method, *arguments)
        assert ours == theirs, method


def test_views_have_their_definition(face: Postgres) -> None:
    engine = sa.create_engine(f"postgresql+psycopg://somebody@127.0.0.1:{face.port}/federation")
    inspector = sa.inspect(engine)
    assert inspector.get_view_names("shown") == ["evens"]
    assert inspector.get_view_definition("evens", "shown") == " SELECT id FROM f.numbers WHERE id % 2 = 0;"
    assert [repr(each["type"]) for each in inspector.get_columns("evens", "shown")] == ["BIGINT()"]
    engine.dispose()


def test_metadata_is_reflected(engine: sa.Engine, tables: tuple[dict[str, sa.Table], ...]) -> None:
    ours, theirs = ([str(sa.schema.CreateTable(table).compile(engine)) for table in each.values()] for each in tables)
    assert len(ours) == 3
    assert ours == theirs


# --- statements -------------------------------------------------------------------------------------------------------


def test_rows_come_in_python_types(engines: tuple[sa.Engine, ...], tables: tuple[dict[str, sa.Table], ...]) -> None:
    def rows(engine: sa.Engine) -> list[tuple[object, ...]]:
        with engine.connect() as connection:
            queries = [sa.select(table).order_by(*list(table.c)[:2]) for table in tables[0].values()]
            return [tuple(row) for query in queries for row in connection.execute(query)]

    ours, theirs = both(engines, rows)
    assert len(ours) == 6
    assert ours == theirs


def test_expressions(engines: tuple[sa.Engine, ...], tables: tuple[dict[str, sa.Table], ...]) -> None:
    customers, orders = tables[0]["customers"], tables[0]["orders"]
    joined = (
        sa.select(customers.c.name, sa.func.count().label("n"), sa.func.max(orders.c.at))
        .join_from(customers, orders, isouter=True)
        .where(customers.c.id.in_([1, 2, 3]), sa.or_(orders.c.paid.is_(None), orders.c.line < 10))
        .group_by(customers.c.name)
        .order_by(sa.desc("n"), customers.c.name)
        .limit(5)
        .offset(0)
    )
    number = sa.func.row_number().over(partition_by=orders.c.customer, order_by=(orders.c.id, orders.c.line))
    ranked = sa.select(orders.c.id, number).order_by(orders.c.id, orders.c.line)
    among = sa.select(customers.c.name.ilike("a%"), sa.cast(customers.c.score, sa.Integer)).where(
        customers.c.id == sa.select(sa.func.min(orders.c.customer)).scalar_subquery()
    )

    def rows(engine: sa.Engine) -> list[tuple[object, ...]]:
        with engine.connect() as connection:
            return [tuple(row) for query in (joined, ranked, among) for row in connection.execute(query)]

    ours, theirs = both(engines, rows)
    assert len(ours) == 6
    assert ours == theirs


def test_orm_loads_what_is_related(engine: sa.Engine, tables: tuple[dict[str, sa.Table], ...]) -> None:
    class Base(DeclarativeBase):
        metadata = tables[0]["orders"].metadata

    class Order(Base):
        __table__ = tables[0]["orders"]

    class Customer(Base):
        __table__ = tables[0]["customers"]
        orders = related(Order, order_by=(Order.__table__.c.id, Order.__table__.c.line))

    customer: Any = Customer  # whose columns nobody knows before they are reflected
    with Session(engine) as session:
        found = session.scalars(sa.select(customer).options(selectinload(customer.orders)).order_by(customer.id)).all()
        assert [(each.name, [(order.id, order.line) for order in each.orders]) for each in found] == [
            ("Ada", [(1, 1), (1, 2)]),
            ("Grüße", [(2, 1)]),
        ]
        assert session.get(customer, 2) is found[1]


def test_a_cursor_reads_in_parts(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        found = connection.execution_options(stream_results=True, max_row_buffer=100).execute(
            sa.text("SELECT i FROM generate_series(1, :last) AS t (i)"), {"last": 1000}
        )
        assert [len(part) for part in found.partitions(400)] == [400, 400, 200]
        assert connection.scalar(sa.text("SELECT 1")) == 1


def test_isolation_levels_and_savepoints(engine: sa.Engine) -> None:
    for level in ("AUTOCOMMIT", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"):
        with engine.connect().execution_options(isolation_level=level, postgresql_readonly=True) as connection:
            assert connection.get_isolation_level() == ("READ COMMITTED" if level == "AUTOCOMMIT" else level)
    with engine.connect() as connection:
        with pytest.raises(sa.exc.ProgrammingError), connection.begin_nested():
            connection.execute(sa.text("SELECT nothing FROM customers"))
        assert connection.scalar(sa.text("SELECT 1")) == 1


def test_writing_is_refused(engine: sa.Engine, tables: tuple[dict[str, sa.Table], ...]) -> None:
    table = tables[0]["customers"]
    for statement in (
        sa.insert(table).values(id=3, name="x").returning(table.c.id),
        sa.delete(table),
        sa.schema.CreateTable(sa.Table("made", sa.MetaData(), sa.Column("a", sa.Integer))),
    ):
        with engine.connect() as connection, pytest.raises(sa.exc.DBAPIError) as raised:
            connection.execute(statement)
        assert _sqlstate(raised.value.orig) == "25006"


def test_a_connection_that_is_gone_is_noticed(engine: sa.Engine) -> None:
    checked = sa.create_engine(engine.url, pool_pre_ping=True, pool_size=1)
    with checked.connect() as connection:
        dbapi_connection = connection.connection.dbapi_connection
        assert dbapi_connection is not None
        dbapi_connection.close()
    with checked.connect() as connection:
        assert connection.scalar(sa.text("SELECT 1")) == 1
    checked.dispose()


def _sqlstate(error: Any) -> str | None:
    code: str | None = error.pgcode if hasattr(error, "pgcode") else error.sqlstate
    return code


# --- pandas -----------------------------------------------------------------------------------------------------------


def test_pandas_reads(engines: tuple[sa.Engine, ...]) -> None:
    def frames(engine: sa.Engine) -> list[pd.DataFrame]:
        with engine.connect() as connection:
            return [
                pd.read_sql("SELECT id, name, born, score FROM customers ORDER BY id", connection),
                pd.read_sql_table("customers", connection, schema="shop", index_col="id").sort_index(),
                pd.read_sql_query(
                    sa.text("SELECT line, weight, size, at FROM orders WHERE id = ANY (:ids) ORDER BY id, line"),
                    connection,
                    params={"ids": [1, 2]},
                    parse_dates=["at"],
                ),
                pd.read_sql("SELECT * FROM customers WHERE false", connection),
                *pd.read_sql("SELECT id FROM orders ORDER BY id, line", connection, chunksize=2),
            ]

    for ours, theirs in zip(*both(engines, frames), strict=True):
        pd.testing.assert_frame_equal(ours, theirs)
