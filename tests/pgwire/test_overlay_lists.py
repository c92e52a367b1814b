"""Long lists of constants over the catalog: PostgreSQL's rows, whether they go the short way or not."""

from __future__ import annotations

import psycopg
import pytest
from sqlglot import exp

from adapters.errors import Error, UndefinedParameter
from federation.pgwire.catalog_parameters import catalog_parameter_types
from federation.pgwire.dialect.lists import LONG
from federation.pgwire.dialect.parameters import bind
from federation.pgwire.dialect.read import statements
from federation.pgwire.dialect.statements import Query
from federation.pgwire.overlay.lists import bind_short, plain_members
from federation.pgwire.parameter_values import decode_parameter
from tests.pgwire.overlay_world import World, tree

SMALL = [str(each) for each in range(LONG)]
TEXTS = [f"'t{each}'" for each in SMALL]


def _members(sql: str) -> list[exp.Expr]:
    found = tree(sql).find(exp.In)
    assert found is not None
    return list(found.expressions)


@pytest.mark.parametrize(
    ("column", "members"),
    [
        ("oid", SMALL),
        ("oid", [*SMALL, *SMALL, "1043", "4294967295"]),
        ("oid", [*SMALL, "NULL"]),
        ("oid", ["NULL"] * (LONG + 1)),
        ("oid", [*SMALL, "NULL::int4", "'1043'::oid", "25::int2", "'701'::int8::oid", "CAST(NULL AS oid)"]),
        ("typlen", [*SMALL, "-1", "'-2'::int2", "(- 5)::int4"]),
        ("typlen", [*SMALL, "-1", "9223372036854775807", "-9223372036854775808", "99999999999999999999"]),
        ("typtypmod", [*SMALL, "-1::int8"]),
        ("typname", [*TEXTS, "'int4'", "'it''s'", r"'\x'", "'Ä'", "''"]),
        ("typname", [*TEXTS, "'int4'::varchar", "'text'::text", "'name'::name", "NULL::varchar"]),
        ("typname::text", [*TEXTS, "'int4'", "NULL"]),
        ("oid", [*SMALL, "'1043'", "'25'"]),
        ("oid", [*SMALL, "1000 + 43", "(25)"]),
        ("typlen", [*SMALL, "-1.0", "typlen"]),
        ("typlen + 1", [*SMALL, "0"]),
        ("typname", [*TEXTS, "'in' || 't4'", "typname"]),
        ("typtype", [*TEXTS, "'b'"]),
        ("oid::regtype", [*SMALL, "'int4'::regtype"]),
    ],
)
def test_a_list_means_what_postgresql_says(world: World, column: str, members: list[str]) -> None:
    listed = ", ".join(members)
    for condition in (f"{column} IN ({listed})", f"{column} NOT IN ({listed})"):
        value = f"SELECT typname, {condition} AS found FROM pg_type WHERE oid < 16384 ORDER BY oid"
        assert world.ours(value) == world.theirs(value)
        rows = f"SELECT oid FROM pg_type WHERE oid < 16384 AND {condition} ORDER BY oid"
        assert world.ours(rows) == world.theirs(rows)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FILTER (WHERE oid IN ({0})) FROM pg_type WHERE oid < 16384",
        "SELECT t.typname, (SELECT count(*) FROM pg_type e WHERE e.typelem = t.oid AND e.oid IN ({0})) FROM pg_type t"
        " WHERE t.oid < 200 AND (t.oid IN ({0}) AND (t.typlen > 0)) ORDER BY t.oid",
        "SELECT t.typname FROM pg_type t LEFT JOIN pg_type e ON e.oid = t.typelem AND e.oid IN ({0})"
        " WHERE EXISTS (SELECT 1 FROM pg_type x WHERE x.oid = t.oid AND x.oid IN ({0})) ORDER BY t.oid",
        "SELECT t.typname, l.n FROM pg_type t, LATERAL (SELECT count(*) AS n FROM pg_type e WHERE e.oid = t.oid"
        " AND e.oid IN ({0})) l WHERE t.oid < 200 AND (t.oid IN ({0}) OR t.oid IN ({0}, 1043)) ORDER BY t.oid",
        "SELECT count(*), max(typlen) FROM pg_type WHERE oid IN ({0}) GROUP BY typlen HAVING max(oid) IN ({0})"
        " ORDER BY 2",
        "SELECT typname FROM pg_type WHERE typlen IN ({0}, NULL) AND oid NOT IN ({0}) AND oid < 16384 ORDER BY oid",
        "SELECT typname FROM pg_type WHERE CASE WHEN oid IN ({0}) THEN oid IN ({0}, 17) END ORDER BY oid",
    ],
)
def test_wherever_a_list_stands(world: World, sql: str) -> None:
    listed = sql.format(", ".join([*SMALL, "1", "16", "23"]))
    assert world.ours(listed) == world.theirs(listed)


@pytest.mark.parametrize("member", ["40000::int2", "'3000000000'::int4", "'x'::oid", "nothing"])
def test_what_is_wrong_in_a_list_is_an_error(world: World, member: str) -> None:
    sql = f"SELECT oid FROM pg_type WHERE oid IN ({', '.join([*SMALL, member])})"
    with pytest.raises(psycopg.Error):
        world.theirs(sql)
    with pytest.raises(Error):
        world.ours(sql)


def _read(sql: str) -> Query:
    (query,) = statements(sql)
    assert isinstance(query, Query)
    return query


@pytest.mark.parametrize("parameter", ["$%s", "CAST($%s AS OID)"])
def test_parameters_of_several_types(world: World, parameter: str) -> None:
    """psycopg says int2 for small numbers, int4 for larger ones."""
    values = [*range(LONG), 1043, 70_000, None]
    listed = ", ".join(parameter % place for place, _ in enumerate(values, 1))
    read = _read(f"SELECT oid, oid IN ({listed}) AS found FROM pg_type WHERE oid IN ({listed}) ORDER BY oid")
    query, short = read.tree, read.short
    known = [0 if each is None else 21 if each < 2**15 else 23 for each in values]
    types = catalog_parameter_types(query, known)
    assert catalog_parameter_types(short, known) == types
    assert catalog_parameter_types(short, []) == catalog_parameter_types(query, [])
    literals = [
        decode_parameter(oid, 0, None if each is None else str(each).encode())
        for oid, each in zip(types, values, strict=True)
    ]
    shown = [each for each in values if each is not None]
    expected = world.theirs(f"SELECT oid FROM pg_type WHERE oid IN {tuple(shown)} ORDER BY oid")[1]
    for bound in (bind(query, literals), bind_short(short, literals), bind_short(short, literals)):
        with world.overlay.query(bound, world.who) as answer:
            found = answer.read_all().to_pylist()
        assert [each["oid"] for each in found] == [oid for (oid,) in expected]
        assert all(each["found"] for each in found)
    with pytest.raises(UndefinedParameter):
        bind_short(short, literals[:-1])


def test_a_list_of_parameters_that_are_not_plain(world: World) -> None:
    """A regclass is a number here, and its text a name."""
    names = ["pg_class", "pg_type", *(f"pg_class_{place}" for place in SMALL)]
    listed = ", ".join(f"${place}" for place, _ in enumerate(names, 1))
    query = _read(f"SELECT relname FROM pg_class WHERE CAST(relname AS name) || '' IN ({listed}) ORDER BY 1")
    bound = bind_short(query.short, [decode_parameter(19, 0, each.encode()) for each in names])
    with world.overlay.query(bound, world.who) as answer:
        assert answer.read_all().to_pylist() == [{"relname": "pg_class"}, {"relname": "pg_type"}]
    mixed = _read(f"SELECT oid FROM pg_class WHERE oid NOT IN ({listed})")
    with pytest.raises(Error):
        world.overlay.query(
            bind_short(mixed.short, [decode_parameter(19, 0, b"x") for _ in names]), world.who
        ).read_all()


@pytest.mark.parametrize(
    ("kind", "members", "plain"),
    [
        ("oid", [*SMALL, "'7'::int2::oid", "NULL::int4"], [*SMALL, "7", "NULL"]),
        ("int2", [*SMALL, "-1"], [*SMALL, "-1"]),
        ("name", [*TEXTS, "'a'::varchar"], [*TEXTS, "'a'"]),
        ("oid", SMALL, None),
        ("oid", [*SMALL, "1.0"], None),
        ("oid", [*SMALL, "-1::oid"], None),
        ("oid", TEXTS + TEXTS, None),
        ("name", [*TEXTS, "1"], None),
        ("regtype", [*SMALL, "1"], None),
        (None, [*SMALL, "1"], None),
    ],
)
def test_what_goes_the_short_way(kind: str | None, members: list[str], plain: list[str] | None) -> None:
    assert plain_members(_members(f"SELECT 1 FROM pg_type WHERE x IN ({', '.join(members)})"), kind) == plain
