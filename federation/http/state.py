"""The folder of what outlives a restart: a small database of tokens and statements, and the files of results.

One server uses it at a time, with all its processes; the command line may change tokens beside it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from adapters.errors import OperationalError

BUSY_SECONDS = 10.0
SCHEMA = """
CREATE TABLE IF NOT EXISTS tokens (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, digest BLOB NOT NULL, created REAL NOT NULL, expires REAL, revoked REAL,
    user TEXT
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS token_names ON tokens (name) WHERE revoked IS NULL;
CREATE TABLE IF NOT EXISTS statements (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, request TEXT NOT NULL, state TEXT NOT NULL, created REAL NOT NULL,
    started REAL, ended REAL, expires REAL, rows INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0,
    columns TEXT, stats TEXT, error TEXT, starts TEXT, idempotency_key TEXT, callback TEXT, callback_tries INTEGER,
    runner INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS statement_keys ON statements (owner, idempotency_key);
"""


class StateFolderFailed(OperationalError, sqlstate="58030"):
    """The state folder cannot be used."""


def state_folder(catalog: Path, given: Path | None = None) -> Path:
    """The folder given, else one of its own for each catalog, below XDG_STATE_HOME."""
    if given is not None:
        return given
    home = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    digest = hashlib.sha256(os.fsencode(catalog.resolve())).hexdigest()[:8]
    return home / "federation" / f"{catalog.stem}-{digest}"


class State:
    """Every method may be called from any thread. Raises StateFolderFailed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._server: IO[str] | None = None
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._database = sqlite3.connect(
                folder / "state.sqlite", timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._database.row_factory = sqlite3.Row
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.executescript(SCHEMA)
            self._add_column("statements", "runner", "INTEGER NOT NULL DEFAULT 0")
            self._add_column("tokens", "user", "TEXT")
        except (OSError, sqlite3.Error) as exc:
            raise StateFolderFailed(f"the state folder {folder} cannot be used: {exc}") from exc

    def _add_column(self, table: str, name: str, definition: str) -> None:
        """To a folder of before there was such a column."""
        columns = {row["name"] for row in self._database.execute(f"PRAGMA table_info({table})")}
        if name not in columns:
            with suppress(sqlite3.OperationalError):  # another process was quicker
                self._database.execute(f"ALTER TABLE {table} ADD COLUMN {name} {definition}")

    def serve_alone(self) -> None:
        """Keep other servers out, until this process ends in whatever way."""
        self._server = (self.folder / "lock").open("w")
        try:
            fcntl.flock(self._server, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            raise StateFolderFailed(
                f"another server uses the state folder {self.folder}", hint="name another one with --state FOLDER"
            ) from exc

    def rows(self, sql: str, values: Mapping[str, Any] | None = None) -> list[sqlite3.Row]:
        """What a statement returns. Raises sqlite3.IntegrityError where a unique index refuses it."""
        with self._translated(), self._lock:
            return self._database.execute(sql, values or {}).fetchall()

    def close(self) -> None:
        with self._lock:
            self._database.close()
        if self._server is not None:
            self._server.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError:
            raise
        except sqlite3.Error as exc:
            raise StateFolderFailed(f"the state folder {self.folder} failed: {exc}") from exc
