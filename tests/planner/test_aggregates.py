"""What of an aggregating SELECT goes below, and what is computed from it above."""

from __future__ import annotations

import pytest
import sqlglot
from sqlglot import exp

from federation.planner.aggregates import split_aggregation


def split(sql: str) -> tuple[str, str] | None:
    select = sqlglot.parse_one(sql, read="duckdb")
    assert isinstance(select, exp.Select)
    found = split_aggregation(select)
    if found is None:
        return None
    found.finish(select, exp.table_("f0"))
    return found.inner.sql("duckdb"), select.sql("duckdb")


def test_keys_and_aggregates_are_computed_once() -> None:
    inner, outer = split("SELECT t.a AS a, sum(t.b) / count(*) AS m, sum(t.b) AS s FROM t GROUP BY t.a") or ("", "")
    assert inner == 'SELECT t.a AS "g0", SUM(t.b) AS "a0", COUNT(*) AS "a1" FROM t GROUP BY t.a'
    assert '"grouped"."a0" / "grouped"."a1" AS m, "grouped"."a0" AS s' in outer


def test_having_becomes_where_above_the_groups() -> None:
    _, outer = split("SELECT t.a AS a FROM t GROUP BY t.a HAVING count(*) > 1") or ("", "")
    assert outer.endswith('WHERE "grouped"."a0" > 1')


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT t.a AS a FROM t",
        "SELECT t.a AS a FROM t GROUP BY ROLLUP (t.a)",
        "SELECT t.a AS a, t.b AS b FROM t GROUP BY t.a",
        "SELECT t.a AS a, count(*) AS n FROM t GROUP BY t.a QUALIFY row_number() OVER () = 1",
        # aggregates that the parser does not know: above, they would aggregate the keys of the groups
        "SELECT product(t.a) AS p FROM t GROUP BY t.a",
        "SELECT t.a AS a, count_star() AS n FROM t GROUP BY t.a",
        "SELECT t.a AS a FROM t GROUP BY t.a HAVING product(t.a) > 1",
    ],
)
def test_what_is_not_split(sql: str) -> None:
    assert split(sql) is None
