"""A connection to a server loads no engine and no server, and pyarrow only for rows."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.http.running import Running, environment

ENGINE = {"adbc_driver_manager", "diskcache", "duckdb", "pymysql", "sqlglot"}
HEAVY = {*ENGINE, "fastapi", "prometheus_client", "pydantic", "starlette", "uvicorn"}
LAZY = {"numpy", "pandas", "polars", "pyarrow", "sqlalchemy"}


def loaded_after(code: str, *arguments: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment())
    return set(done.stdout.split())


def test_the_package_alone() -> None:
    assert not loaded_after("import federation") & {*HEAVY, *LAZY, "httpx", "ssl", "asyncio"}
    assert not loaded_after("import federation.aio") & {*HEAVY, *LAZY, "httpx"}


def test_a_connection_to_a_server(server: Running) -> None:
    loaded = loaded_after("import federation\nfederation.connect(sys.argv[1])", server.url)
    assert not loaded & {*HEAVY, *LAZY, "httpx"}


def test_rows_of_a_server(server: Running) -> None:
    code = "import federation\nassert federation.connect(sys.argv[1]).execute('SELECT 1').fetchall() == [(1,)]"
    assert not loaded_after(code, server.url) & {*HEAVY, "httpx"}


@pytest.mark.parametrize("connect", ["federation.connect('x.toml')", "asyncio.run(federation.aio.connect('x.toml'))"])
def test_without_the_engine(connect: str) -> None:
    code = f"""
import asyncio, federation, federation.aio
sys.modules |= {{name: None for name in {ENGINE}}}
try:
    {connect}
except federation.Error as exc:
    assert (exc.sqlstate, exc.hint) == ("F0000", 'pip install "federation[engine]"')
else:
    raise AssertionError
"""
    assert "duckdb" in loaded_after(code)
