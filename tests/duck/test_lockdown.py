"""What a query can reach, and what it cannot."""

import datetime as dt
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from adapters import errors
from adapters.duck import Duck
from adapters.duck_types import as_pattern
from tests.duck.helpers import literal, table, value
from tests.waiting import eventually


def test_allowed_files_can_be_read_and_no_other(duck: Duck, folder: Path) -> None:
    assert table(duck, f"FROM read_csv({literal(as_pattern(str(folder)) + '/*.csv')})")["i"].to_pylist() == [1, 2]
    assert table(duck, f"FROM read_csv({literal(folder.parent / 'one.csv')})")["i"].to_pylist() == [7]


@pytest.mark.parametrize("function", ["read_csv", "read_text", "read_blob", "glob", "read_json", "read_parquet"])
def test_other_files_are_shut(duck: Duck, folder: Path, function: str) -> None:
    elsewhere: list[str | Path] = [
        "/etc/passwd",
        folder.parent / "secret.csv",
        folder / ".." / "secret.csv",
        as_pattern(str(folder)) + "/../secret.csv",
        as_pattern(str(folder)) + "/*/../../secret.csv",
        folder.parent / "*.csv",
        "https://127.0.0.1:1/x",
        "s3://bucket/x",
    ]
    for path in elsewhere:
        with pytest.raises((errors.NotSupportedError, errors.ProgrammingError)):
            table(duck, f"SELECT * FROM {function}({literal(path)})")


def test_a_file_name_is_no_table(duck: Duck) -> None:
    with pytest.raises(errors.NotSupportedError):
        table(duck, "SELECT * FROM '/etc/passwd.csv'")


@pytest.mark.parametrize(
    "statement",
    [
        "ATTACH '{0}/new.db'",
        "ATTACH ':memory:' AS other",
        "COPY (SELECT 1) TO '{0}/out.csv'",
        "EXPORT DATABASE '{0}/out'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "PRAGMA database_size",
        "SET threads = 1",
        "SET GLOBAL enable_external_access = true",
        "RESET TimeZone",
        "CREATE TABLE made (i INTEGER)",
        "CREATE SECRET s (TYPE http)",
        "DROP TABLE known",
        "INSERT INTO known VALUES (1)",
        "CALL pragma_version()",
        "USE memory",
        "BEGIN",
    ],
)
def test_only_queries_run(duck: Duck, folder: Path, statement: str) -> None:
    duck.create_table("known", pa.schema({"i": pa.int64()}))
    text = statement.format(str(folder).replace("'", "''"))
    with pytest.raises(errors.NotSupportedError, match="statements do not run here"):
        table(duck, text)
    with pytest.raises(errors.NotSupportedError, match="statements do not run here"):
        duck.describe(text)
    with pytest.raises(errors.Error):
        table(duck, f"SELECT * FROM query({literal(text)})")
    assert sorted(path.name for path in folder.iterdir()) == ["a.csv"]


@pytest.mark.parametrize("text", ["", "-- nothing", "SELECT 1; SELECT 2", "SELECT 1; DROP TABLE known"])
def test_exactly_one_statement(duck: Duck, text: str) -> None:
    with pytest.raises(errors.SQLSyntaxError, match="one statement"):
        table(duck, text)


def test_the_configuration_is_locked_even_for_a_raw_cursor(duck: Duck) -> None:
    for setting in (
        "enable_external_access = true",
        "allowed_directories = ['/']",
        "allowed_configs = ['threads']",
        "lock_configuration = false",
        "python_enable_replacements = true",
        "autoload_known_extensions = true",
        "TimeZone = 'America/New_York'",
        "temp_directory = '/tmp'",
    ):
        with pytest.raises(Exception, match="locked"):
            duck.cursor().execute(f"SET {setting}").fetchall()


def test_python_variables_are_no_tables(duck: Duck) -> None:
    visible = pa.table({"i": [1]})
    with pytest.raises(errors.TableNotFound):
        table(duck, "SELECT * FROM visible")
    assert visible.num_rows == 1


def test_every_cursor_has_the_settings(duck: Duck) -> None:
    names = ["TimeZone", "streaming_buffer_size", "python_enable_replacements"]
    for cursor in (duck.cursor(), duck.cursor()):
        row = cursor.sql("SELECT " + ", ".join(f"current_setting('{name}')" for name in names)).fetchall()[0]
        assert row == ("UTC", "97.6 KiB", False)
    assert value(duck, "TIMESTAMPTZ '2024-01-01 00:00:00'") == dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def test_what_one_cursor_registers_no_other_sees(duck: Duck) -> None:
    first = duck.cursor()
    first.register("mine", pa.table({"i": [1]}))
    with pytest.raises(errors.TableNotFound):
        duck.run(duck.cursor(), "SELECT * FROM mine", {})


def test_the_spill_folder_is_private_and_goes_with_the_database(tmp_path: Path) -> None:
    duck = Duck(memory_limit="40MB", temp_directory=str(tmp_path), threads=1)
    (spill,) = tmp_path.iterdir()
    assert spill.stat().st_mode & 0o077 == 0
    rows = duck.run(duck.cursor(), "SELECT i, md5(i::VARCHAR) AS h FROM range(1500000) AS t(i) ORDER BY h", {})
    next(rows)
    assert list(spill.iterdir())
    rows.close()
    duck.close()
    duck.close()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_spilled_is_removed_by_the_next_one(tmp_path: Path) -> None:
    mine = Duck(temp_directory=str(tmp_path))
    script = f"from adapters.duck import Duck; Duck(temp_directory={str(tmp_path)!r}); import time; time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", script]) as other:
        eventually(lambda: len(list(tmp_path.iterdir())) == 2)
        other.kill()
    (tmp_path / "somebody's").mkdir()
    subprocess.run([sys.executable, "-c", script.replace("time.sleep(600)", "")], check=True)
    left = {each.name for each in tmp_path.iterdir()}
    assert Path(mine.spill_folder).name in left
    assert len(left) == 3  # and that of the last one, which was not closed
    mine.close()


def test_over_the_memory_limit_without_relief() -> None:
    duck = Duck(memory_limit="30MB", threads=1)
    with pytest.raises(errors.OutOfMemory) as caught:
        table(duck, "SELECT list(i) FROM range(20000000) AS t(i)")
    duck.close()
    assert caught.value.sqlstate == "53200"
    assert "memory_limit" in (caught.value.hint or "")
