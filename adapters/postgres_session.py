"""Connections to PostgreSQL through ADBC, and one open read on one of them."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from types import MappingProxyType
from typing import Any, TypeVar

import pyarrow as pa
from adbc_driver_manager import AdbcConnection, AdbcDatabase, AdbcStatement
from adbc_driver_manager import Error as DriverError
from adbc_driver_manager._reader import AdbcRecordBatchReader
from adbc_driver_postgresql import StatementOptions, connect

from adapters.base import CancelToken
from adapters.errors import Error
from adapters.pool import Pool
from adapters.postgres_errors import Faults
from adapters.postgres_schema import quoted

T = TypeVar("T")

BATCH_BYTES = 512 << 10  # as fast as 2 MiB, and the first rows come in a quarter of the time
CONNECT_SECONDS = 10
_CANCEL_EVERY = 0.05
#: ranges and arrays travel as text, so what that looks like is fixed as well
_SETTINGS = {
    "client_encoding": "UTF8",
    "TimeZone": "UTC",
    "default_transaction_read_only": "on",
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    "idle_in_transaction_session_timeout": "0",
}


class Session:
    """One connection. Everything but `cancel` belongs to one thread at a time."""

    def __init__(self, connection: AdbcConnection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._closed = False

    def run(self, script: str) -> None:
        """Statements without an answer, in one round trip."""
        with AdbcStatement(self._connection) as statement:
            statement.set_sql_query(script)
            statement.execute_update()

    def value(self, sql: str) -> Any:
        """The one value of the one row; None without a row."""
        with AdbcStatement(self._connection) as statement:
            statement.set_options(**{StatementOptions.USE_COPY.value: "false"})
            statement.set_sql_query(sql)
            handle, _ = statement.execute_query()
            rows = AdbcRecordBatchReader._import_from_c(handle.address).read_all()
        return rows.column(0)[0].as_py() if rows.num_rows else None

    def schema(self, sql: str) -> pa.Schema:
        """The columns of one statement, which is prepared and not run. The server refuses several."""
        with AdbcStatement(self._connection) as statement:
            statement.set_sql_query(sql)
            handle = statement.execute_schema()
            return pa.Schema._import_from_c(handle.address)

    def open(self, sql: str) -> Answer:
        """Send a statement; its answer, once that begins."""
        with ExitStack() as opened:
            statement = opened.enter_context(AdbcStatement(self._connection))
            statement.set_options(**{StatementOptions.BATCH_SIZE_HINT_BYTES.value: BATCH_BYTES})
            statement.set_sql_query(sql)
            handle, _ = statement.execute_query()
            reader = opened.enter_context(AdbcRecordBatchReader._import_from_c(handle.address))
            opened.push(self._ended)
            return Answer(reader, opened.pop_all())

    def _ended(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.cancel()  # or closing would first read the rest

    def cancel(self) -> None:
        """End whatever runs here, from any thread. Nothing happens when nothing runs."""
        with self._lock:
            if not self._closed:
                with suppress(DriverError):
                    self._connection.cancel()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._connection.close()


class Answer:
    """The batches of one statement, as they come. To be left as a context manager."""

    def __init__(self, batches: Iterable[pa.RecordBatch], opened: ExitStack) -> None:
        self._batches = batches
        self._opened = opened

    def __enter__(self) -> Iterator[pa.RecordBatch]:
        return iter(self._batches)

    def __exit__(self, *raised: Any) -> None:
        self._opened.__exit__(*raised)


class Server:
    """Opens sessions, all with the same settings."""

    def __init__(self, uri: str, schema: str, timeout: float | None, faults: Faults) -> None:
        self._uri = uri
        self._timeout = timeout
        self._schema = schema
        self._faults = faults
        self._database: AdbcDatabase | None = None

    def open_for_metadata(self) -> Session:
        """A session for queries over many small catalogs: compiling one takes many times as long as running it."""
        return self.open(more={"jit": "off"})

    def open(self, most: float | None = None, more: Mapping[str, str] = MappingProxyType({})) -> Session:
        """A session whose statements take `most` seconds, if that is less than the source's limit, and with `more`
        settings."""
        with self._faults.connecting():
            # No lock, for this connects as well: several threads may each make one, and the last is kept.
            database = self._database or connect(with_timeout(self._uri))
            self._database = database
            connection = AdbcConnection(database)
        session = Session(connection)
        path = f"pg_catalog.set_config('search_path', pg_catalog.quote_ident({quoted(self._schema)}), false)"
        limit = min((each for each in (self._timeout, most) if each), default=0.0)
        wanted = {**_SETTINGS, "statement_timeout": str(int(limit * 1000)), **more}
        settings = [f"pg_catalog.set_config('{key}', {quoted(value)}, false)" for key, value in wanted.items()]
        try:
            with self._faults.translated():
                session.run(f"SELECT {', '.join([path, *settings])}")
        except Error:
            session.close()
            raise
        return session

    def close(self) -> None:
        """It closes with the last of its connections, one of which may just be being made."""
        self._database = None


def with_timeout(uri: str) -> str:
    """libpq by itself would wait forever for a server that accepts a connection and then says nothing."""
    if "PGCONNECT_TIMEOUT" in os.environ or re.search(r"(^|[?&\s])connect_timeout\s*=", uri):
        return uri
    if uri.startswith(("postgresql://", "postgres://")):
        return f"{uri}{'&' if '?' in uri else '?'}connect_timeout={CONNECT_SECONDS}"
    return f"{uri} connect_timeout={CONNECT_SECONDS}"


@contextmanager
def cancelling(session: Session, cancel: CancelToken) -> Iterator[None]:
    """A cancel ends what runs here. One that comes between two statements finds nothing to end, so it is repeated."""
    ended = threading.Event()

    def repeat() -> None:
        while not ended.is_set():
            session.cancel()
            ended.wait(_CANCEL_EVERY)

    thread = threading.Thread(target=repeat, name="postgres-cancel", daemon=True)
    unregister = cancel.register(thread.start)
    try:
        yield
    finally:
        unregister()
        ended.set()


def started(pool: Pool[Session], cancel: CancelToken, begin: Callable[[Session], T]) -> tuple[Session, T]:
    """As `Pool.start`; a cancel ends what `begin` runs."""

    def under_cancel(session: Session) -> T:
        with cancelling(session, cancel):
            return begin(session)

    return pool.start(under_cancel, cancel)


@contextmanager
def borrowed(
    pool: Pool[Session], cancel: CancelToken, begin: Callable[[Session], T], *, keep: bool = True
) -> Iterator[tuple[Session, T]]:
    """A session for one read, and what `begin` made of it. One that was cancelled, or left in the middle of an answer,
    is never used again, nor one that is not to be kept."""
    session, begun = started(pool, cancel, begin)
    complete = False
    try:
        with cancelling(session, cancel):
            yield session, begun
        complete = True
    finally:
        pool.release(session, broken=not (complete and keep) or cancel.cancelled)
