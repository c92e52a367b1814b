"""Fragments of queries in the cache: what is given again, what is not, and for how long."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from adapters.errors import Error
from federation.engine import Engine
from tests.adapters.rest_server import TOKEN, RestServer
from tests.cache.world import Clock, ask, catalog_text, engine_of, states
from tests.corpora.settings import Setting
from tests.faults.world import source
from tests.waiting import eventually

ALL = "SELECT id, name FROM crm.people ORDER BY id"


def rename(server: RestServer, name: str) -> None:
    server.resources["/people"].rows[0]["name"] = name


def kept(folder: Path) -> list[str]:
    """The suffixes of what lies in the cache folder, but for the index."""
    return sorted(
        path.suffix for path in folder.rglob("*") if path.is_file() and path.suffix in (".arrow", ".part", ".lock")
    )


def test_the_same_request_is_asked_once(engine: Engine, server: RestServer, clock: Clock) -> None:
    assert ask(engine, ALL) == [(1, "Ada"), (2, "Bo")]
    rename(server, "Eve")
    clock.now += 10
    assert ask(engine, ALL) == [(1, "Ada"), (2, "Bo")]
    assert server.journal == ["/people"]
    with engine.query(ALL) as result:
        result.read_all()
        (found,) = result.freshness()
    assert (found.source, str(found.state), found.as_of) == ("crm", "fresh", clock.now - 10)


def test_without_a_policy_nothing_is_kept(server: RestServer, clock: Clock, tmp_path: Path) -> None:
    text = catalog_text(server.url, tmp_path / "cache", policy="")
    with engine_of(tmp_path, clock, text) as engine:
        assert engine.cache is None
        assert ask(engine, ALL) == ask(engine, ALL)
        assert states(engine, ALL) == ["live"]
    assert len(server.journal) == 3
    assert not (tmp_path / "cache").exists()


def test_what_is_too_old_is_fetched(server: RestServer, clock: Clock, tmp_path: Path) -> None:
    text = catalog_text(server.url, tmp_path / "cache", policy='cache = { ttl = "10s" }')
    with engine_of(tmp_path, clock, text) as engine:
        ask(engine, ALL)
        rename(server, "Eve")
        clock.now += 10.5
        assert ask(engine, ALL) == [(1, "Eve"), (2, "Bo")]
        assert states(engine, ALL) == ["fresh"]
        clock.now -= 3600  # a clock that goes back makes nothing fresh
        assert states(engine, ALL) == ["live"]
        assert kept(tmp_path / "cache") == [".arrow"]


def test_the_present_policy_counts(server: RestServer, clock: Clock, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    for ttl, state in (("1h", "live"), ("1h", "fresh"), ("1m", "live"), ("1h", "fresh"), ("0s", "live")):
        policy = f'cache = {{ ttl = "{ttl}" }}'
        with engine_of(tmp_path, clock, catalog_text(server.url, folder, policy=policy)) as engine:
            assert states(engine, ALL) == [state]
        clock.now += 120


def test_a_table_may_have_a_policy_of_its_own(server: RestServer, clock: Clock, tmp_path: Path) -> None:
    text = catalog_text(server.url, tmp_path / "cache") + '[tables."crm.people"]\ncache = { ttl = "0s" }\n'
    with engine_of(tmp_path, clock, text) as engine:
        assert [*states(engine, ALL), *states(engine, ALL)] == ["live", "live"]


def test_other_requests_are_other_fragments(engine: Engine, server: RestServer) -> None:
    different = [
        "SELECT id, name FROM crm.people",
        "SELECT id FROM crm.people",
        "SELECT id, name FROM crm.people WHERE id = 1",
        "SELECT id, name FROM crm.people WHERE id = 2",
        "SELECT id, name FROM crm.people WHERE name = 'Bo'",
    ]
    disable = {"disable": ["containment"]}
    answers = [ask(engine, sql, options=disable) for sql in different]
    asked = len(server.journal)
    assert asked == len(different)
    assert [ask(engine, sql, options=disable) for sql in different] == answers
    assert len(server.journal) == asked


def test_runtime_filters_are_part_of_the_request(clock: Clock, tmp_path: Path) -> None:
    """Without any key nothing is read, which must not be taken for the rows of the table."""
    for name, rows in (("small", [(n, n) for n in range(1, 4)]), ("large", [(n, n % 100) for n in range(20_000)])):
        with sqlite3.connect(tmp_path / f"{name}.db") as database:
            database.execute("CREATE TABLE t (id INTEGER NOT NULL, k INTEGER NOT NULL) STRICT")
            database.executemany("INSERT INTO t VALUES (?, ?)", rows)
        database.close()
    sections = [
        source(name, "sqlite", path=str(tmp_path / f"{name}.db"), cache={"ttl": "1h"}) for name in ("small", "large")
    ]
    joined = "SELECT count(l.id), max(l.k) FROM small.t AS s JOIN large.t AS l ON l.k = s.k WHERE s.id % 7 = {}"
    settings = f'[settings]\ncache_directory = "{tmp_path / "cache"}"\n'
    with Setting(force="members").forced(), engine_of(tmp_path, clock, settings + "".join(sections)) as engine:
        for number, count in ((6, 0), (1, 200), (2, 200), (6, 0), (1, 200)):
            assert ask(engine, joined.format(number))[0][0] == count
        fragments = engine.explain(joined.format(2), analyze=True).to_json()["fragments"]
        assert [made["made"] for each in fragments for made in each["runtime_filters"]] == ["1 keys"]
        assert len(ask(engine, "SELECT l.id, l.k FROM large.t AS l")) == 20_000


def test_other_credentials_see_nothing_of_it(server: RestServer, clock: Clock, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    with engine_of(tmp_path, clock, catalog_text(server.url, folder)) as engine:
        ask(engine, ALL)
    with engine_of(tmp_path, clock, catalog_text(server.url, folder, token="another")) as engine, pytest.raises(Error):
        ask(engine, ALL)
    with engine_of(tmp_path, clock, catalog_text(server.url, folder)) as engine:
        assert states(engine, ALL) == ["fresh"]
    for path in folder.rglob("*"):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes()
        assert path.stat().st_mode & 0o077 == 0, path


@pytest.mark.parametrize("fault", ["503", "cut", "invalid", "disconnect"])
def test_a_failed_fetch_leaves_nothing(engine: Engine, server: RestServer, tmp_path: Path, fault: str) -> None:
    server.faults.append(fault)
    with pytest.raises(Error):
        ask(engine, ALL)
    assert kept(tmp_path / "cache") == []
    assert ask(engine, ALL) == [(1, "Ada"), (2, "Bo")]
    assert states(engine, ALL) == ["fresh"]


def test_a_stale_answer_is_given_and_renewed_behind_it(engine: Engine, server: RestServer, clock: Clock) -> None:
    ask(engine, ALL)
    rename(server, "Eve")
    clock.now += 25
    with engine.query(ALL) as result:
        assert result.read_all()["name"].to_pylist() == ["Ada", "Bo"]
        assert str(result.freshness()[0].state) == "stale"
    eventually(lambda: ask(engine, ALL) == [(1, "Eve"), (2, "Bo")])
    assert states(engine, ALL) == ["fresh"]
    assert len(server.journal) == 2
    clock.now += 31
    rename(server, "Ivy")
    assert ask(engine, ALL) == [(1, "Ivy"), (2, "Bo")]


def test_a_refresh_that_fails_changes_nothing(engine: Engine, server: RestServer, clock: Clock) -> None:
    ask(engine, ALL)
    clock.now += 25
    server.faults.append("503")
    assert ask(engine, ALL) == [(1, "Ada"), (2, "Bo")]
    eventually(lambda: len(server.journal) == 2)
    eventually(lambda: len(server.journal) > 2 or states(engine, ALL) == ["fresh"])


def test_a_source_that_is_down_is_replaced_within_its_limit(engine: Engine, server: RestServer, clock: Clock) -> None:
    ask(engine, ALL)
    clock.now += 105
    server.faults.append("503")
    with engine.query(ALL) as result:
        assert result.read_all()["name"].to_pylist() == ["Ada", "Bo"]
        (found,) = result.freshness()
    assert (str(found.state), found.as_of) == ("stale_on_error", clock.now - 105)
    clock.now += 6
    server.faults.append("503")
    with pytest.raises(Error):
        ask(engine, ALL)


def test_other_errors_of_the_source_are_raised(engine: Engine, server: RestServer, clock: Clock) -> None:
    ask(engine, ALL)
    clock.now += 50
    server.faults.append("invalid")
    with pytest.raises(Error):
        ask(engine, ALL)


def test_explain_says_where_rows_are_from(engine: Engine, clock: Clock) -> None:
    assert engine.explain(ALL).to_json()["fragments"][0]["freshness"] is None
    assert engine.explain(ALL, analyze=True).to_json()["fragments"][0]["freshness"]["state"] == "live"
    plan = engine.explain(ALL)
    assert plan.to_json()["fragments"][0]["freshness"] == {
        "state": "fresh",
        "as_of": "2027-01-15T08:00:00.000+00:00",
        "query": None,
    }
    assert "cached: fresh, as of 2027-01-15T08:00:00.000+00:00" in plan.text()
    clock.now += 15
    assert engine.explain(ALL, analyze=True).to_json()["fragments"][0]["freshness"]["state"] == "stale"
