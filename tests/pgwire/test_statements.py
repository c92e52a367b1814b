"""What a client sends, read: every kind of statement, and what is none."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.errors import Error, ReadOnlyError, SQLSyntaxError, StatementTooComplex
from federation.pgwire.dialect.read import statements
from federation.pgwire.dialect.statements import (
    Begin,
    CloseCursor,
    Commit,
    Copy,
    Deallocate,
    Declare,
    Discard,
    Empty,
    Execute,
    Explain,
    Fetch,
    Listen,
    Move,
    Notify,
    Parsed,
    Prepare,
    Query,
    Release,
    Reset,
    Rollback,
    RollbackTo,
    Savepoint,
    Set,
    SetTransaction,
    Show,
    Unlisten,
    Unsupported,
)

READ: list[tuple[str, Parsed]] = [
    ("SET a.b TO 'x', \"Y\", Z, -3.5, on", Set("a.b", ("x", "Y", "z", "-3.5", "on"))),
    ("SET LOCAL timezone = DEFAULT", Set("timezone", None, local=True)),
    ("SET SESSION search_path = public", Set("search_path", ("public",))),
    ("SET TIME ZONE LOCAL", Set("timezone", None)),
    ("SET TIME ZONE INTERVAL '+02:00' HOUR TO MINUTE", Set("timezone", ("+02:00",))),
    ("SET NAMES 'utf8'", Set("client_encoding", ("utf8",))),
    ("SET TRANSACTION READ WRITE, NOT DEFERRABLE", SetTransaction({"read_only": False, "deferrable": False})),
    (
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        SetTransaction({"isolation": "repeatable read"}, session=True),
    ),
    ("SHOW ALL", Show("all")),
    ("SHOW TRANSACTION ISOLATION LEVEL", Show("transaction_isolation")),
    ("RESET DateStyle", Reset("datestyle")),
    ("BEGIN", Begin()),
    ("begin work isolation level serializable, read only", Begin({"isolation": "serializable", "read_only": True})),
    ("START TRANSACTION", Begin(tag="START TRANSACTION")),
    ("COMMIT AND CHAIN", Commit(chain=True)),
    ("END", Commit()),
    ("ABORT", Rollback()),
    ("ROLLBACK TO SAVEPOINT x", RollbackTo("x")),
    ('SAVEPOINT "A"', Savepoint("A")),
    ("RELEASE a", Release("a")),
    ("FETCH FORWARD 100 FROM SQL_CUR", Fetch("sql_cur", "forward", 100)),
    ("FETCH ALL IN c", Fetch("c", "forward", None)),
    ("FETCH -3 c", Fetch("c", "backward", 3)),
    ("FETCH LAST FROM c", Fetch("c", "absolute", -1)),
    ("FETCH RELATIVE 0 c", Fetch("c", "relative", 0)),
    ("MOVE 5 IN c", Move("c", "forward", 5)),
    ("CLOSE ALL", CloseCursor(None)),
    ("EXECUTE p", Execute("p")),
    ("DEALLOCATE PREPARE p", Deallocate("p")),
    ("DISCARD ALL", Discard("all")),
    ("LISTEN x", Listen("x")),
    ("UNLISTEN *", Unlisten(None)),
    ("NOTIFY a, 'b'", Notify("a", "b")),
    ("  -- nothing", Empty()),
]


@pytest.mark.parametrize("text, expected", READ)
def test_statements_are_read(text: str, expected: Parsed) -> None:
    assert statements(text) == [expected]


def _only(text: str) -> Any:
    (found,) = statements(text)
    return found


def test_a_query_keeps_its_text_its_parameters_and_positions() -> None:
    first, second = statements('SELECT 1; SELECT $2, a."B", f(x) FROM t WHERE y = $10::int ')
    assert isinstance(first, Query) and first.text == "SELECT 1" and first.parameters == ()
    assert isinstance(second, Query) and second.parameters == (2, 10)
    assert second.text == 'SELECT $2, a."B", f(x) FROM t WHERE y = $10::int'
    item = second.tree.expressions[1]
    assert item.this.meta["start"] == 23


@pytest.mark.parametrize("text", ["VALUES (1), (2)", "TABLE t", "(SELECT 1)", "WITH x AS (SELECT 1) TABLE x"])
def test_every_form_of_a_query(text: str) -> None:
    assert _only(text).tag == "SELECT"


@pytest.mark.parametrize("text", ["to_char(a, 'YYYY')", "json_agg(x)", "left(a, 1)", "if(a)", '"Left"(a)', "chr(1)"])
def test_calls_stay_as_they_were_written(text: str) -> None:
    call = _only(f"SELECT {text}").tree.expressions[0]
    assert call.key == "anonymous"
    assert call.name == text.partition("(")[0].strip('"')


def test_declare_and_prepare_hold_a_query() -> None:
    declared = _only("DECLARE c BINARY NO SCROLL CURSOR WITH HOLD FOR SELECT 1")
    assert isinstance(declared, Declare)
    assert (declared.binary, declared.scroll, declared.hold, declared.query.text) == (True, False, True, "SELECT 1")
    prepared = _only("PREPARE p (int, text[], numeric(10, 2)) AS SELECT $1 + 1, $2, $3")
    assert isinstance(prepared, Prepare)
    assert [each.sql("postgres") for each in prepared.types] == ["INT", "TEXT[]", "DECIMAL(10, 2)"]
    assert prepared.statement.parameters == (1, 2, 3)
    executed = _only("EXECUTE p(1, ARRAY['a', 'b'], f(1, 2))")
    assert [each.sql("postgres") for each in executed.arguments] == ["1", "ARRAY['a', 'b']", "F(1, 2)"]


def test_explain_has_options() -> None:
    assert _only("EXPLAIN (ANALYZE, FORMAT JSON, COSTS off) SELECT 1").options == {
        "analyze": "true",
        "format": "json",
        "costs": "off",
    }
    explained = _only("EXPLAIN ANALYZE EXECUTE p(1)")
    assert isinstance(explained, Explain) and isinstance(explained.query, Execute)


@pytest.mark.parametrize(
    "text, options",
    [
        ("COPY (SELECT 1, (2)) TO STDOUT", {}),
        ("COPY t TO STDOUT WITH CSV HEADER DELIMITER AS ','", {"format": "csv", "header": "true", "delimiter": ","}),
        (
            "COPY s.t (a) TO STDOUT (FORMAT csv, FORCE_QUOTE (a, \"B\"), NULL 'x', DELIMITER E'\\t')",
            {"format": "csv", "force_quote": ("a", "B"), "null": "x", "delimiter": "\t"},
        ),
        ("COPY t TO STDOUT (FORCE_QUOTE *)", {"force_quote": ("*",)}),
    ],
)
def test_copy_to_the_client(text: str, options: dict[str, Any]) -> None:
    copied = _only(text)
    assert isinstance(copied, Copy)
    assert copied.options == options


@pytest.mark.parametrize(
    "text, sqlstate, tag",
    [
        ("INSERT INTO t VALUES (1)", "25006", "INSERT"),
        ("CREATE TABLE x (a int)", "25006", "CREATE TABLE"),
        ("COPY t FROM STDIN", "0A000", "COPY"),
        ("COPY t TO '/tmp/x'", "0A000", "COPY"),
        ("COPY (SELECT 1) TO PROGRAM 'rm'", "0A000", "COPY"),
        ("VACUUM", "0A000", "VACUUM"),
        ("DO $$ BEGIN END $$", "0A000", "DO"),
    ],
)
def test_what_does_not_run_here_is_said(text: str, sqlstate: str, tag: str) -> None:
    found = _only(text)
    assert isinstance(found, Unsupported)
    assert (found.sqlstate, found.tag) == (sqlstate, tag)


@pytest.mark.parametrize(
    "text, position",
    [
        ("FOO BAR", 1),
        ("SELECT FROM FROM", 13),
        ("SELECT 1;\n\nSELECT a b c", 23),
        ("SELECT a FROM b WHERE ((c", 25),
        ("BEGIN FOO", 7),
        ("SET x", None),
        ("FETCH", None),
        ("LISTEN 3", 8),
        ("SELECT ?", 8),
        ("SELECT @a", 8),
        ("SELECT $a", 8),
        ("SELECT 1 WHERE a = %s", 20),
        ("SELECT 1 WHERE a = :x", 20),
        ("COPY () TO STDOUT", 7),
        ("DECLARE c CURSOR FOR DROP TABLE x", 22),
        ("SELECT 'abc", None),
        ("SELECT \0", 8),
        ("EXPLAIN (FORMAT", None),
        ("EXPLAIN (ANALYZE, FOO) SELECT 1", 19),
        ("EXECUTE p(1,)", 13),
    ],
)
def test_what_is_no_statement_is_a_syntax_error(text: str, position: int | None) -> None:
    with pytest.raises(SQLSyntaxError) as raised:
        statements(text)
    assert raised.value.sqlstate == "42601"
    assert raised.value.position == position
    assert "sqlglot" not in raised.value.message


@pytest.mark.parametrize(
    "text", ["SELECT * INTO x FROM t", "WITH x AS (DELETE FROM t RETURNING a) TABLE x", "SELECT 1 FROM t FOR UPDATE"]
)
def test_a_query_that_writes_or_locks(text: str) -> None:
    with pytest.raises(ReadOnlyError):
        statements(text)


@pytest.mark.parametrize(
    "text", ["SELECT " + "(" * 200 + "1" + ")" * 200, "SELECT 1" + " ~ 1" * 2000, "SELECT " + "x" * 2_000_000]
)
def test_the_limits_at_the_door(text: str) -> None:
    with pytest.raises(StatementTooComplex):
        statements(text)


@pytest.mark.parametrize("text", [";" * 1000, "SELECT 1;" * 500])
def test_many_statements(text: str) -> None:
    assert len(statements(text)) == max(1, text.count("SELECT"))


@pytest.mark.parametrize("length", range(0, 60, 3))
def test_a_statement_that_breaks_off_is_read_or_refused(length: int) -> None:
    text = "DECLARE c CURSOR FOR SELECT a, 'b' FROM t WHERE x = ANY($1)"
    try:
        statements(text[:length])
    except Error as exc:
        assert exc.sqlstate == "42601"
