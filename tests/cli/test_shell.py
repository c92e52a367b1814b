"""The shell over a pipe, at a prompt, and in a terminal."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from federation.cli.completion import NameCompleter
from federation.cli.names import Names
from federation.cli.session import Session
from federation.cli.shell import converse, history, make_prompt
from federation.cli.statements import in_literal, is_finished, split
from federation.engine import Engine
from tests.cli.conftest import Command
from tests.cli.terminal import Terminal

ENDLESS = "SELECT count(*) FROM range(100000000000) AS a(x), range(100000000000) AS b(y) WHERE x * 3 = y + 1;"


# --- over a pipe --------------------------------------------------------------------------------------------------


def test_statements_run_and_errors_do_not_end_it(command: Command) -> None:
    done = command("shell", stdin="SELECT 1 AS a;\nSELECT nope;\nSELECT ';' AS b -- ;\n; SELECT 3 AS c")
    assert done.returncode == 1
    assert [line.strip() for line in done.stdout.splitlines()[::4]] == ["a", "b", "c"]
    assert done.stderr.startswith("ERROR 42703: ")
    assert command("shell", stdin="SELECT 1;\n").returncode == 0
    assert command("shell", stdin="").stdout == ""


def test_describe(command: Command) -> None:
    done = command("shell", stdin='\\d lite.customers\n\\d customer.names\n\\d lite."Order Items"\n\\d lite.nope\n')
    assert " balance | DECIMAL(10,2) | numeric(10,2) |" in done.stdout.lower().replace("decimal", "DECIMAL")
    assert "not null | key" in done.stdout
    assert "View customer.names" in done.stdout
    assert "SELECT id, name FROM lite.customers" in done.stdout
    assert " sku " in done.stdout
    assert done.stderr.startswith("ERROR 42P01: ")


def test_lists(command: Command) -> None:
    everything = command("shell", stdin="\\d\n").stdout
    for name in ("lite.customers", 'lite."Order Items"', "files.tickets", "files.payments", "customer.names"):
        assert name in everything
    tables = command("shell", stdin="\\dt tick*\n").stdout
    assert "files.tickets" in tables
    assert "customer.names" not in tables
    assert "lite.numbers" not in tables
    assert "(1 row)" in command("shell", stdin="\\dv\n").stdout
    assert [w in command("shell", stdin="\\dn\n").stdout for w in ("lite", "files", "customer")] == [True] * 3


def test_a_source_that_fails_does_not_hide_the_others(command: Command, catalog: Path) -> None:
    catalog.write_text(catalog.read_text() + '[sources.gone]\nadapter = "sqlite"\npath = "gone.db"\n')
    done = command("shell", stdin="\\dt\n")
    assert "lite.customers" in done.stdout
    assert "ERROR" in done.stderr
    assert done.returncode == 1


def test_switches(command: Command) -> None:
    script = "\\x\nSELECT 1 AS a;\n\\x off\n\\format csv\n\\timing on\nSELECT 2 AS b;\n\\format xml\n\\nope\n"
    done = command("shell", stdin=script)
    assert "-[ RECORD 1 ]\na | 1\n(1 row)\n" in done.stdout
    assert "b\r\n2\r\nTime: " in done.stdout
    assert done.stderr.count("ERROR 42000") == 2


def test_output_and_input_files(command: Command, catalog: Path) -> None:
    (catalog.parent / "script.sql").write_text("SELECT 1 AS a;\nSELECT nope;\nSELECT 2 AS b")
    done = command("shell", stdin="\\format csv\n\\o out.csv\n\\i script.sql\n\\o\nSELECT 3 AS c;\n\\i none.sql\n")
    assert (catalog.parent / "out.csv").read_bytes() == b"a\r\n1\r\nb\r\n2\r\n"
    assert "c\r\n3\r\n" in done.stdout
    assert "a\r\n" not in done.stdout
    assert "cannot read none.sql" in done.stderr
    (catalog.parent / "loop.sql").write_text("\\i loop.sql\n")
    assert "is included by itself" in command("shell", stdin="\\i loop.sql\n").stderr


def test_explain_help_and_quit(command: Command) -> None:
    done = command("shell", stdin="\\?\n\\explain SELECT name FROM lite.customers;\n\\q\nSELECT 1 AS never;\n")
    assert "\\timing [on|off]" in done.stdout
    assert "lite" in done.stdout
    assert "never" not in done.stdout
    assert done.returncode == 0


# --- statements ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "statements", "rest"),
    [
        ("a; b;", ["a;", "b;"], ""),
        ("a; b", ["a;"], " b"),
        ("';' \";\" x;y", ["';' \";\" x;"], "y"),
        ("-- ;\na;", ["-- ;\na;"], ""),
        ("/* ; /* ; */ ; */ a;b", ["/* ; /* ; */ ; */ a;"], "b"),
        ("$$;$$;$t$;$$;$t$;", ["$$;$$;", "$t$;$$;$t$;"], ""),
        ("E'\\';' ; x", ["E'\\';' ;"], " x"),
        ("'it''s;';", ["'it''s;';"], ""),
        ("'open;", [], "'open;"),
        ("/* open;", [], "/* open;"),
        ("$1;$2;", ["$1;", "$2;"], ""),
        ("a$b;c$d;", ["a$b;", "c$d;"], ""),
        (";; -- only\n;", [], ""),
        ("a/b-c;", ["a/b-c;"], ""),
    ],
)
def test_where_statements_end(text: str, statements: list[str], rest: str) -> None:
    assert split(text) == (statements, rest)
    assert is_finished(text) == (not rest.strip())


def test_a_statement_of_a_megabyte_is_split_in_no_time() -> None:
    text = "SELECT " + ", ".join(f"'{i};' || e\"x\" -- ;\n" for i in range(40_000)) + ";"
    assert split(text)[1] == ""


@pytest.mark.parametrize(
    ("text", "inside"),
    [("SELECT 'a", True), ("SELECT 'a'", False), ("-- a", True), ("/* a", True), ("/* a */", False), ('"a', False)],
)
def test_strings_and_comments_are_not_completed(text: str, inside: bool) -> None:
    assert in_literal(text) == inside


# --- completion ---------------------------------------------------------------------------------------------------


@pytest.fixture
def engine(catalog: Path) -> Iterator[Engine]:
    with Engine.open(catalog) as engine:
        yield engine


def completions(engine: Engine, text: str, after: str = "") -> list[str]:
    names = Names(engine.catalog)
    names.wait()
    document = Document(text + after, len(text))
    return [c.text for c in NameCompleter(names).get_completions(document, CompleteEvent())]


@pytest.mark.parametrize(
    ("text", "after", "expected"),
    [
        ("SELECT * FROM li", "", ["lite"]),
        ("SELECT * FROM cust", "", ["customer", "customers"]),
        ("SELECT * FROM lite.", "", ['"Order Items"', "customers", "numbers"]),
        ("SELECT * FROM lite.ord", "", ['"Order Items"']),
        ('SELECT * FROM lite."Or', "", ['"Order Items"']),
        ("SELECT * FROM lite.numbers JOIN files.", "", ["payments", "tickets"]),
        ("SELECT c.na", " FROM lite.customers c", ["name"]),
        ("SELECT c.", " FROM lite.customers AS c WHERE", ["id", "name", "region", "balance"]),
        ("SELECT customers.re", " FROM lite.customers", ["region"]),
        ("SELECT * FROM lite.customers WHERE bal", "", ["balance"]),
        ("SELECT 1; SELECT * FROM lite.customers WHERE regi", "", ["region"]),
        ("SELECT 'FROM li", "", []),
        ("SELECT * FROM lite.customers whe", "", ["when", "where"]),
        ("SELECT * FROM lite.customers WHE", "", ["WHEN", "WHERE"]),
        ("\\ti", "", ["\\timing"]),
        ("\\d lite.c", "", ["lite.customers"]),
    ],
)
def test_completion(engine: Engine, text: str, after: str, expected: list[str]) -> None:
    assert sorted(completions(engine, text, after)) == sorted(expected)


def test_completion_goes_on_without_a_source(catalog: Path) -> None:
    catalog.write_text(catalog.read_text() + '[sources.gone]\nadapter = "sqlite"\npath = "gone.db"\n')
    with Engine.open(catalog) as engine:
        assert completions(engine, "SELECT * FROM lite.nu") == ["numbers"]
        assert completions(engine, "SELECT * FROM gone.") == []


# --- at the prompt ------------------------------------------------------------------------------------------------


def converse_with(engine: Engine, keys: str) -> Session:
    session = Session(engine)
    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        pipe.send_text(keys)
        converse(session, make_prompt(session))
    return session


def test_a_statement_may_have_several_lines(
    engine: Engine, capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    converse_with(engine, "SELECT 1\rAS one;\rSELECT nope;\r\\x on\rSELECT 2 AS two;\r\x04")
    out, err = capfd.readouterr()
    assert " one\n-----\n   1\n(1 row)\n" in out
    assert "two | 2\n" in out
    assert err.startswith("ERROR 42703")
    saved = tmp_path / "state" / "federation" / "history"
    assert "AS one;" in saved.read_text()
    assert saved.stat().st_mode & 0o077 == 0
    assert "SELECT 2 AS two;" in list(history().load_history_strings())


def test_ctrl_c_drops_the_line_and_q_leaves(
    engine: Engine, capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    session = converse_with(engine, "SELECT 1 AS dropped;\x03SELECT 2 AS kept;\r\\q\r")
    out, _ = capfd.readouterr()
    assert session.ended
    assert "kept" in out
    assert "dropped" not in out


def test_history_without_a_place_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/dev/null")
    assert list(history().load_history_strings()) == []


# --- in a terminal ------------------------------------------------------------------------------------------------


def test_ctrl_c_ends_the_query_and_not_the_shell(catalog: Path) -> None:
    with Terminal("shell", "-c", str(catalog), columns=100) as terminal:
        terminal.wait_for("federation>")
        terminal.type(ENDLESS + "\r")
        terminal.wait_for(" s\r")  # the progress line, after a second
        terminal.type("\x03")
        terminal.wait_for("ERROR 57014")
        terminal.wait_for("federation>")
        terminal.type("SELECT 'an' || 'swer' AS a;\r")
        terminal.wait_for(" answer\r\n(1 row)")
        terminal.wait_for("federation>")
        terminal.type("\x04")
        assert terminal.exit_code() == 0


def test_completion_at_the_keyboard(catalog: Path) -> None:
    with Terminal("shell", "-c", str(catalog), columns=100) as terminal:
        terminal.wait_for("federation>")
        terminal.type("SELECT name FROM lite.cust")
        terminal.wait_for("customers")
        terminal.type("\t WHERE id = 1;\r")
        terminal.wait_for("Ada")
        terminal.wait_for("federation>")
        terminal.type("\\q\r")
        assert terminal.exit_code() == 0


def test_progress_and_interrupt_of_a_query(catalog: Path) -> None:
    with Terminal("query", "-c", str(catalog), ENDLESS) as terminal:
        terminal.wait_for(" s\r")
        terminal.type("\x03")
        assert terminal.exit_code() == 130
        assert "ERROR 57014" in terminal.seen
        assert "Traceback" not in terminal.seen


def test_a_table_is_as_wide_as_the_terminal(catalog: Path) -> None:
    sql = f"SELECT '{'x' * 300}' AS t, 1 AS n"
    with Terminal("query", "-c", str(catalog), sql, columns=50) as terminal:
        assert terminal.exit_code() == 0
        assert f" {'x' * 43}… | 1\r\n" in terminal.seen
        assert "rows ·" not in terminal.seen


def test_colour_is_for_the_screen_only(catalog: Path) -> None:
    with Terminal("query", "-c", str(catalog), "SELECT NULL AS n", colour=True) as terminal:
        assert terminal.exit_code() == 0
        assert "\x1b[2mNULL" in terminal.seen
    out = catalog.parent / "out.txt"
    with Terminal("query", "-c", str(catalog), "-o", str(out), "SELECT NULL AS n", colour=True) as terminal:
        assert terminal.exit_code() == 0
    assert out.read_text() == " n\n------\n NULL\n(1 row)\n"


def test_binary_formats_are_not_for_a_terminal(catalog: Path) -> None:
    with Terminal("query", "-c", str(catalog), "-f", "parquet", "SELECT 1") as terminal:
        assert terminal.exit_code() == 2
        assert "name a file with -o" in terminal.seen


def test_no_progress_without_a_terminal(command: Command) -> None:
    done = command("query", "--timeout", "1500ms", ENDLESS.rstrip(";"))
    assert done.stderr.startswith("ERROR 57014")
    assert os.linesep.join(done.stderr.splitlines()[1:]) == "" or "HINT" in done.stderr
