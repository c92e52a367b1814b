"""Snapshots that a connection of its own exports and others import: of a scan in parts, and of a whole transaction.

The transaction that exports stays open as long as the snapshot is to be had. It holds no locks of what later statements
read, so that an idle one keeps nobody from changing a table. What MVCC does not cover (TRUNCATE and all that writes a
table anew, other columns, other partitions) is found out at each read instead, and is an error.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from contextlib import suppress
from functools import partial
from typing import Any

import pyarrow as pa

from adapters.base import CancelToken, Partition, TableName
from adapters.errors import DivisionByZero, Error, SnapshotLost, SourceChanged
from adapters.pool import Pool
from adapters.postgres_errors import Faults
from adapters.postgres_schema import Described, quoted, relation, state_sql, verify_sql
from adapters.postgres_session import Session, started

BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_AGAIN = "end the transaction and begin it again"


def locked(tables: Iterable[Described]) -> str:
    return f"LOCK TABLE {', '.join(relation(each.table.name) for each in tables)} IN ACCESS SHARE MODE"


def checked(
    session: Session,
    begin: str,
    tables: tuple[Described, ...],
    faults: Faults,
    cancel: CancelToken,
    source: str,
) -> None:
    """Begin the transaction with every table locked and as it was planned with."""
    script = "; ".join([begin, verify_sql(tables)] if tables else [begin])
    try:
        with faults.translated(cancel):
            session.run(script)
    except DivisionByZero as exc:
        names = ", ".join(f'"{each.table.name.name}"' for each in tables)
        raise SourceChanged(
            f"the columns of {names} have changed since the query was planned",
            hint="run the query again",
            source=source,
        ) from exc


class Export:
    """One snapshot, exported when its name is asked for first. `begin` begins the transaction that exports it."""

    def __init__(self, pool: Pool[Session], faults: Faults, begin: Callable[[Session, CancelToken], None]) -> None:
        self._pool = pool
        self._faults = faults
        self._begin = begin
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._name = ""

    def name(self, cancel: CancelToken) -> str:
        with self._lock:
            if self._session is None:
                export = partial(self._export, cancel=cancel)
                self._session, self._name = started(self._pool, cancel, export)
            return self._name

    def _export(self, session: Session, cancel: CancelToken) -> str:
        self._begin(session, cancel)
        with self._faults.translated(cancel):
            name: str = session.value("SELECT pg_catalog.pg_export_snapshot()")
            return name

    def ask(self, sql: str) -> Any:
        """The one value of a query in the transaction that exports."""
        with self._lock, self._faults.translated():
            assert self._session is not None
            return self._session.value(sql)

    def close(self) -> None:
        with self._lock:
            if self._session is not None:
                session, self._session = self._session, None
                ended = False
                try:
                    with suppress(Error), self._faults.translated():
                        session.run("ROLLBACK")
                        ended = True
                finally:
                    self._pool.release(session, broken=not ended)


class PostgresSnapshot:
    """As `adapters.base.Snapshot`. `read` reads a partition in a session that `begin` here has begun, `ask_now` gives
    the one value of a query outside of every transaction."""

    def __init__(
        self,
        export: Export,
        read: Callable[[Partition, CancelToken, PostgresSnapshot], pa.RecordBatchReader],
        ask_now: Callable[[str], Any],
        faults: Faults,
        source: str,
    ) -> None:
        self._export = export
        self._read = read
        self._ask_now = ask_now
        self._faults = faults
        self._source = source
        self._outside: frozenset[TableName] = frozenset()

    def read(self, partition: Partition, cancel: CancelToken) -> pa.RecordBatchReader:
        return self._read(partition, cancel, self)

    def outside(self) -> AbstractSet[TableName]:
        return self._outside

    def close(self) -> None:
        self._export.close()

    def begin(self, session: Session, tables: tuple[Described, ...], cancel: CancelToken) -> None:
        """Have the session see the snapshot, with the tables locked, and as they were when it was taken."""
        begin = f"{BEGIN}; SET TRANSACTION SNAPSHOT {quoted(self._export.name(cancel))}"
        try:
            checked(session, begin, tables, self._faults, cancel, self._source)
        except Error:
            cancel.check()
            self._check(tables)  # which knows better, if it is the snapshot
            raise
        self._check(tables)

    def _check(self, tables: tuple[Described, ...]) -> None:
        """Raises SnapshotLost. That the transaction which exports still answers says that the name which was imported
        is its own, and not that of another after a restart."""
        sql = state_sql(tables)
        try:
            then = self._export.ask(sql)
        except Error as exc:  # of that transaction, which thereby has ended
            raise SnapshotLost("the transaction's snapshot is gone", hint=_AGAIN, source=self._source) from exc
        now = self._ask_now(sql)
        if then != now:
            names = ", ".join(f'"{each.table.name.name}"' for each in tables)
            raise SnapshotLost(
                f"{names} cannot be read as in the transaction's snapshot: it was changed or written anew since",
                hint=_AGAIN,
                source=self._source,
            )
        self._outside |= {TableName(*name) for name in json.loads(now)["foreign"] or ()}
