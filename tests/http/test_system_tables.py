"""`system.queries` and `system.fragments`, over HTTP and for connections: what `/v1/queries` shows."""

from __future__ import annotations

import datetime

import pytest

import federation
from tests.http.running import Running

GOOD = "SELECT l.padding, s.b FROM lite.late AS l, f.small AS s LIMIT 1"


@pytest.mark.parametrize(
    ("sql", "sqlstate"),
    [
        ("SELECT user FROM system.queries WHERE password = ''", "42703"),
        ("SELECT * FROM system.queris", "42P01"),
        ("SELECT * FROM query('system', 'SELECT * FROM queries')", "0A000"),
    ],
)
def test_bad_names(server: Running, sql: str, sqlstate: str) -> None:
    assert server.query(sql).json()["sqlstate"] == sqlstate


def test_what_has_ended(server: Running) -> None:
    server.client.post("/v1/query", json={"sql": GOOD}, headers={"Federation-Query-Id": "seen-by-sql"}).read()
    info = server.client.get("/v1/queries/seen-by-sql").json()
    with federation.connect(server.url) as connection:
        cursor = connection.execute("SELECT * FROM system.queries WHERE query_id = 'seen-by-sql'")
        names = [each[0] for each in cursor.description or ()]
        (row,) = cursor.fetchall()
        found = dict(zip(names, row, strict=True))
        parts = connection.execute(
            "SELECT f.* FROM system.fragments f JOIN system.queries q USING (query_id) WHERE sql = ? ORDER BY number",
            [GOOD],
        ).fetchall()
    for name in ("query_id", "sql", "state", "rows"):
        assert found[name] == info[name]
    assert found["caller"] == info["user"] == "anonymous"
    for name in ("created", "started", "ended"):
        assert found[name] == datetime.datetime.fromisoformat(info[name])
    assert found["seconds"] == pytest.approx((found["ended"] - found["started"]).total_seconds())
    assert (found["sqlstate"], found["error"]) == (None, None)
    shown = [(each["source"], each["rows"], each["bytes"], each["done"]) for each in info["sources"]]
    assert [part[:2] for part in parts] == [("seen-by-sql", number) for number in range(1, len(parts) + 1)]
    assert [part[2:] for part in parts] == shown != []


def test_what_failed_and_what_runs(server: Running) -> None:
    failing = "SELECT failing FROM f.small"
    assert server.query(failing).status_code == 400
    sql = f"SELECT state, sqlstate, error LIKE '%failing%', rows FROM system.queries WHERE sql = '{failing}'"
    assert server.query(sql).json()["rows"][0] == ["failed", "42703", True, 0]
    running = "SELECT sql, ended, seconds >= 0 FROM system.queries WHERE state = 'running' AND started >= created"
    for _ in range(2):  # each time anew
        assert server.query(running).json()["rows"] == [[running, None, True]]
    assert server.query("SELECT count(*) > 3 FROM system.queries").json()["rows"] == [[True]]
