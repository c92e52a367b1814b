"""`system.cache`: what it shows to whom, on every face, and how hits are counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from adapters.errors import Error
from cache.keys import FragmentKey
from cache.store import Store
from cache.usage import Usage, Used
from federation.cli.main import main
from federation.engine import Engine
from tests.adapters.rest_server import TOKEN, RestServer
from tests.cache.test_store import SCHEMA, keep
from tests.cache.world import Clock, ask, catalog_text, engine_of
from tests.faults.world import catalog_of
from tests.pgwire.running import start_face
from tests.waiting import eventually

ALL = "SELECT id, name FROM crm.people"
SHOWN = "SELECT source, columns, rows, state, hits, pinned FROM system.cache"


def rows(engine: Engine, sql: str = "SELECT * FROM system.cache") -> list[dict[str, Any]]:
    with engine.query(sql) as result:
        return result.read_all().to_pylist()


@pytest.mark.parametrize(
    ("sql", "sqlstate"),
    [
        ("SELECT * FROM system.cach", "42P01"),
        ("SELECT * FROM system.other.cache", "3F000"),
        ("SELECT nothing FROM system.cache", "42703"),
        ("SELECT * FROM cache", "42P01"),
        ("SELECT * FROM query('system', 'SELECT 1')", "0A000"),
    ],
)
def test_bad_names(engine: Engine, sql: str, sqlstate: str) -> None:
    with pytest.raises(Error) as refused:
        ask(engine, sql)
    assert refused.value.sqlstate == sqlstate


def test_nothing_is_cached(server: RestServer, clock: Clock, tmp_path: Path) -> None:
    with engine_of(tmp_path, clock, catalog_text(server.url, tmp_path / "cache", policy="")) as engine:
        ask(engine, ALL)
        assert rows(engine) == []


def test_what_a_fragment_is(engine: Engine, clock: Clock) -> None:
    assert rows(engine) == []
    ask(engine, ALL)
    clock.now += 4
    ask(engine, ALL)
    ask(engine, "SELECT name FROM crm.people WHERE id = 2")
    (row,) = rows(engine)
    assert row["source"] == "crm"
    assert row["tables"] == [f"crm.{engine.catalog.sources['crm'].adapter.default_schema}.people"]
    assert row["columns"] == ["id", "name"]
    assert (row["rows"], row["bytes"] > 0, row["age"], row["state"]) == (2, True, 4.0, "fresh")
    assert row["as_of"].timestamp() == clock.now - 4
    assert row["expires"].timestamp() == clock.now + 6
    assert (row["hits"], row["pinned"]) == (2, False)
    assert row["saved_seconds"] == pytest.approx(2 * row["fetch_seconds"])


def test_conditions_and_aggregates_hold(engine: Engine) -> None:
    ask(engine, ALL)
    ask(engine, "SELECT id FROM crm.people", options={"disable": ["containment"]})
    assert ask(engine, "SELECT count(*), sum(rows) FROM system.cache WHERE state = 'fresh'") == [(2, 4)]
    assert ask(engine, "SELECT rows FROM system.cache WHERE list_contains(columns, 'name') LIMIT 5") == [(2,)]
    assert ask(engine, "SELECT count(*) FROM system.cache c JOIN crm.people p ON p.id = c.rows") == [(2,)]


@pytest.mark.parametrize(
    ("seconds", "state"), [(0, "fresh"), (10, "fresh"), (30, "stale"), (110, "stale_on_error"), (111, "expired")]
)
def test_the_state_is_what_a_query_would_get(engine: Engine, clock: Clock, seconds: float, state: str) -> None:
    ask(engine, ALL)
    clock.now += seconds
    assert [each["state"] for each in rows(engine)] == [state]


def test_no_constant_is_shown(engine: Engine) -> None:
    ask(engine, "SELECT name FROM crm.people WHERE id = 424242 AND name <> 'Mallory'")
    (row,) = rows(engine)
    assert "424242" not in str(row)
    assert "Mallory" not in str(row)
    assert "people" in row["statement"]


def test_other_credentials_and_catalogs_are_not_shown(server: RestServer, clock: Clock, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    for name, token in (("one", TOKEN), ("two", "another")):
        (tmp_path / name).mkdir()
        with engine_of(tmp_path / name, clock, catalog_text(server.url, folder, token=token)) as engine:
            assert rows(engine) == []
            if token == TOKEN:
                ask(engine, ALL)
                assert len(rows(engine)) == 1


def test_hits_outlive_the_process_and_a_refetch(server: RestServer, clock: Clock, tmp_path: Path) -> None:
    text = catalog_text(server.url, tmp_path / "cache", policy='cache = { ttl = "10s" }')
    for opened in range(3):
        with engine_of(tmp_path, clock, text) as engine:
            ask(engine, ALL)
            ask(engine, ALL)
            assert [each["hits"] for each in rows(engine)] == [opened + 1]
            clock.now += 11
        with engine_of(tmp_path, clock, text) as engine:
            assert len(rows(engine)) == 1


def test_several_processes_add_up(tmp_path: Path) -> None:
    """Two stores over one folder are as two processes."""
    key = FragmentKey("crm", "someone", "q", SCHEMA)
    one, two = Store(tmp_path), Store(tmp_path)
    keep(one, "q")
    for each in (one, two, one):
        each.usage.hit("crm", key.digest, 1.5)
        each.usage.flush()
    two.usage.hit("crm", "what was evicted meanwhile", 1.0)
    assert [used for _, _, used in two.listed()] == [Used(3, 4.5)]
    entry = one.look(key)
    assert entry is not None
    one.remove(entry)
    keep(one, "q")
    assert [used for _, _, used in two.listed()] == [Used()]
    one.close()
    two.close()


def test_counts_are_written_behind_the_hits_and_kept_while_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cache.usage.FLUSH_SECONDS", 0.05)
    written: list[dict[str, Used]] = []

    def write(found: Any) -> None:
        written.append(dict(found))
        if len(written) == 1:
            raise OSError("the disk is full")

    usage = Usage(write)
    usage.hit("crm", "a", 1.0)
    eventually(lambda: len(written) == 1)
    usage.hit("crm", "a", 1.0)
    eventually(lambda: len(written) == 2)
    assert written[1] == {"a": Used(2, 2.0)}
    usage.miss("crm")
    usage.evicted("crm")
    assert (usage.totals()["crm"].hits, usage.totals()["crm"].misses, usage.totals()["crm"].evictions) == (2, 1, 1)
    usage.close()
    assert len(written) == 2


def test_sizes_are_counted_as_fragments_come_and_go(tmp_path: Path) -> None:
    store = Store(tmp_path, most_bytes=100_000)
    for number in range(30):
        keep(store, f"q{number}")
    entries = list(store.entries())
    assert store.sizes("crm") == (len(entries), sum(each.bytes for each in entries))
    assert store.usage.totals()["crm"].evictions == 30 - len(entries) > 0
    store.close()
    again = Store(tmp_path)
    assert again.sizes("crm") == (len(entries), sum(each.bytes for each in entries))
    assert again.sizes("other") == (0, 0)
    again.close()


def test_every_face(server: RestServer, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    text = catalog_text(server.url, tmp_path / "cache", policy='cache = { ttl = "1h" }')
    folder = catalog_of(tmp_path, text).parent
    with start_face(folder) as face, psycopg.connect(face.uri, autocommit=True) as session:
        face.http.query(ALL)
        face.http.query(ALL)
        shown = ["crm", ["id", "name"], 2, "fresh", 1, False]
        assert face.http.query(SHOWN).json()["rows"] == [shown]
        assert session.execute(SHOWN).fetchall() == [tuple(shown)]
        assert session.execute("SELECT count(*) FROM system.cache WHERE 'id' = ANY(columns)").fetchall() == [(1,)]
        assert session.execute("SELECT * FROM system.cache").fetchall()
        for kind in ("text/csv", "application/x-ndjson", "application/vnd.apache.arrow.stream"):
            body = {"sql": "SELECT * FROM system.cache"}
            answer = face.http.client.post("/v1/query", json=body, headers={"Accept": kind})
            assert answer.status_code == 200
            assert b"people" in answer.content
        metrics = face.http.client.get("/metrics").text
        for line in ("hits_total", "misses_total", "entries"):
            assert f'federation_cache_{line}{{source="crm"}} 1.0' in metrics
        assert 'federation_cache_evictions_total{source="crm"} 0.0' in metrics
        assert 'federation_cache_bytes{source="crm"} ' in metrics
        capfdbinary.readouterr()
        assert main(["cache", "-c", str(folder), "-f", "json"]) == 0
        (row,) = json.loads(capfdbinary.readouterr().out)
        assert (row["source"], row["hits"], row["columns"]) == ("crm", 1, ["id", "name"])
        assert main(["cache", "-c", str(folder), "invalidate", "crm"]) == 0
        assert main(["cache", "-c", str(folder)]) == 0
        assert b"(0 rows)" in capfdbinary.readouterr().out
