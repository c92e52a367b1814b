"""Transactions, settings, prepared statements, cursors: what a session keeps, by the protocol itself."""

from __future__ import annotations

import re
import struct

import psycopg
import pytest

from tests.http.running import ROWS
from tests.pgwire import raw
from tests.pgwire.raw import (
    SYNC,
    Message,
    Raw,
    bind,
    describe,
    errors,
    execute,
    kinds,
    message,
    parse,
    query,
    rows,
    text,
)
from tests.pgwire.running import Postgres


def tags(messages: list[Message]) -> list[str]:
    return [each.body[:-1].decode() for each in messages if each.kind == "C"]


def status(messages: list[Message]) -> str:
    return messages[-1].body.decode()


def reported(messages: list[Message]) -> dict[str, str]:
    pairs = [each.body.split(b"\0") for each in messages if each.kind == "S"]
    return {pair[0].decode(): pair[1].decode() for pair in pairs}


def oids(messages: list[Message]) -> list[int]:
    """Of the last ParameterDescription."""
    body = next(each.body for each in messages if each.kind == "t")
    return list(struct.unpack(f"!{(len(body) - 2) // 4}I", body[2:]))


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "sqlstate", "position"),
    [
        ("SELEC 1", "42601", 1),
        ("SELECT 1; SELECT * FROM f.none", "42P01", 25),
        ("SELECT nothing FROM f.small", "42703", 8),
        ("SELECT 'é', nothing FROM f.small", "42703", 13),
        ("SELECT * FROM none.small", "3F000", 15),
        ("SELECT nothing(1)", "42883", 8),
        ("INSERT INTO f.small VALUES (1)", "25006", None),
        ("CREATE TABLE x (a int)", "25006", None),
        ("SELECT * FROM lite.late", "22P02", None),
        ("VACUUM", "0A000", None),
        ("NOTIFY x", "0A000", None),
        ("SET nothing = 1", "42704", None),
        ("SET statement_timeout = 'soon'", "22023", None),
        ("SET DateStyle = 'German'", "0A000", None),
        ("SET client_encoding = 'LATIN1'", "0A000", None),
        ("SET server_version = '16'", "55P02", None),
        ("SET application_name = 'a', 'b'", "22023", None),
        ("SHOW nothing", "42704", None),
        ("EXECUTE none", "26000", None),
        ("DEALLOCATE none", "26000", None),
        ("FETCH none", "34000", None),
        ("CLOSE none", "34000", None),
        ("DECLARE c CURSOR FOR SELECT 1", "25P01", None),
        ("SAVEPOINT s", "25P01", None),
        ("ROLLBACK TO s", "25P01", None),
        ("COMMIT AND CHAIN", "25P01", None),
        ("COPY f.small TO STDOUT WITH (FORMAT xml)", "22023", None),
    ],
)
def test_errors(face: Postgres, sql: str, sqlstate: str, position: int | None) -> None:
    with Raw(face.port) as client:
        found = client.log_in().ask(query(sql))
        assert errors(found) == [sqlstate]
        fields = next(each for each in found if each.kind == "E").fields()
        assert fields.get("P") == (str(position) if position is not None else None)
        assert fields["S"] == fields["V"] == "ERROR"
        assert status(found) == "I"
        assert rows(client.ask(query("SELECT 1"))) == [["1"]]


def test_the_source_is_in_the_detail(face: Postgres) -> None:
    with Raw(face.port) as client:
        found = client.log_in().ask(query("SELECT * FROM lite.late"))
    assert next(each for each in found if each.kind == "E").fields()["D"] == "source lite"
    assert rows(found)  # they came before it


# --- simple -----------------------------------------------------------------------------------------------------------


def test_several_statements(face: Postgres) -> None:
    with Raw(face.port) as client:
        found = client.log_in().ask(query("SELECT 1; SHOW timezone;; SELECT 2"))
        assert kinds(found) == "TDCTDCTDCZ"
        assert tags(found) == ["SELECT 1", "SHOW", "SELECT 1"]
        assert kinds(client.ask(query(""))) == "IZ"
        assert kinds(client.ask(query(" ; "))) == "IZ"
        failed = client.ask(query("SELECT 1; SELECT nothing; SELECT 3"))
        assert rows(failed) == [["1"]]
        assert errors(failed) == ["42703"]


def test_transactions(face: Postgres) -> None:
    with Raw(face.port) as client:
        assert status(client.log_in().ask(query("BEGIN"))) == "T"
        assert kinds(client.ask(query("BEGIN"))) == "NCZ"
        assert status(client.ask(query("SELECT nothing"))) == "E"
        assert errors(client.ask(query("SELECT 1"))) == ["25P02"]
        assert errors(client.ask(parse("SELECT 1"), SYNC)) == ["25P02"]
        assert tags(ended := client.ask(query("COMMIT"))) == ["ROLLBACK"]
        assert status(ended) == "I"
        assert kinds(client.ask(query("COMMIT"))) == "NCZ"
        found = client.ask(query("START TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        assert tags(found) == ["START TRANSACTION"]
        assert kinds(found) == "CZ"
        assert rows(client.ask(query("SHOW transaction_isolation"))) == [["repeatable read"]]
        client.ask(query("SAVEPOINT s; SET LOCAL application_name = 'inner'"))
        assert status(client.ask(query("SELECT nothing"))) == "E"
        assert status(client.ask(query("ROLLBACK TO s"))) == "T"
        assert rows(client.ask(query("SHOW application_name"))) == [[""]]
        assert errors(client.ask(query("ROLLBACK TO other"))) == ["3B001"]
        assert tags(client.ask(query("ROLLBACK AND CHAIN"))) == ["ROLLBACK"]
        assert status(client.ask(query("COMMIT"))) == "I"
        assert rows(client.ask(query("SHOW transaction_isolation"))) == [["read committed"]]


def test_settings(face: Postgres) -> None:
    with Raw(face.port) as client:
        client.log_in(application_name="mine", options="-c extra_float_digits=3 --TimeZone=Europe/Berlin")
        assert rows(client.ask(query("SHOW application_name; SHOW extra_float_digits"))) == [["mine"], ["3"]]
        assert reported(client.ask(query("SET TimeZone = 'Asia/Tokyo'"))) == {"TimeZone": "Asia/Tokyo"}
        assert reported(client.ask(query("RESET TimeZone"))) == {"TimeZone": "Europe/Berlin"}
        assert reported(client.ask(query("SET application_name = 'other'"))) == {"application_name": "other"}
        assert reported(client.ask(query("SET application_name TO DEFAULT"))) == {"application_name": "mine"}
        client.ask(query("BEGIN; SET application_name = 'gone'"))
        assert reported(client.ask(query("ROLLBACK"))) == {"application_name": "mine"}
        client.ask(query("BEGIN; SET LOCAL statement_timeout = '2min'; SET work_mem = '1GB'"))
        assert rows(client.ask(query("SHOW statement_timeout"))) == [["2min"]]
        client.ask(query("COMMIT"))
        assert rows(client.ask(query("SHOW statement_timeout; SHOW work_mem"))) == [["0"], ["1GB"]]
        assert kinds(client.ask(query("SET LOCAL work_mem = '1MB'"))) == "NCZ"
        client.ask(query("SET my.own = 'x'"))
        assert rows(client.ask(query("SHOW my.own"))) == [["x"]]
        names = [row[0] for row in rows(client.ask(query("SHOW ALL")))]
        assert "search_path" in names
        assert "server_version" in names
        client.ask(query("PREPARE p AS SELECT 1; DISCARD ALL"))
        assert errors(client.ask(query("EXECUTE p"))) == ["26000"]
        assert rows(client.ask(query("SHOW work_mem"))) == [["4MB"]]
        assert errors(client.ask(query("BEGIN; DISCARD ALL"))) == ["25001"]


def test_what_a_client_hears_at_the_start(face: Postgres) -> None:
    with Raw(face.port) as client:
        client.send(raw.startup(user="ada", application_name="mine"))
        heard = reported(client.until())
    assert heard["server_encoding"] == heard["client_encoding"] == "UTF8"
    assert heard["standard_conforming_strings"] == heard["integer_datetimes"] == "on"
    assert heard["DateStyle"] == "ISO, MDY"
    assert heard["TimeZone"] == "UTC"
    assert heard["session_authorization"] == "ada"
    assert heard["application_name"] == "mine"
    assert heard["server_version"].startswith("15.")


# --- extended ---------------------------------------------------------------------------------------------------------


def test_the_extended_protocol(face: Postgres) -> None:
    with Raw(face.port) as client:
        steps = (parse("SELECT $1::int + 1 AS a", "s"), describe("S", "s"), bind(b"41", statement="s"))
        found = client.log_in().ask(*steps, describe("P"), execute(), SYNC)
        assert kinds(found) == "1tT2TDCZ"
        assert oids(found) == [23]
        assert rows(found) == [["42"]]
        found = client.ask(bind(None, statement="s"), execute(), bind(b"1", statement="s"), execute(), SYNC)
        assert rows(found) == [[None], ["2"]]
        assert kinds(client.ask(message("C", b"S" + text("s")), message("C", b"P" + text("none")), SYNC)) == "33Z"
        assert errors(client.ask(bind(statement="s"), SYNC)) == ["26000"]


def test_statements_without_rows(face: Postgres) -> None:
    with Raw(face.port) as client:
        steps = (parse("SET work_mem = '1MB'"), describe("S"), bind(), describe("P"), execute(), SYNC)
        assert kinds(client.log_in().ask(*steps)) == "1tn2nCZ"
        assert kinds(client.ask(parse(""), bind(), describe("P"), execute(), SYNC)) == "12nIZ"
        copy = client.ask(parse("COPY f.small TO STDOUT"), bind(), describe("P"), execute(), SYNC)
        assert kinds(copy) == "12nHddcCZ"
        assert tags(copy) == ["COPY 2"]


def test_parts_of_a_portal(face: Postgres) -> None:
    with Raw(face.port) as client:
        start = (parse("SELECT id FROM f.numbers WHERE id < 5 ORDER BY id"), bind())
        found = client.log_in().ask(*start, execute(2), execute(2), execute(2), execute(2), SYNC)
        assert kinds(found) == "12DDsDDsDCCZ"
        assert tags(found) == ["SELECT 1", "SELECT 0"]
        assert errors(client.ask(execute(), SYNC)) == ["34000"]  # gone with the implicit transaction
        client.ask(query("BEGIN"))
        assert kinds(client.ask(*start, execute(3), SYNC)) == "12DDDsZ"
        assert rows(client.ask(execute(), SYNC)) == [["3"], ["4"]]
        client.ask(query("COMMIT"))


def test_flush_sends_what_there_is(face: Postgres) -> None:
    with Raw(face.port) as client:
        client.log_in().send(parse("SELECT 1"), raw.FLUSH)
        first = client.read()
        assert first is not None
        assert first.kind == "1"
        assert kinds(client.ask(SYNC)) == "Z"


def test_errors_of_a_pipeline_end_at_each_sync(face: Postgres) -> None:
    good, bad = (parse("SELECT 1"), bind(), execute(), SYNC), (parse("SELECT nothing"), bind(), execute(), SYNC)
    with Raw(face.port) as client:
        client.log_in().send(*good, *bad, *good)
        assert kinds(client.until()) == "12DCZ"
        assert errors(client.until()) == ["42703"]
        assert kinds(client.until()) == "12DCZ"


# --- cursors and prepared statements in SQL ---------------------------------------------------------------------------


def test_cursors(face: Postgres) -> None:
    with Raw(face.port) as client:
        declare = "DECLARE c CURSOR FOR SELECT id FROM f.numbers ORDER BY id"
        found = client.log_in().ask(query(f"BEGIN; {declare}; FETCH 2 FROM c"))
        assert rows(found) == [["0"], ["1"]]
        assert tags(found) == ["BEGIN", "DECLARE CURSOR", "FETCH 2"]
        assert rows(client.ask(query("FETCH c"))) == [["2"]]
        assert tags(client.ask(query("MOVE 10 FROM c"))) == ["MOVE 10"]
        assert rows(client.ask(query("FETCH RELATIVE 2 FROM c"))) == [["14"]]
        assert rows(client.ask(query("FETCH ABSOLUTE 21 FROM c"))) == [["20"]]
        assert rows(client.ask(execute(2, "c"), SYNC)) == [["21"], ["22"]]  # a portal of the protocol, too
        assert tags(client.ask(query("MOVE ALL FROM c"))) == [f"MOVE {ROWS - 23}"]
        assert tags(client.ask(query("FETCH ALL FROM c"))) == ["FETCH 0"]
        assert tags(client.ask(query("CLOSE c"))) == ["CLOSE CURSOR"]
        client.ask(query(f"{declare}"))
        assert errors(client.ask(query(declare))) == ["42P03"]
        client.ask(query("ROLLBACK"))
        assert errors(client.ask(query("FETCH c"))) == ["34000"]


@pytest.mark.parametrize("fetch", ["BACKWARD 1", "PRIOR", "LAST", "ABSOLUTE 1", "RELATIVE -1", "FIRST"])
def test_cursors_do_not_go_back(face: Postgres, fetch: str) -> None:
    with Raw(face.port) as client:
        client.log_in().ask(query("BEGIN; DECLARE c CURSOR FOR SELECT id FROM f.numbers; FETCH 2 FROM c"))
        assert errors(client.ask(query(f"FETCH {fetch} FROM c"))) == ["55000"]


def test_a_cursor_with_hold_outlives_its_transaction(face: Postgres) -> None:
    with Raw(face.port) as client:
        client.log_in().ask(query("BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT id FROM f.numbers ORDER BY id"))
        client.ask(query("FETCH c; COMMIT"))
        assert rows(client.ask(query("FETCH c"))) == [["1"]]
        client.ask(query("CLOSE ALL"))
        assert errors(client.ask(query("FETCH c"))) == ["34000"]


def test_a_cursor_that_has_failed_does_not_look_like_one_at_its_end(face: Postgres) -> None:
    with Raw(face.port) as client:
        client.log_in().ask(query("BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT * FROM lite.late; COMMIT"))
        assert errors(client.ask(query("FETCH ALL FROM c"))) == ["22P02"]
        for again in ("FETCH 1 FROM c", "FETCH ALL FROM c", "MOVE ALL FROM c"):
            assert errors(client.ask(query(again))) == ["55000"]


@pytest.mark.parametrize(
    ("zone", "shown", "noon"),
    [
        ("'Europe/Berlin'", "Europe/Berlin", "2024-01-01 13:00:00+01"),
        ("-7", "<-07>+07", "2024-01-01 05:00:00-07"),
        ("'GMT+02:00'", "GMT+02:00", "2024-01-01 10:00:00-02"),
        ("'utc'", "UTC", "2024-01-01 12:00:00+00"),
    ],
)
def test_time_zones(face: Postgres, zone: str, shown: str, noon: str) -> None:
    with Raw(face.port) as client:
        client.log_in().ask(query("PREPARE p AS SELECT TIMESTAMPTZ '2024-01-01 12:00:00+00'"))
        assert rows(client.ask(query(f"SET TIME ZONE {zone}; SHOW TIME ZONE"))) == [[shown]]
        assert rows(client.ask(query("EXECUTE p"))) == [[noon]]
        assert errors(client.ask(query("SET TIME ZONE 'Nowhere/At_All'"))) == ["22023"]


def test_prepared_in_sql(face: Postgres) -> None:
    with Raw(face.port) as client:
        client.log_in().ask(query("PREPARE p (int) AS SELECT $1 + 1 AS a"))
        found = client.ask(query("EXECUTE p (41)"))
        assert rows(found) == [["42"]]
        assert tags(found) == ["SELECT 1"]
        assert rows(client.ask(query("EXECUTE p ('1'); EXECUTE p (NULL); EXECUTE p (1 + 1)"))) == [["2"], [None], ["3"]]
        assert rows(client.ask(bind(b"1", statement="p"), execute(), SYNC)) == [["2"]]  # one of the protocol, too
        assert errors(client.ask(query("EXECUTE p"))) == ["42601"]
        assert errors(client.ask(query("EXECUTE p (1, 2)"))) == ["42601"]
        assert errors(client.ask(query("PREPARE p AS SELECT 1"))) == ["42P05"]
        assert tags(client.ask(query("DEALLOCATE p"))) == ["DEALLOCATE"]
        assert tags(client.ask(query("DEALLOCATE ALL"))) == ["DEALLOCATE ALL"]


def test_listen_is_accepted(face: Postgres) -> None:
    with Raw(face.port) as client:
        assert tags(client.log_in().ask(query("LISTEN x; UNLISTEN x; UNLISTEN *"))) == [
            "LISTEN",
            "UNLISTEN",
            "UNLISTEN",
        ]


def test_explain(face: Postgres) -> None:
    with Raw(face.port) as client:
        plan = rows(client.log_in().ask(query("EXPLAIN SELECT * FROM f.small")))
        assert any("f.small" in str(line) for line in plan)
        assert re.search(r"\(cost=\d+\.\d\d\.\.\d+\.\d\d rows=2 width=\d+\)$", str(plan[0][0]))
        assert "cost=" not in str(rows(client.ask(query("EXPLAIN (COSTS off) SELECT * FROM f.small"))))
        analyzed = rows(client.ask(query("EXPLAIN (ANALYZE) SELECT * FROM f.small")))
        assert "rows=2" in str(analyzed[0])


def test_explain_as_json(face: Postgres) -> None:
    with psycopg.connect(face.uri) as connection:
        cursor = connection.execute("EXPLAIN (ANALYZE, FORMAT JSON) SELECT * FROM f.small")
        assert [(each.name, each.type_code) for each in cursor.description or ()] == [("QUERY PLAN", 114)]
        ((plan,),) = cursor.fetchall()
        assert plan["rows"] == 2
        with pytest.raises(psycopg.errors.FeatureNotSupported, match="yaml"):
            connection.execute("EXPLAIN (FORMAT yaml) SELECT 1")


# --- names and dialects -----------------------------------------------------------------------------------------------


def test_names(face: Postgres) -> None:
    with Raw(face.port) as client:
        client.log_in(database="warehouse")
        assert rows(client.ask(query("SELECT a FROM warehouse.f.small ORDER BY a"))) == [["1"], ["2"]]
        assert rows(client.ask(query('SELECT a FROM "f.main".small ORDER BY a'))) == [["1"], ["2"]]
        assert errors(client.ask(query("SELECT a FROM other.f.small"))) == ["3F000"]
        client.ask(query('SET search_path = lite, "f"'))
        assert rows(client.ask(query("WITH late AS (SELECT 1) SELECT a FROM small, late ORDER BY a"))) == [["1"], ["2"]]
        client.ask(query("SET search_path = lite"))
        failed = client.ask(query("SELECT a FROM small"))
        assert errors(failed) == ["42P01"]
        assert failed[0].fields()["P"] == "15"
        client.ask(query("SET search_path = public"))
        assert rows(client.ask(query("SELECT a FROM small ORDER BY a"))) == [["1"], ["2"]]  # there is but one


def test_the_dialect(face: Postgres) -> None:
    with Raw(face.port) as client:
        assert rows(client.log_in().ask(query("SELECT 7 / 2"))) == [["3"]]
        client.ask(parse("SELECT 7 / 2", "postgres"), SYNC)
        client.ask(query("SET dialect = 'duckdb'"))
        assert rows(client.ask(query("SELECT 7 / 2"))) == [["3.5"]]
        assert rows(client.ask(bind(statement="postgres"), execute(), SYNC)) == [["3"]]  # as it was read
        assert rows(client.ask(query("SELECT count(*) FROM range(5)"))) == [["5"]]
        client.ask(query("RESET dialect"))
        assert errors(client.ask(query("SELECT * FROM range(5)"))) == ["42883"]


def test_a_series_is_not_a_list(face: Postgres) -> None:
    """One of more numbers than there is memory for begins at once, and ends with its statement."""
    with Raw(face.port) as client:
        client.log_in()
        assert rows(client.ask(query("SELECT x FROM generate_series(1, 1000000000000) x LIMIT 1"))) == [["1"]]
        client.ask(query("SET statement_timeout = 300"))
        assert errors(client.ask(query("SELECT sum(x) FROM generate_series(1, 1000000000000) x"))) == ["57014"]


def test_the_catalog(face: Postgres) -> None:
    with Raw(face.port) as client:
        client.log_in(user="ada", database="warehouse")
        found = client.ask(query("SELECT current_user, current_database(), current_setting('TimeZone')"))
        assert rows(found) == [["ada", "warehouse", "UTC"]]
        by_name = parse("SELECT oid, relname FROM pg_class WHERE relname = $1")
        found = client.ask(by_name, describe("S"), bind(b"small"), execute(), SYNC)
        ((number, name),) = rows(found)
        assert name == "small"
        assert number is not None
        by_number = parse("SELECT relname FROM pg_catalog.pg_class c WHERE c.oid = ANY($1)")
        found = client.ask(by_number, describe("S"), bind(f"{{{number}}}".encode()), execute(), SYNC)
        assert oids(found) == [1028]
        assert rows(found) == [["small"]]
        assert errors(client.ask(query("SELECT nothing FROM pg_class"))) == ["42703"]
        assert errors(client.ask(query("SELECT 'nothing'::regclass"))) == ["42P01"]
