"""One state of a MySQL or MariaDB server: a transaction of InnoDB's on one connection, which reads one thing at a time.

Between two reads it locks no table: each one goes back to the savepoint before it. InnoDB refuses most of the tables
that were altered or emptied since, but not those whose columns went and came without a copy. So the time at which a
table was made has to lie before that of the snapshot, in whole seconds: the server knows no others.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from datetime import datetime
from typing import Any, Protocol

import pyarrow as pa

from adapters.base import CancelToken, Partition, TableName
from adapters.errors import Error, SnapshotLost
from adapters.mysql_schema import stored
from adapters.mysql_session import Session, translated
from adapters.mysql_wire import RowStream
from adapters.pool import Pool

_BEGIN = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
)
_AGAIN = "end the transaction and begin it again"


class Reading(Protocol):
    """One open result. `kill` may come from another thread."""

    def open(self, sql: str) -> Iterator[tuple[list[pa.Array[Any]], list[int]]]: ...
    def kill(self) -> None: ...
    def close(self) -> None: ...


Read = Callable[[Partition, CancelToken, Callable[[Sequence[TableName]], Reading]], pa.RecordBatchReader]


class MySQLSnapshot:
    """As `adapters.base.Snapshot`. `read` reads a partition by what it is given."""

    def __init__(self, pool: Pool[Session], read: Read, source: str, cancel: CancelToken) -> None:
        self._pool = pool
        self._read = read
        self._source = source
        self._outside: frozenset[TableName] = frozenset()
        self._reading = False
        self._lost = False
        self._closed = False
        self._session, self._taken = pool.start(self._take, cancel)

    def _take(self, session: Session) -> datetime:
        with translated(self._source):
            taken: datetime
            ((taken,),) = session.rows("SELECT now()")  # before: what comes between counts as later
            for sql in _BEGIN:
                session.rows(sql)
            return taken

    def read(self, partition: Partition, cancel: CancelToken) -> pa.RecordBatchReader:
        return self._read(partition, cancel, self._begin)

    def outside(self) -> AbstractSet[TableName]:
        return self._outside

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._reading:  # whose end was not waited for
            self._lost = True
            self._session.kill()
        if not self._lost:
            self._lost = True
            with suppress(Error), translated(self._source):
                self._session.rows("ROLLBACK")
                self._lost = False
        self._pool.release(self._session, broken=self._lost)

    def _begin(self, tables: Sequence[TableName]) -> Reading:
        if self._lost or self._session.is_stale():
            self._lost = True
            raise SnapshotLost("the transaction's snapshot is gone", hint=_AGAIN, source=self._source)
        for name in tables:
            self._check(name)
        self._reading = True
        return _HeldReading(self._session, self._source, self._ended)

    def _check(self, name: TableName) -> None:
        """Raises SnapshotLost."""
        found = list(stored(self._session.rows, name))
        if any(each.made is not None and each.made >= self._taken for each in found):
            raise SnapshotLost(
                f'"{name.name}" cannot be read as in the transaction\'s snapshot: it was changed or made anew since',
                hint=_AGAIN,
                source=self._source,
            )
        if not all(each.keeps_states for each in found):
            self._outside |= {name}

    def _ended(self, *, intact: bool) -> None:
        self._reading = False
        self._lost = not intact


class _HeldReading:
    """The session outlives it: what is left of a result is interrupted and skipped."""

    def __init__(self, session: Session, source: str, on_end: Callable[..., None]) -> None:
        self._session = session
        self._source = source
        self._on_end = on_end
        self._stream: RowStream | None = None
        self._lock = threading.Lock()
        self._interrupted = False
        self._closed = False

    def open(self, sql: str) -> Iterator[tuple[list[pa.Array[Any]], list[int]]]:
        self._session.rows("SAVEPOINT reading")
        self._stream, wire_types = self._session.open(sql)
        return ((columns, wire_types) for columns in self._stream)

    def kill(self) -> None:
        with self._lock:
            if not self._closed and not self._interrupted:
                self._interrupted = True
                self._session.interrupt()

    def close(self) -> None:
        if self._stream is not None and not self._stream.finished:
            self.kill()
        with self._lock:
            self._closed = True
        intact = False
        try:
            with suppress(Error), translated(self._source):
                self._skip()
                self._session.rows("ROLLBACK TO SAVEPOINT reading")
                intact = True
        finally:
            self._on_end(intact=intact)

    def _skip(self) -> None:
        if self._stream is not None and not self._stream.finished:
            with suppress(Error), translated(self._source):
                for _ in self._stream:
                    pass
        if self._interrupted:
            with suppress(Error), translated(self._source):
                self._session.rows("DO 0")  # an interrupt that came too late ends this, and not the next read
