"""Comparisons of `timestamptz` with a literal of UTC run at PostgreSQL, whatever the time zone of the session there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from federation.engine import Engine
from tests.cache.world import ask
from tests.faults.world import catalog_of, source
from tests.servers import Server, run_sql

TIMES = ["1969-12-31 23:59:59.999999", "1970-01-01", "2024-03-31 01:30:00", "2024-10-27 00:59:59.000001", "0001-01-01"]


@pytest.fixture(scope="module")
def uri(postgres_server: Server) -> Iterator[str]:
    made = postgres_server.create_database("times")
    values = ", ".join(f"({number}, '{time}+00')" for number, time in enumerate(TIMES))
    run_sql(made, f"CREATE TABLE t (id int, at timestamptz); INSERT INTO t VALUES {values}, (9, NULL);")
    name = made.rpartition("/")[2].partition("?")[0]
    run_sql(made, f"ALTER DATABASE \"{name}\" SET TimeZone = 'America/St_Johns';")
    yield made
    run_sql(made, f'ALTER DATABASE "{name}" RESET ALL')  # the settings of all databases are in one catalog


def test_as_duckdb_has_it(uri: str, tmp_path: Path) -> None:
    with Engine.open(catalog_of(tmp_path, source("pg", "postgres", uri=uri))) as engine:
        for time in (*TIMES, "2024-10-27 01:00:00", "9999-12-31 23:59:59"):
            moment = time if " " in time else f"{time} 00:00:00"
            for op in ("<", "<=", "=", ">", ">=", "<>"):
                sql = f"SELECT id FROM pg.t WHERE at {op} TIMESTAMPTZ '{moment}+00' ORDER BY id"
                assert ask(engine, sql) == ask(engine, sql, options={"pushdown": False}), sql
        (note,) = engine.explain(sql).to_json()["fragments"][0]["notes"][:1]
        assert (note["where"], note["reason"]) == ("pushed", "EXACT")


@pytest.mark.parametrize("moment", ["2024-03-31 01:30:00", "2024-03-31 01:30:00+02", "now"])
def test_what_would_depend_on_the_session_stays_here(uri: str, tmp_path: Path, moment: str) -> None:
    with Engine.open(catalog_of(tmp_path, source("pg", "postgres", uri=uri))) as engine:
        notes = engine.explain(f"SELECT id FROM pg.t WHERE at > TIMESTAMPTZ '{moment}'").to_json()["fragments"][0][
            "notes"
        ]
        assert [note["where"] for note in notes if "at" in note["text"]] == ["local"]
