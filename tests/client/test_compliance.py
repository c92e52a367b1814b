"""The public-domain test suite of DB-API 2.0, over a catalog in this process and over a server.

It creates tables and fills them, which the federation refuses. So each write is first tried, must be refused as one,
and is then made at the source: everything that reads is tested as it stands.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import dbapi20
import pytest

import federation
from adapters.errors import ReadOnlyError
from tests.http.running import Running, start_server

CATALOG = '[settings]\nmetadata_ttl = "1ms"\n[sources.lite]\nadapter = "sqlite"\npath = "lite.db"\n'


class WritingCursor:
    """A cursor of the federation whose writes, once refused, are made in the SQLite file."""

    def __init__(self, cursor: Any, database: Path) -> None:
        self.__dict__.update(_cursor=cursor, _database=database)

    def execute(self, sql: str, parameters: Any = ()) -> None:
        try:
            self._cursor.execute(sql, parameters)
        except ReadOnlyError:
            self._write(sql, [parameters])

    def executemany(self, sql: str, rows: Any) -> None:
        with pytest.raises(federation.NotSupportedError):
            self._cursor.executemany(sql, rows)
        self._write(sql, rows)

    def _write(self, sql: str, rows: Any) -> None:
        with closing(sqlite3.connect(self._database)) as database, database:
            for row in rows:
                try:
                    database.execute(sql, row)
                except sqlite3.OperationalError as exc:
                    raise federation.ProgrammingError(str(exc)) from exc

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._cursor, name, value)


class WritingConnection:
    def __init__(self, connection: Any, database: Path) -> None:
        self._connection = connection
        self._database = database

    def cursor(self) -> WritingCursor:
        return WritingCursor(self._connection.cursor(), self._database)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compliance")
    sqlite3.connect(folder / "lite.db").close()
    (folder / "federation.toml").write_text(CATALOG)
    return folder / "federation.toml"


@pytest.fixture(scope="module")
def server(catalog: Path) -> Iterator[Running]:
    with start_server(catalog.parent) as running:
        yield running


class Suite(dbapi20.DatabaseAPI20Test):  # type: ignore[misc]
    driver = federation
    database: Path

    def _connect(self) -> Any:
        return WritingConnection(super()._connect(), self.database)

    # What the suite leaves to the driver, or leaves open.

    def test_non_idempotent_close(self) -> None:
        """Closing twice is allowed, as for files: the suite itself says that reasonable persons differ."""
        connection = self._connect()
        connection.close()
        connection.close()

    def test_nextset(self) -> None:
        """A statement has one result, so that the optional method is left out."""
        with closing(self._connect()) as connection:
            assert not hasattr(connection.cursor(), "nextset")

    def test_setoutputsize(self) -> None:
        """It does nothing, which PEP 249 allows."""
        with closing(self._connect()) as connection:
            connection.cursor().setoutputsize(1000)


class TestEmbedded(Suite):
    @pytest.fixture(autouse=True)
    def target(self, catalog: Path) -> None:
        self.connect_args, self.database = (str(catalog),), catalog.with_name("lite.db")


class TestRemote(Suite):
    @pytest.fixture(autouse=True)
    def target(self, catalog: Path, server: Running) -> None:
        self.connect_args, self.database = (server.url,), catalog.with_name("lite.db")


del Suite  # it is no test by itself
