"""`federation query`, as a process."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.conftest import Command

ENDLESS = "SELECT count(*) FROM range(100000000000) AS a(x), range(100000000000) AS b(y) WHERE x * 3 = y + 1"
BREAKS = """
    SELECT CAST(CASE WHEN x = 900000 THEN 'no' ELSE '1' END AS INTEGER) AS v
    FROM range(1000000) AS r(x), (SELECT count(*) FROM lite.customers)
"""  # over a source that is read, for otherwise DuckDB is so far ahead that not even the first row comes
CUSTOMERS = "SELECT id, name, region, balance FROM lite.customers ORDER BY id"


def test_a_table(command: Command) -> None:
    done = command("query", CUSTOMERS)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        " id | name             | region | balance\n"
        "----+------------------+--------+---------\n"
        "  1 | Ada              | north  |   10.50\n"
        '  2 | Bo, the "second" |        |   -0.25\n'
        "  3 | 日本             | NULL   |    NULL\n"
        "(3 rows)\n"
    )


def test_csv_tells_null_from_empty(command: Command) -> None:
    done = command("query", "--format", "csv", CUSTOMERS)
    assert done.stdout == (
        'id,name,region,balance\r\n1,Ada,north,10.50\r\n2,"Bo, the ""second""","",-0.25\r\n3,日本,,\r\n'
    )
    assert list(csv.reader(io.StringIO(done.stdout)))[2][1] == 'Bo, the "second"'


def test_json_is_exact(command: Command) -> None:
    sql = "SELECT id, balance, 9007199254740993 AS big, 'nan'::DOUBLE AS x, id AS id FROM lite.customers ORDER BY id"
    done = command("query", "--format", "json", sql)
    rows = json.loads(done.stdout)
    assert rows[0] == {"id": 1, "balance": "10.50", "big": "9007199254740993", "x": "NaN", "id_1": 1}
    assert rows[2]["balance"] is None
    assert json.loads(command("query", "-f", "json", "SELECT 1 AS a WHERE false").stdout) == []


def test_ndjson_has_a_line_per_row(command: Command) -> None:
    done = command("query", "--format", "ndjson", "SELECT '{\"a\":\n1}'::JSON AS j, 'x\ny' AS t")
    assert done.stdout == '{"j": {"a": 1}, "t": "x\\ny"}\n'


def test_arrow_and_parquet_files(command: Command, catalog: Path) -> None:
    out = catalog.parent / "out"
    sql = "SELECT n, 'x' AS n FROM lite.numbers ORDER BY 1"
    assert command("query", "-f", "arrow", "-o", str(out), sql).returncode == 0
    with pa.ipc.open_stream(out.read_bytes()) as reader:
        table = reader.read_all()
    assert table.column_names == ["n", "n"]
    assert table.column(0).to_pylist() == list(range(1, 5001))
    assert command("query", "-f", "parquet", "-o", str(out), sql).returncode == 0
    file = pq.ParquetFile(out)
    assert file.schema_arrow.names == ["n", "n_1"]
    assert (file.num_row_groups, file.metadata.num_rows) == (1, 5000)
    assert out.stat().st_mode & 0o777 == 0o666 & ~umask()


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_parquet_refuses_intervals(command: Command) -> None:
    done = command("query", "-f", "parquet", "-o", "out.parquet", "SELECT INTERVAL '1 day' AS i")
    assert done.returncode == 1
    assert "ERROR 0A000" in done.stderr
    assert 'CAST("i" AS VARCHAR)' in done.stderr


def test_sql_from_standard_input(command: Command) -> None:
    for args in ((), ("-",)):
        assert command("query", "-f", "csv", *args, stdin="\ufeffSELECT 1 AS a;\n").stdout == "a\r\n1\r\n"


def test_parameters_take_the_type_of_their_place(command: Command) -> None:
    sql = "SELECT name, $note AS note FROM lite.customers WHERE id = $id AND balance > $least"
    done = command(*("query", "-f", "csv", sql, "--param", "id=1", "--param", "note=a=b 'c'", "--param", "least=10.25"))
    assert done.stdout == "name,note\r\nAda,a=b 'c'\r\n"
    missing = command("query", "SELECT $a", "--param", "b=1")
    assert missing.returncode == 1
    assert "ERROR 42P02" in missing.stderr


@pytest.mark.parametrize(
    "args",
    [
        ("query", "SELECT 1", "--format", "xml"),
        ("query", "SELECT 1", "--param", "novalue"),
        ("query", "SELECT 1", "--param", "1x=2"),
        ("query", "SELECT 1", "--timeout", "soon"),
        ("query", "SELECT 1", "--timeout", "0"),
        ("query", "SELECT 1", "extra"),
        (),
        ("nothing",),
    ],
)
def test_wrong_usage_is_2(command: Command, args: tuple[str, ...]) -> None:
    done = command(*args)
    assert done.returncode == 2
    assert "usage: federation" in done.stderr


def test_an_error_shows_where(command: Command) -> None:
    done = command("query", "SELECT id,\n  name\nFROM lite.custmers c")
    assert done.returncode == 1
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[0].startswith("ERROR 42P01: ")
    assert lines[1] == "LINE 3: FROM lite.custmers c"
    assert lines[2].index("^") in range(len("LINE 3: FROM "), len("LINE 3: FROM lite.custmers"))
    assert lines[3].startswith("HINT: ")
    assert "customers" in lines[3]


def test_the_catalog_that_is_missing(command: Command, catalog: Path) -> None:
    catalog.rename(catalog.with_name("other.toml"))
    done = command("query", "SELECT 1")
    assert done.returncode == 1
    assert done.stderr.splitlines()[0].startswith("ERROR F0000: there is no catalog file")
    assert "HINT: name one with -c FILE" in done.stderr
    assert command("query", "-c", "other.toml", "SELECT 1").returncode == 0
    assert command("query", "SELECT 1", FEDERATION_CATALOG="other.toml").returncode == 0
    assert command("query", "SELECT 1", FEDERATION_CATALOG="none.toml").returncode == 1
    named = command("query", "-c", "none.toml", "SELECT 1", FEDERATION_CATALOG="other.toml")
    assert "none.toml" in named.stderr


def test_input_that_is_not_utf_8(catalog: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "federation", "query", "-c", str(catalog)], input=b"SELECT '\xff'", capture_output=True
    )
    assert done.returncode == 1
    assert b"ERROR 22021" in done.stderr


def test_a_timeout(command: Command) -> None:
    done = command("query", "--timeout", "300ms", ENDLESS)
    assert done.returncode == 1
    assert "ERROR 57014" in done.stderr


# --- failures in the middle ---------------------------------------------------------------------------------------


def test_a_failure_leaves_the_file_as_it_was(command: Command, catalog: Path) -> None:
    out = catalog.parent / "out.csv"
    out.write_text("before")
    out.chmod(0o640)
    files = sorted(path.name for path in catalog.parent.iterdir())
    done = command("query", "-f", "csv", "-o", "out.csv", BREAKS)
    assert done.returncode == 1
    assert "ERROR 22" in done.stderr
    assert out.read_text() == "before"
    assert sorted(path.name for path in catalog.parent.iterdir()) == files
    assert command("query", "-f", "csv", "-o", "out.csv", "SELECT 1 AS a").returncode == 0
    assert out.read_bytes() == b"a\r\n1\r\n"
    assert out.stat().st_mode & 0o777 == 0o640


def test_a_link_is_written_through(command: Command, catalog: Path) -> None:
    (catalog.parent / "link.csv").symlink_to("real.csv")
    assert command("query", "-f", "csv", "-o", "link.csv", "SELECT 1 AS a").returncode == 0
    assert (catalog.parent / "link.csv").is_symlink()
    assert (catalog.parent / "real.csv").read_bytes() == b"a\r\n1\r\n"


@pytest.mark.parametrize("form", ["table", "csv", "json", "ndjson", "arrow", "parquet"])
def test_a_failure_on_standard_output_shows(catalog: Path, form: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "federation", "query", "-c", str(catalog), "-f", form, BREAKS], capture_output=True
    )
    assert done.returncode == 1
    assert b"ERROR 22" in done.stderr
    if form == "json":
        with pytest.raises(ValueError):
            json.loads(done.stdout)
    if form == "parquet":
        with pytest.raises(pa.ArrowInvalid):
            pq.read_table(io.BytesIO(done.stdout))


@pytest.mark.parametrize("target", ["none/out.csv", "/dev/full"])
def test_what_cannot_be_written(command: Command, target: str) -> None:
    done = command("query", "-o", target, "-f", "csv", "SELECT x FROM range(100000) AS r(x)")
    assert done.returncode == 1
    assert f"ERROR 58030: cannot write {target}: " in done.stderr


def test_a_full_standard_output(catalog: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "federation", "query", "-c", str(catalog), "SELECT 1"],
            stdout=full,
            stderr=subprocess.PIPE,
        )
    assert done.returncode == 1
    assert b"ERROR 58030: cannot write standard output" in done.stderr


def test_a_broken_pipe_is_quiet(catalog: Path) -> None:
    sql = "SELECT x FROM range(100000000000) AS r(x)"
    with subprocess.Popen(
        [sys.executable, "-m", "federation", "query", "-c", str(catalog), "-f", "csv", sql],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"x\r\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 141


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_query(catalog: Path, signum: int, code: int) -> None:
    out = catalog.parent / "out.csv"
    with subprocess.Popen(
        [sys.executable, "-m", "federation", "query", "-c", str(catalog), "-o", str(out), ENDLESS],
        stderr=subprocess.PIPE,
    ) as process:
        while not list(catalog.parent.glob(".out.csv.*")):
            assert process.poll() is None
            time.sleep(0.02)
        time.sleep(0.5)  # the query runs by now, or is being planned: both must end
        process.send_signal(signum)
        assert process.stderr is not None
        errors = process.stderr.read()
        assert process.wait(60) == code
    assert b"Traceback" not in errors
    assert not out.exists()
    assert not list(catalog.parent.glob(".out.csv.*"))


# --- the other commands -------------------------------------------------------------------------------------------


def test_help_loads_nothing_heavy() -> None:
    script = (
        "import sys, federation.cli.main as m\ntry: m.main(['--help'])\nexcept SystemExit: pass\nprint(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {"duckdb", "pyarrow", "sqlglot", "pandas", "polars", "prompt_toolkit"} & set(loaded)


def test_a_query_leaves_pandas_out(catalog: Path) -> None:
    """Which pyarrow would import."""
    script = "import sys, federation.cli.main as m\nm.main(sys.argv[1:])\nprint('pandas' in sys.modules)"
    command = [sys.executable, "-c", script, "query", "-c", str(catalog), "SELECT count(*) FROM lite.customers"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert said[-2:] == ["(1 row)", "False"]


def test_explain(command: Command) -> None:
    done = command("explain", CUSTOMERS)
    assert done.returncode == 0
    assert "lite" in done.stdout
    plan = command("explain", "--format", "json", "--analyze", CUSTOMERS)
    assert isinstance(json.loads(plan.stdout), dict)
    assert command("explain", "SELECT nope FROM lite.customers").returncode == 1


def test_an_optimization_is_switched_off(command: Command) -> None:
    sql = "SELECT count(*) AS n FROM lite.customers WHERE id = 1 AND id = 2"
    asked = []
    for switches in ((), ("--disable", "contradictions"), ("--disable", "costs", "--disable", "contradictions")):
        assert command("query", "-f", "csv", *switches, sql).stdout == "n\r\n0\r\n"
        asked.append(len(json.loads(command("explain", "--format", "json", *switches, sql).stdout)["fragments"]))
    assert asked == [0, 1, 1]


@pytest.mark.parametrize("name", ["query", "explain"])
def test_an_optimization_that_there_is_not(command: Command, name: str) -> None:
    done = command(name, "--disable", "filters", "SELECT 1")
    assert done.returncode == 2
    assert "invalid choice: 'filters' (choose from" in done.stderr
    assert "runtime_filters" in done.stderr


def test_check_reports_every_fault(command: Command, catalog: Path) -> None:
    done = command("check")
    assert done.returncode == 0
    assert "ok    source  lite: 3 tables" in done.stdout
    assert done.stdout.endswith("no fault found\n")
    catalog.write_text(
        catalog.read_text()
        + '[views."a.b"]\nsql = "SELECT nope FROM lite.customers"\n'
        + '[sources.gone]\nadapter = "sqlite"\npath = "gone.db"\n'
    )
    done = command("check")
    assert done.returncode == 1
    assert "FAULT view    a.b: " in done.stdout
    assert "FAULT source  gone: " in done.stdout
    assert done.stdout.endswith("2 faults found\n")


def test_discover_writes_what_query_reads(command: Command, catalog: Path) -> None:
    written = command("discover", "crm.db", "--name", "crm")
    assert written.returncode == 0
    (catalog.parent / "found.toml").write_text(written.stdout)
    assert (
        command("query", "-c", "found.toml", "-f", "csv", "SELECT count(*) AS n FROM crm.customers").stdout
        == "n\r\n3\r\n"
    )
    assert command("discover", "nothing.db").returncode == 1
