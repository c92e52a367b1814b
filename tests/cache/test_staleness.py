"""How old rows may be, as a query says it, on every way in; and what each says of how old they are."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

import federation
from adapters.errors import DataTooStale, ProgrammingError
from federation import aio
from federation.cli.main import main
from federation.engine import Engine
from federation.progress import State
from federation.staleness import Demand
from tests.adapters.rest_server import RestServer
from tests.cache.world import Clock, ask, catalog_text
from tests.faults.world import catalog_of
from tests.pgwire.running import Postgres, start_face

ALL = "SELECT id, name FROM crm.people ORDER BY id"
HOUR = 'cache = { ttl = "1h", stale_if_error = "1h" }'
BRIEF = 'cache = { ttl = "1ms", stale_while_revalidate = "1h" }'


def age(engine: Engine, clock: Clock, **options: Any) -> tuple[str, float]:
    with engine.query(ALL, options=options) as result:
        result.read_all()
        (found,) = result.freshness()
        return str(found.state), clock.now - found.as_of


@pytest.mark.parametrize("seconds", [-1, math.nan, math.inf, "30s", True])
def test_what_is_no_number_of_seconds_is_refused(engine: Engine, server: RestServer, seconds: object) -> None:
    with pytest.raises(ProgrammingError, match="max_staleness"):
        engine.query(ALL, options={"max_staleness": seconds})
    with pytest.raises(ProgrammingError, match="max_staleness"):
        federation.connect("nowhere.toml", max_staleness=seconds)  # type: ignore[arg-type]
    assert server.journal == []


def test_nothing_older_is_given_than_the_query_accepts(engine: Engine, server: RestServer, clock: Clock) -> None:
    ask(engine, ALL)
    clock.now += 8
    assert age(engine, clock, max_staleness=8)[0] == "fresh"
    assert age(engine, clock, max_staleness=1000)[0] == "fresh"  # no more than the catalog allows
    assert len(server.journal) == 1
    assert age(engine, clock, max_staleness=7)[0] == "live"
    assert len(server.journal) == 2


def test_what_a_query_fetched_anew_serves_the_others(engine: Engine, server: RestServer, clock: Clock) -> None:
    ask(engine, ALL)
    clock.now += 5
    server.resources["/people"].rows[0]["name"] = "Eve"
    assert ask(engine, ALL, options={"max_staleness": 1})[0] == (1, "Eve")
    assert ask(engine, ALL)[0] == (1, "Eve")
    assert len(server.journal) == 2


def test_stale_rows_are_too_old_for_who_says_so(engine: Engine, server: RestServer, clock: Clock) -> None:
    ask(engine, ALL)
    clock.now += 25
    server.resources["/people"].rows[0]["name"] = "Eve"
    assert ask(engine, ALL, options={"max_staleness": 20})[0] == (1, "Eve")


def test_without_the_cache_nothing_is_read_and_nothing_kept(engine: Engine, server: RestServer, clock: Clock) -> None:
    assert age(engine, clock, no_cache=True)[0] == "live"
    ask(engine, ALL)
    ask(engine, ALL, options={"no_cache": True})
    assert len(server.journal) == 3
    assert age(engine, clock)[0] == "fresh"


def test_older_rows_of_a_source_that_is_down_are_refused(engine: Engine, server: RestServer, clock: Clock) -> None:
    ask(engine, ALL)
    clock.now += 60
    server.faults.append("503")
    assert age(engine, clock, max_staleness=60) == ("stale_on_error", 60)
    server.faults.append("503")
    with pytest.raises(DataTooStale) as refused:
        ask(engine, ALL, options={"max_staleness": 59})
    error = refused.value
    assert (error.sqlstate, error.source, error.retryable) == ("72000", "crm", True)
    assert "60 s old" in error.message and "59 s" in error.message and error.hint


def test_a_source_that_is_down_fails_as_ever_where_the_cache_has_nothing(engine: Engine, server: RestServer) -> None:
    server.faults.append("503")
    with pytest.raises(federation.OperationalError) as failed:
        ask(engine, ALL, options={"max_staleness": 5})
    assert failed.value.sqlstate == "08006"


def test_explain_obeys_it(engine: Engine, clock: Clock) -> None:
    ask(engine, ALL)
    clock.now += 5
    assert engine.explain(ALL).to_json()["fragments"][0]["freshness"]["state"] == "fresh"
    assert engine.explain(ALL, options={"max_staleness": 1}).to_json()["fragments"][0]["freshness"] is None
    assert engine.explain(ALL, options={"no_cache": True}).to_json()["fragments"][0]["freshness"] is None
    analyzed = engine.explain(ALL, analyze=True, options={"max_staleness": 1})
    assert analyzed.to_json()["fragments"][0]["freshness"]["state"] == "live"


# --- every way in -----------------------------------------------------------------------------------------------


@pytest.fixture
def catalog(server: RestServer, tmp_path: Path) -> Path:
    return catalog_of(tmp_path, catalog_text(server.url, tmp_path / "cache", policy=HOUR)).parent


@pytest.fixture
def face(catalog: Path) -> Iterator[Postgres]:
    with start_face(catalog) as running:
        yield running


def test_cursors(server: RestServer, catalog: Path) -> None:
    with federation.connect(catalog, max_staleness=0) as connection:
        assert connection.execute(ALL).fetchall() == connection.execute(ALL).fetchall()
        assert len(server.journal) == 2
        cursor = connection.cursor()
        cursor.max_staleness = None
        assert len(cursor.execute(ALL).fetchall()) == 2
        assert [(each.source, each.state) for each in cursor.freshness()] == [("crm", State.FRESH)]
        cursor.no_cache = True
        cursor.execute(ALL).fetchall()
        assert [each.state for each in cursor.freshness()] == [State.LIVE]


def test_cursors_of_a_server(server: RestServer, face: Postgres) -> None:
    with federation.connect(face.http.url) as connection:
        cursor = connection.cursor()
        for staleness, no_cache, state in ((None, False, "live"), (60, False, "fresh"), (0, False, "live")):
            cursor.max_staleness, cursor.no_cache = staleness, no_cache
            cursor.execute(ALL).fetchall()
            (found,) = cursor.freshness()
            assert (found.source, str(found.state)) == ("crm", state)
            assert found.as_of > 1e9
    assert len(server.journal) == 2

    async def asked() -> str:
        async with await aio.connect(face.http.url, no_cache=True) as connection:
            cursor = await connection.execute(ALL)
            await cursor.fetchall()
            (found,) = await cursor.freshness()
            return str(found.state)

    assert asyncio.run(asked()) == "live"


def test_http(face: Postgres) -> None:
    def asked(accept: str = "application/json", header: str | None = None, **body: Any) -> Any:
        headers = {"Accept": accept, **({"Federation-Max-Staleness": header} if header is not None else {})}
        return face.http.client.post("/v1/query", json={"sql": ALL, **body}, headers=headers)

    (first,) = asked().json()["stats"]["freshness"]
    assert (first["source"], first["state"]) == ("crm", "live")
    (second,) = asked().json()["stats"]["freshness"]
    assert (second["state"], second["as_of"] <= first["as_of"]) == ("fresh", True)
    assert datetime.fromisoformat(second["as_of"]).utcoffset() is not None
    for accept in ("text/csv", "application/vnd.apache.arrow.stream", "application/x-ndjson"):
        (found,) = json.loads(asked(accept).headers["Federation-Freshness"])
        assert found == second
    for more in ({"max_staleness": 0}, {"no_cache": True}, {"header": "0"}, {"header": "0", "max_staleness": 60}):
        assert asked(**more).json()["stats"]["freshness"][0]["state"] == "live"
    answer = asked(header="60", max_staleness=60)
    assert answer.json()["stats"]["freshness"][0]["state"] == "fresh"
    info = face.http.client.get(f"/v1/queries/{answer.headers['Federation-Query-Id']}").json()
    assert info["freshness"][0]["state"] == "fresh"
    for wrong in ("-1", "soon", "nan", "inf"):
        assert asked(header=wrong).status_code == 422


def test_http_refuses(server: RestServer, face: Postgres) -> None:
    assert face.http.query(ALL).status_code == 200
    server.faults.append("503")
    answer = face.http.query(ALL, max_staleness=0)
    assert (answer.status_code, answer.json()["sqlstate"], answer.json()["source"]) == (503, "72000", "crm")


def test_sessions_of_postgres(server: RestServer, face: Postgres) -> None:
    with psycopg.connect(face.uri, autocommit=True) as session:
        session.execute(ALL)
        session.execute(ALL)
        assert len(server.journal) == 1
        session.execute("SET max_staleness = 0")
        session.execute(ALL)
        assert len(server.journal) == 2
        session.execute("SET max_staleness = '30s'")
        assert session.execute("SHOW max_staleness").fetchall() == [("30s",)]
        session.execute(ALL)
        assert len(server.journal) == 2
        session.execute("SET max_staleness = 0; SET max_staleness = 'any'; SET no_cache = on")
        session.execute(ALL)
        assert len(server.journal) == 3
        session.execute("RESET no_cache")
        session.execute(ALL)
        assert len(server.journal) == 3
        session.execute("SET max_staleness = 0")
        server.faults.append("503")
        with pytest.raises(psycopg.Error) as refused:
            session.execute(ALL)
        assert refused.value.sqlstate == "72000"
        for wrong in ("'soon'", "-2", "'1 parsec'"):
            with pytest.raises(psycopg.Error) as refused:
                session.execute(f"SET max_staleness = {wrong}")
            assert refused.value.sqlstate == "22023"


def test_notices_of_old_rows(server: RestServer, tmp_path: Path) -> None:
    folder = catalog_of(tmp_path, catalog_text(server.url, tmp_path / "cache", policy=BRIEF)).parent
    with start_face(folder) as face, psycopg.connect(face.uri, autocommit=True) as session:
        told: list[tuple[str | None, str | None]] = []
        session.add_notice_handler(lambda each: told.append((each.severity, each.message_primary)))
        session.execute(ALL)
        assert told == []
        assert len(session.execute(ALL).fetchall()) == 2
        ((severity, message),) = told
        assert severity == "NOTICE" and message is not None and message.startswith("rows of crm, which is being asked")
        session.execute("SET client_min_messages = warning")
        session.execute(ALL)
        assert len(told) == 1


def test_the_command_line(server: RestServer, catalog: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options in ([], [], ["--max-staleness", "1h"], ["--max-staleness", "0"], ["--no-cache"]):
        assert main(["query", "-c", str(catalog), *options, ALL]) == 0
    assert len(server.journal) == 3
    assert main(["explain", "-c", str(catalog), ALL]) == 0
    assert "cached: fresh" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["query", "-c", str(catalog), "--max-staleness", "-1s", ALL])


def test_demands_as_options() -> None:
    assert Demand(5).options() == {"max_staleness": 5, "no_cache": False}
