"""MariaDB 10.11 loses rows of SELECT DISTINCT that it sorts by a collation: the sorting stays with DuckDB."""

from __future__ import annotations

from pathlib import Path

import pytest

from federation.engine import Engine
from tests.servers import Server, run_sql

NAMES = ("'a'", "'b'", "NULL", "'c'", "'A'")
DAYS = ("'2024-01-01'", "NULL", "'1970-01-01'")


@pytest.mark.parametrize("order", ["d, s", "d DESC, s DESC NULLS LAST", "s, d", "d", "d, s LIMIT 9"])
def test_no_row_is_lost(order: str, tmp_path: Path, mariadb_server: Server) -> None:
    uri = mariadb_server.create_database("sorted_" + "".join(filter(str.isalpha, order)))
    rows = ", ".join(f"({name}, {day})" for name in NAMES for day in DAYS * 2)
    run_sql(uri, f"CREATE TABLE t (s varchar(20), d date);\nINSERT INTO t VALUES {rows};\n")
    (tmp_path / "federation.toml").write_text(f'[sources.my]\nadapter = "mysql"\nuri = "{uri}"\n')
    sql = f"SELECT DISTINCT s, d FROM my.t ORDER BY {order}"
    with Engine.open(tmp_path) as engine:
        answers = [engine.query(sql, options={"pushdown": on}).read_all().to_pylist() for on in (True, False)]
    assert len(answers[0]) == (9 if "LIMIT" in order else 15)
    assert sorted(map(str, answers[0])) == sorted(map(str, answers[1]))
