"""One state of an SQLite file in WAL mode: a transaction in one process, which reads one thing at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager, contextmanager

import pyarrow as pa

from adapters.base import CancelToken, Partition, TableName
from adapters.errors import SnapshotLost
from adapters.pool import Pool
from adapters.sqlite_session import Failure, Session, StatementFailure

_VERSION = "PRAGMA schema_version"
_AGAIN = "end the transaction and begin it again"
Read = Callable[[Partition, CancelToken, Callable[[], AbstractContextManager[Session]]], pa.RecordBatchReader]


class SQLiteSnapshot:
    """As `adapters.base.Snapshot`. `session` is from the pool and has begun, `read` reads a partition in the session
    that it is given, `another` is a session that sees the file as it is."""

    def __init__(
        self,
        pool: Pool[Session],
        session: Session,
        read: Read,
        another: Callable[[], AbstractContextManager[Session]],
        source: str,
    ) -> None:
        self._pool = pool
        self._session = session
        self._read = read
        self._another = another
        self._source = source
        self._closed = False

    def read(self, partition: Partition, cancel: CancelToken) -> pa.RecordBatchReader:
        return self._read(partition, cancel, self._reading)

    def outside(self) -> AbstractSet[TableName]:
        return frozenset()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        ended = False
        try:
            if not self._session.broken:  # as it is, too, while a reader is left behind
                self._session.rollback()
                ended = True
        except Failure:
            pass  # it ends with its process
        finally:
            self._pool.release(self._session, broken=not ended)

    @contextmanager
    def _reading(self) -> Iterator[Session]:
        if self._session.broken:
            raise SnapshotLost("the transaction's snapshot is gone", hint=_AGAIN, source=self._source)
        try:
            yield self._session
        except StatementFailure as exc:
            with self._another() as now:
                changed = now.rows(_VERSION) != self._session.rows(_VERSION)
            if changed:
                raise SnapshotLost(
                    "the tables are not yet, or no more, what they were in the transaction's snapshot",
                    hint=_AGAIN,
                    source=self._source,
                ) from exc
            raise
