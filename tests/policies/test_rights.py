"""What callers see of tables and views, by their roles, over real sources."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.errors import DataError, Error, InsufficientPrivilege, NotSupportedError, TableNotFound
from catalog.policies import Caller, user_caller
from federation.engine import Engine
from tests.policies.world import ask, column

EU = [(i,) for i in range(3, 61, 3)]
US = [(i,) for i in range(1, 61, 3)]
REFUSED = [
    ("none", "SELECT * FROM pg.orders", "permission denied for table pg.public.orders", "none has no role"),
    ("eu", "SELECT * FROM crm.accounts", "permission denied for table crm.main.accounts", "regional"),
    ("eu", "SELECT * FROM pg.hidden.secrets", "permission denied for table pg.hidden.secrets", "regional"),
    ("eu", "SELECT id FROM pg.orders WHERE id IN (SELECT id FROM crm.accounts)", "crm.main.accounts", "regional"),
    ("eu", "WITH a AS (SELECT * FROM crm.accounts) SELECT 1", "crm.main.accounts", "regional"),
    ("eu", "SELECT * FROM orders, crm.accounts", "crm.main.accounts", "regional"),
    ("viewer", "SELECT * FROM pg.customers", "permission denied for table pg.public.customers", "viewer"),
    ("ada", "SELECT * FROM shown.customers", "permission denied for view shown.customers", "owner"),
    ("shown", "SELECT * FROM shown.customers", "permission denied for view shown.customers", "shown"),
    ("all", "SELECT * FROM system.cache", "permission denied for table system.main.cache", "everything"),
    ("all", "SELECT * FROM system.policies", "permission denied for table system.main.policies", "everything"),
]


@pytest.mark.parametrize(("who", "sql", "message", "hint"), REFUSED)
def test_what_no_role_grants_is_refused(engine: Engine, who: str, sql: str, message: str, hint: str) -> None:
    caller = user_caller(who)
    for attempt in (engine.query, engine.explain, engine.plan, engine.describe):
        with pytest.raises(InsufficientPrivilege) as caught:
            attempt(sql, caller=caller)
        assert caught.value.sqlstate == "42501"
        assert message in caught.value.message
        assert hint in (caught.value.hint or "")


def test_the_place_of_what_is_refused(engine: Engine) -> None:
    with pytest.raises(InsufficientPrivilege) as caught:
        ask(engine, "SELECT * FROM pg.orders, crm.accounts", "eu")
    assert caught.value.position == 26


@pytest.mark.parametrize(
    "caller",
    [
        Caller("anonymous"),
        Caller("token:x"),
        user_caller("somebody who left"),
        Caller("oidc:x/ada", "ada", roles=("unknown", "")),
        Caller("oidc:x/root", "root"),  # named as a user of the file, and another
    ],
)
def test_who_has_no_role_reads_nothing(engine: Engine, caller: Caller) -> None:
    with pytest.raises(InsufficientPrivilege):
        ask(engine, "SELECT 1 FROM pg.orders", caller)
    assert ask(engine, "SELECT 1", caller) == [(1,)]


def test_who_runs_it_reads_everything(engine: Engine) -> None:
    assert len(ask(engine, "SELECT * FROM pg.orders")) == 60
    assert ask(engine, "SELECT secret FROM pg.hidden.secrets") == [("hidden value",)]
    assert len(ask(engine, "SELECT * FROM system.policies")) > 10


def test_hints_name_nothing_that_is_hidden(engine: Engine) -> None:
    for sql in ("SELECT * FROM pg.hidden.secret", "SELECT * FROM secret", "SELECT * FROM hiden.secrets"):
        with pytest.raises(Error) as caught:
            ask(engine, sql, "eu")
        assert "secrets" not in f"{caught.value.hint}"
    with pytest.raises(TableNotFound) as of_operator:
        ask(engine, "SELECT * FROM pg.hidden.secret")
    assert "secrets" in f"{of_operator.value.hint}"
    with pytest.raises(Error) as caught:
        ask(engine, "SELECT salry FROM shown.spending", "shown")
    assert "salary" not in str(caught.value)


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        ("all", [(i,) for i in range(1, 61)]),
        ("root", [(i,) for i in range(1, 61)]),
        ("eu", EU),
        ("us", US),
        ("nowhere", []),
        ("both", sorted(EU + US)),
        ("lifted", [(i,) for i in range(1, 61)]),
        ("mask", [(i,) for i in range(1, 61)]),
    ],
)
def test_row_filters_add_up(engine: Engine, who: str, expected: list[Any]) -> None:
    assert sorted(ask(engine, "SELECT id FROM pg.orders", who)) == expected
    assert ask(engine, "SELECT count(*) FROM pg.orders", who) == [(len(expected),)]
    lowest = min(expected)[0] if expected else None
    assert ask(engine, "SELECT min(a) FROM PG.Public.ORDERS AS o (a, b)", who) == [(lowest,)]


@pytest.mark.parametrize(
    ("who", "email", "salary"),
    [
        ("all", "person3@example.org", 3000),
        ("mask", "***@example.org", 0),
        ("null", None, 3000),  # nulled leaves the salary
        ("mask_null", "***@example.org", 3000),
        ("unmasked", "person3@example.org", 3000),
    ],
)
def test_masks_give_way_to_a_role_without(engine: Engine, who: str, email: str | None, salary: int) -> None:
    assert ask(engine, "SELECT email, salary FROM pg.customers WHERE id = 3", who) == [(email, salary)]
    assert ask(engine, "SELECT EMAIL FROM pg.customers c WHERE c.id = 3", who) == [(email,)]
    with engine.query("SELECT * FROM pg.customers WHERE id = 3", caller=user_caller(who)) as result:
        assert list(result.schema.names) == ["id", "name", "email", "salary", "region"]
        assert list(result.types) == ["INTEGER", "VARCHAR", "VARCHAR", "INTEGER", "VARCHAR"]
        assert result.read_all().to_pylist()[0]["email"] == email


def test_the_type_of_a_masked_column_is_its_own(engine: Engine) -> None:
    with engine.query("SELECT * FROM files.items", caller=user_caller("mask")) as result:
        assert list(result.types) == ["BIGINT", "VARCHAR", "BIGINT"]
        assert set(result.read_all()["price"].to_pylist()) == {None}


@pytest.mark.parametrize(
    "predicate",
    [
        "email = 'person3@example.org'",
        "email LIKE 'person%'",
        "email IN ('person3@example.org')",
        "email BETWEEN 'person3' AND 'person4'",
        "length(email) = 19",
        "email IS DISTINCT FROM '***@example.org'",
        "salary = 3000",
        "salary > 2000",
        "CASE WHEN salary BETWEEN 1 AND 4000 THEN true END",
        "EXISTS (SELECT 1 FROM (VALUES ('person3@example.org')) v (e) WHERE v.e = email)",
        "email = ANY (['person3@example.org'])",
    ],
)
def test_a_predicate_does_not_see_past_a_mask(engine: Engine, predicate: str) -> None:
    sql = f"SELECT id FROM pg.customers WHERE {predicate}"
    assert ask(engine, sql)
    assert ask(engine, sql, "mask") == []
    assert (
        ask(engine, f"SELECT c.id FROM pg.orders o JOIN pg.customers c ON c.id = o.customer AND {predicate}", "mask")
        == []
    )


def test_neither_do_order_groups_windows_and_aggregates(engine: Engine) -> None:
    assert ask(engine, "SELECT min(email), max(salary), count(DISTINCT email) FROM pg.customers", "mask") == [
        ("***@example.org", 0, 1)
    ]
    assert ask(engine, "SELECT email, count(*) FROM pg.customers GROUP BY email", "mask") == [("***@example.org", 5)]
    ranked = "SELECT rank() OVER (ORDER BY salary DESC) FROM pg.customers"
    assert ask(engine, ranked, "mask") == [(1,)] * 5
    assert ask(engine, "SELECT DISTINCT salary FROM pg.customers ORDER BY salary LIMIT 1", "mask") == [(0,)]
    assert ask(engine, "SELECT c FROM pg.customers c WHERE id = 3", "mask")[0][0]["email"] == "***@example.org"
    pairs = "SELECT a.id, b.id FROM pg.customers a JOIN pg.customers b ON a.email = b.email"
    assert len(ask(engine, pairs)) == 5
    assert len(ask(engine, pairs, "mask")) == 25
    across = "SELECT count(*) FROM crm.accounts a JOIN pg.customers c USING (email)"
    assert ask(engine, across, "mask") == [(50,)]


def test_a_view_needs_no_grant_on_its_tables(engine: Engine) -> None:
    assert len(ask(engine, "SELECT * FROM shown.customers", "viewer")) == 5
    assert ask(engine, "SELECT sum(spent) FROM shown.spending", "shown") == [(1830,)]


@pytest.mark.parametrize(
    ("who", "spent"),
    [("all", 1830), ("shown", 1830), ("eu", 630), ("viewer", 630), ("us", 590), ("nowhere", None), ("lifted", 1830)],
)
def test_filters_hold_inside_views(engine: Engine, who: str, spent: int | None) -> None:
    assert ask(engine, "SELECT sum(spent) FROM shown.spending", who) == [(spent,)]


def test_masks_hold_inside_views(engine: Engine) -> None:
    assert set(column(ask(engine, "SELECT email FROM shown.spending", "mask"))) == {"***@example.org"}
    assert len(set(column(ask(engine, "SELECT email FROM shown.spending", "shown")))) == 5
    assert ask(engine, "SELECT email FROM shown.customers WHERE email LIKE 'person%'", "mask") == []


def test_current_user(engine: Engine) -> None:
    assert column(ask(engine, "SELECT id FROM crm.accounts", "ada")) == [1, 3, 5, 7, 9]
    eve = Caller("oidc:company/eve", "eve", roles=("owner",))
    assert column(ask(engine, "SELECT id FROM crm.accounts", eve)) == [2, 4, 6, 8, 10]
    nobody = Caller("token:x", None, roles=("owner",))
    assert ask(engine, "SELECT id FROM crm.accounts", nobody) == []


@pytest.mark.parametrize("value", ["EU' OR true --", "EU\\", "EU\0", "EU\ud800", "eu", "", "%", "EU "])
def test_an_attribute_is_a_value_and_nothing_else(engine: Engine, value: str) -> None:
    caller = Caller("oidc:x/a", "a", roles=("regional",), attributes=(("region", value),))
    assert ask(engine, "SELECT id FROM pg.orders", caller) == []


def test_claims_of_a_provider(engine: Engine) -> None:
    caller = Caller("oidc:x/a", "a", roles=("other", "regional"), attributes=(("region", "EU"), ("x", "y")))
    assert sorted(ask(engine, "SELECT id FROM pg.orders", caller)) == EU


def test_files_that_duckdb_reads(engine: Engine) -> None:
    assert ask(engine, "SELECT count(*), min(id), max(region) FROM files.items", "items") == [(10, 0, "EU")]
    assert ask(engine, "SELECT id FROM files.items WHERE region = 'US'", "items") == []
    assert ask(engine, "SELECT max(price), count(price) FROM files.items", "mask") == [(None, 0)]
    assert ask(engine, "SELECT id FROM files.items TABLESAMPLE 100%", "items") == ask(
        engine, "SELECT id FROM files.items", "items"
    )


def test_native_queries(engine: Engine) -> None:
    sql = "SELECT * FROM query('pg', 'SELECT count(*) AS n FROM orders')"
    assert ask(engine, sql) == ask(engine, sql, "all") == ask(engine, sql, "root") == [(60,)]
    for who in ("none", "eu", "mask", "lifted", "ada", "viewer"):
        with pytest.raises(InsufficientPrivilege):
            ask(engine, sql, who)
    assert ask(engine, "SELECT n FROM kept.native", "all") == [(60,)]
    with pytest.raises(InsufficientPrivilege, match="native query"):  # what it says cannot be masked
        ask(engine, "SELECT n FROM kept.native", "mask")


def test_invalidating(engine: Engine) -> None:
    for name, may, may_not in (
        ("pg.orders", ("eu", "all", "root"), ("ada", "none", "viewer")),
        ("pg", ("all", "root"), ("eu", "ada", "none")),
        ("shown.spending", ("shown", "all"), ("ada", "none")),
    ):
        for who in may:
            assert ask(engine, f"CALL system.invalidate('{name}')", who) == [(0,)]
        for who in may_not:
            with pytest.raises(InsufficientPrivilege):
                ask(engine, f"CALL system.invalidate('{name}')", who)
    with pytest.raises(InsufficientPrivilege):
        engine.invalidate("tag:x", user_caller("all"))


def test_the_policies_are_a_table(engine: Engine) -> None:
    sql = "SELECT kind, name, expression, users FROM system.policies WHERE role = 'regional'"
    rows = ask(engine, sql, "root")
    assert ("grant", "shown.*", None, ["eu", "us", "nowhere", "both", "lifted", "unmasked"]) in rows
    filters = [row[:3] for row in rows if row[0] == "row_filter"]
    assert filters == [("row_filter", "pg.orders", "region = current_attribute('region')")]
    assert ask(engine, "SELECT count(*) FROM system.policies WHERE kind = 'column_mask'", "root") == [(5,)]


def test_callers_do_not_share_plans(engine: Engine) -> None:
    """A point query whose plan is kept, of callers in turn."""
    sql = "SELECT id FROM pg.orders WHERE id = 3"
    for _ in range(3):
        assert ask(engine, sql) == [(3,)]
        assert ask(engine, sql, "eu") == [(3,)]
        assert ask(engine, sql, "us") == []
        assert ask(engine, sql.replace("3", "4"), "us") == [(4,)]
        assert ask(engine, "SELECT email FROM pg.customers WHERE email = 'person3@example.org'", "mask") == []
        assert ask(engine, "SELECT id FROM pg.customers WHERE email = 'person3@example.org'", "all") == [(3,)]


def test_conditions_are_pushed(engine: Engine) -> None:
    plan = engine.explain("SELECT id FROM pg.orders WHERE amount > 5", caller=user_caller("eu")).text()
    assert "'EU'" in plan
    assert "local" not in plan


def test_a_catalog_without_roles_restricts_nobody(tmp_path: Any) -> None:
    (tmp_path / "federation.toml").write_text('[sources.m]\nadapter = "files"\npath = "*.csv"\n')
    (tmp_path / "t.csv").write_text("a\n1\n")
    with Engine.open(tmp_path / "federation.toml") as opened:
        assert ask(opened, "SELECT a FROM m.t", Caller("anonymous")) == [(1,)]


def test_syntax_that_a_subquery_cannot_take(engine: Engine) -> None:
    with pytest.raises(NotSupportedError):
        ask(engine, "SELECT * FROM pg.orders AT (VERSION => 1)", "eu")


@pytest.mark.parametrize("options", [{}, {"pushdown": False}])
@pytest.mark.parametrize(
    ("who", "condition"),
    [
        ("eu", "CAST(note AS INTEGER) = 1"),
        ("eu", "CAST(note AS DATE) = DATE '2024-01-01'"),
        ("eu", "note = 1"),
        ("mask", "CAST(note AS INTEGER) = 1"),  # they see all rows of it, yet not all of what they may join
    ],
)
def test_a_message_shows_no_value(engine: Engine, who: str, condition: str, options: dict[str, Any]) -> None:
    sql = f"SELECT id FROM pg.orders WHERE {condition}"
    with pytest.raises(DataError) as caught:
        ask(engine, sql, who, options=options)
    with pytest.raises(DataError, match="note") as operator:
        ask(engine, sql, options=options)
    assert "note" not in str(caught.value)
    assert caught.value.sqlstate == operator.value.sqlstate
    with pytest.raises(DataError) as explained:
        engine.explain(sql, analyze=True, options=options, caller=user_caller(who))
    assert "note" not in str(explained.value)
