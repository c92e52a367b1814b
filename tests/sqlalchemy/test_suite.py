"""SQLAlchemy's own suite for dialects, run in a process of its own: its plugin changes pytest."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.http.running import environment
from tests.servers import Server
from tests.sqlalchemy.written import SOURCE

CATALOG = """
[settings]
metadata_ttl = "1ms"
search_path = ["main"]

[sources.main]
adapter = "postgres"
uri = "{uri}"
"""
CONFIG = "[sqla_testing]\nrequirement_cls=tests.sqlalchemy.requirements:Requirements\nprofile_file=profiles.txt\n"
#: what no requirement excludes
LEFT_OUT = {
    "PostCompileParamsTest": "it compares texts, and here every name is quoted",
    "ReturningGuardsTest": "nothing is written, so that nothing is returned of it",
    "numeric_38_digit_divisor": "DuckDB divides decimals as DOUBLE",
    "numeric_many_decimals": "DuckDB divides decimals as DOUBLE",
    "test_drop_table_comment": "COMMENT … IS NULL is refused as no SQL at all",
    "test_get_view_names": "the views of a source are tables here",
    "test_long_convention_name": "indexes are not reflected",
    "test_string_length_reflection": "text has no length in DuckDB",
}
LEAST_PASSED = 500


def test_the_suite(postgres_server: Server, tmp_path: Path) -> None:
    uri = postgres_server.create_database("sqlalchemy_suite")
    (tmp_path / "federation.toml").write_text(CATALOG.format(uri=uri))
    (tmp_path / "setup.cfg").write_text(CONFIG)
    suite = Path(__file__).with_name("suite.py")
    command = [sys.executable, "-m", "pytest", str(suite), "-q", "--tb=short", "-c", os.devnull]
    command += ["--rootdir", str(tmp_path), "-p", "sqlalchemy.testing.plugin.pytestplugin", "-p", "no:xdist"]
    command += ["--dburi", f"federation+written:///{tmp_path}/federation.toml"]
    command += ["-k", " and ".join(f"not {name}" for name in LEFT_OUT)]
    variables = {**environment(), SOURCE: uri.replace("postgresql:", "postgresql+psycopg:")}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, env=variables)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None, done.stdout[-1000:]
    assert int(passed[1]) > LEAST_PASSED
