"""PostgreSQL through ADBC, read-only.

A read is one transaction on one pooled connection: lock the tables and check that they are as they were planned with,
then one COPY in binary. A large table is read in ranges of pages by several connections, which share one snapshot;
the connection that exported it stays until the scan is closed.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import pyarrow as pa
from sqlglot import exp

from adapters.base import CancelToken, Column, Estimate, Partition, Scan, ScanRequest, Table, TableName, TableStatistics
from adapters.errors import (
    CatalogError,
    ColumnNotFound,
    ConversionError,
    Error,
    NumericOutOfRange,
    SourceError,
    TableNotFound,
)
from adapters.pool import Pool
from adapters.postgres_distinct import distinct_first
from adapters.postgres_errors import Faults
from adapters.postgres_native import check_unchanged, native_columns
from adapters.postgres_packed import is_empty
from adapters.postgres_query import Fetch, blame_sql, fetches, pack, split, tables_of, with_stand_ins
from adapters.postgres_schema import (
    LIST_TABLES,
    Described,
    describe_many_sql,
    describe_sql,
    parse_table,
    parse_tables,
    quoted,
)
from adapters.postgres_session import Answer, Server, Session, borrowed, with_timeout
from adapters.postgres_snapshot import BEGIN, Export, PostgresSnapshot, checked, locked
from adapters.postgres_statistics import explain_sql, parse_estimate, read_statistics, uses_index
from adapters.postgres_types import Misfit, beyond
from adapters.sql.dialect import SourceDialect
from adapters.sql.native import relation_of
from adapters.sql.postgres import POSTGRES
from adapters.sql.scan import scan_query

CONCURRENCY = 8
_DESCRIBERS = 2
_TABLES_AT_ONCE = 200
_ADVICE_SECONDS = 3  # what is only good to know is not waited for behind someone's lock
_ADVICE_KEPT, _ADVICE_KEPT_SECONDS = 1000, 60.0  # plans
_UNBOUNDED = 1 << 30
# All parts at once would have the first rows compete with those behind them for the processors. It is bounded, for who
# reads another part may hold what the first one waits for.
_HEAD_START_SECONDS = 0.02
# The estimate for many small ranges is high enough for a compilation that takes longer than it saves; and without such
# scans each range would read the table.
_IN_PARTS = "SET LOCAL jit = off; SET LOCAL enable_tidscan = on"
_NUMERIC_STATES = ("0A000", "22003")  # NaN and too large a number, cast to int8


@dataclass(frozen=True, slots=True)
class _Payload:
    fetch: Fetch
    tables: tuple[Described, ...]
    shared: Export | None = None  # by the parts of a scan
    native: tuple[str, tuple[Column, ...]] | None = None  # the caller's own text, and the columns that are read
    #: the first rows of the first part are there: it says so, the others wait for it
    ahead: threading.Event | None = None
    behind: threading.Event | None = None

    def begun(self) -> None:
        if self.ahead is not None:
            self.ahead.set()


class PostgresAdapter:
    options: ClassVar[frozenset[str]] = frozenset({"uri", "schema", "limits"})
    dialect: SourceDialect = POSTGRES
    reads_snapshots_in_parallel: ClassVar[bool] = True

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        self.name = name
        self.default_schema = options.get("schema", "public")
        uri = options.get("uri")
        if not isinstance(uri, str) or not uri:
            raise CatalogError("uri is missing", hint='uri = "postgresql://user@host:5432/database"', source=name)
        self._uri = uri
        limits = options.get("limits") or {}
        self._faults = Faults(name, uri)
        self._server = Server(uri, self.default_schema, limits.get("timeout"), self._faults)
        size = limits.get("concurrency") or CONCURRENCY
        self._readers: Pool[Session] = Pool(self._server.open, Session.close, size)
        # Apart from the readers, which may all wait for a consumer that first wants to know a table or needs a
        # snapshot.
        self._describers: Pool[Session] = Pool(self._server.open_for_metadata, Session.close, _DESCRIBERS)
        self._advisers: Pool[Session] = Pool(lambda: self._server.open(_ADVICE_SECONDS), Session.close, _DESCRIBERS)
        self._exporters: Pool[Session] = Pool(self._server.open, Session.close, _UNBOUNDED)
        self._described: dict[TableName, Described] = {}
        self._plans: dict[str, tuple[float, str]] = {}

    # --- metadata ----------------------------------------------------------------------------------------------

    def list_tables(self) -> Iterable[TableName]:
        return parse_tables(self._ask(self._describers, LIST_TABLES))

    def get_table(self, name: TableName) -> Table:
        return self._describe(name).table

    def get_tables(self, names: Sequence[TableName]) -> Iterator[Table]:
        for first in range(0, len(names), _TABLES_AT_ONCE):
            text = self._ask(self._describers, describe_many_sql(names[first : first + _TABLES_AT_ONCE]))
            for schema, name, found in json.loads(text):
                if found is not None:  # not kept for planning, which goes by what `get_table` said last
                    yield parse_table(TableName(schema, name), found).table

    def _describe(self, name: TableName) -> Described:
        text = self._ask(self._describers, describe_sql(name))
        if text is None:
            self._described.pop(name, None)
            raise TableNotFound(f'there is no table "{name.schema}"."{name.name}"', source=self.name)
        described = self._described[name] = parse_table(name, text)
        return described

    def _known(self, name: TableName) -> Described:
        return self._described.get(name) or self._describe(name)

    def statistics(self, table: TableName) -> TableStatistics:
        return read_statistics(lambda sql: self._ask(self._advisers, sql), self._known(table).table)

    def _ask(self, pool: Pool[Session], sql: str) -> Any:
        def ask(session: Session) -> Any:
            with self._faults.translated():
                return session.value(sql)

        with borrowed(pool, CancelToken(), ask) as (_, answer):
            return answer

    # --- planning ----------------------------------------------------------------------------------------------

    def plan_scan(self, request: ScanRequest) -> Scan:
        described = self._known(request.table)
        types = {column.name: column.type for column in described.table.columns}
        unknown = {*request.columns, *(each.column for each in request.predicates)} - set(types)
        if unknown:
            raise ColumnNotFound(f'"{request.table.name}" has no column "{min(unknown)}"', source=self.name)
        query, residual = scan_query(self.dialect, described.table, request)
        schema = pa.schema([(column, types[column]) for column in request.columns])
        scan = self.plan_query(query, schema)
        if scan is None:
            raise AssertionError("every declared type can be fetched")
        estimate = described.estimate if not request.predicates and request.limit is None else Estimate()
        return replace(scan, residual=residual, estimate=estimate)

    def plan_query(self, query: exp.Query, schema: pa.Schema) -> Scan | None:
        names = dict.fromkeys(name for _, name in tables_of(query, self.default_schema))
        tables = tuple(self._known(name) for name in names)
        query = self._written(query)
        parts = split(query, tables[0].pages if len(tables) == 1 else None)
        if parts and query.args.get("where") and self._uses_index(query):
            parts = []
        made = fetches(query, schema, parts)
        if made is None:
            return None
        arriving, statements = made
        if parts and len(query.selects) == len(schema):
            statements = pack(query, statements, parts, tables[0])
        return self._scan(statements, tables, arriving)

    def _scan(self, statements: Sequence[Fetch], tables: tuple[Described, ...], schema: pa.Schema) -> Scan:
        first, *others = statements
        if not others:
            return Scan((Partition(first.island, _Payload(first, tables)),), schema, reusable=True)
        shared, begun = self._shared(tables), threading.Event()
        payloads = [_Payload(first, tables, shared, ahead=begun)]
        payloads += [_Payload(each, tables, shared, behind=begun) for each in others]
        partitions = tuple(Partition(each.fetch.island, each) for each in payloads)
        anew = partial(self._scan, statements, tables, schema)
        return Scan(partitions, schema, close=shared.close, reusable=True, anew=anew)

    def _shared(self, tables: tuple[Described, ...]) -> Export:
        """Tables are locked first: a snapshot that is older than a TRUNCATE would see the table empty."""

        def begin(session: Session, cancel: CancelToken) -> None:
            checked(session, f"{BEGIN}; {locked(tables)}", tables, self._faults, cancel, self.name)

        return Export(self._exporters, self._faults, begin)

    def describe_native(self, sql: str) -> tuple[Column, ...]:
        describe = partial(native_columns, sql=sql, faults=self._faults, source=self.name)
        with borrowed(self._describers, CancelToken(), describe) as (_, columns):
            return columns

    def plan_native(self, sql: str, columns: tuple[Column, ...]) -> Scan:
        """The session ends with the read: what a function has set or locked in it is for nobody else."""
        query = relation_of(sql, [column.name for column in columns])
        made = fetches(query, pa.schema([(column.name, column.type) for column in columns]), ())
        if made is None:
            raise AssertionError("every described type can be fetched")
        schema, (fetch,) = made
        return Scan((Partition(fetch.island, _Payload(fetch, (), native=(sql, columns))),), schema)

    def listen(self, channel: str, cancel: CancelToken) -> Iterator[Sequence[str]]:
        from adapters.postgres_listen import notifications  # another driver, which few need

        return notifications(with_timeout(self._uri), channel, cancel, self.name)

    def estimate(self, query: exp.Query) -> Estimate:
        return parse_estimate(self._explained(self._written(query)))

    def _written(self, query: exp.Query) -> exp.Query:
        """The query as PostgreSQL is asked."""
        return distinct_first(with_stand_ins(query.copy(), self._known, self.default_schema))

    def _uses_index(self, query: exp.Query) -> bool:
        """Whether PostgreSQL means to look rows up by an index, which ranges of pages would keep it from."""
        try:
            return uses_index(self._explained(query))
        except Error:
            return False  # whatever is wrong shows when it is read

    def _explained(self, query: exp.Query) -> str:
        """The plan of a query, which planning wants to know more than once."""
        sql = explain_sql(query)
        now = time.monotonic()
        at, text = self._plans.get(sql, (0.0, ""))
        if not text or now - at > _ADVICE_KEPT_SECONDS:
            text = self._ask(self._advisers, sql)
            if len(self._plans) >= _ADVICE_KEPT:
                self._plans.clear()
            self._plans[sql] = now, text
        return text

    # --- reading -----------------------------------------------------------------------------------------------

    def read(self, partition: Partition, cancel: CancelToken) -> pa.RecordBatchReader:
        return self._read(partition, cancel, None)

    def take_snapshot(self, cancel: CancelToken) -> PostgresSnapshot:
        def begin(session: Session, cancel: CancelToken) -> None:
            with self._faults.translated(cancel):
                session.run(BEGIN)

        export = Export(self._exporters, self._faults, begin)
        export.name(cancel)
        ask_now = partial(self._ask, self._describers)
        return PostgresSnapshot(export, self._read, ask_now, self._faults, self.name)

    def _read(
        self, partition: Partition, cancel: CancelToken, snapshot: PostgresSnapshot | None
    ) -> pa.RecordBatchReader:
        payload: _Payload = partition.payload
        return pa.RecordBatchReader.from_batches(payload.fetch.schema, self._batches(payload, cancel, snapshot))

    def _batches(
        self, payload: _Payload, cancel: CancelToken, snapshot: PostgresSnapshot | None
    ) -> Iterator[pa.RecordBatch]:
        fetch = payload.fetch
        native = payload.native is not None
        if payload.behind is not None:
            payload.behind.wait(_HEAD_START_SECONDS)
        begin = partial(self._opened, payload=payload, cancel=cancel, snapshot=snapshot)
        with borrowed(self._readers, cancel, begin, keep=not native) as (session, answer):
            with self._blaming(session, fetch):
                for sql in fetch.statements():
                    with self._faults.translated(cancel), answer or session.open(sql) as batches:
                        answer = None
                        cancel.check()
                        for batch in batches:
                            cancel.check()
                            yield from self._arrived(batch, fetch)
                            payload.begun()
                    payload.begun()  # which may have no rows
            cancel.check()
            with self._faults.translated(cancel):
                session.run("ROLLBACK" if native else "COMMIT")

    def _opened(
        self, session: Session, payload: _Payload, cancel: CancelToken, snapshot: PostgresSnapshot | None
    ) -> Answer | None:
        """The answer of the first statement. None in a transaction that imports a snapshot: that it can be had still
        is said by the connection alone that has it."""
        self._begin(session, payload, cancel, snapshot)
        if snapshot is not None or payload.shared is not None:
            return None
        cancel.check()
        with self._blaming(session, payload.fetch), self._faults.translated(cancel):
            return session.open(next(iter(payload.fetch.statements())))

    def _begin(
        self, session: Session, payload: _Payload, cancel: CancelToken, snapshot: PostgresSnapshot | None
    ) -> None:
        if snapshot is not None:
            snapshot.begin(session, payload.tables, cancel)
            if payload.shared is not None:
                with self._faults.translated(cancel):
                    session.run(_IN_PARTS)
        elif payload.shared is not None:
            # Not to wait behind someone who waits for the exporter, which waits for this read: no one would see that.
            script = (BEGIN, f"SET TRANSACTION SNAPSHOT {quoted(payload.shared.name(cancel))}")
            with self._faults.translated(cancel):
                session.run("; ".join([*script, f"{locked(payload.tables)} NOWAIT", _IN_PARTS]))
        else:
            begin = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY"
            checked(session, begin, payload.tables, self._faults, cancel, self.name)
            if payload.native is not None:
                check_unchanged(session, *payload.native, self._faults, self.name)

    def _arrived(self, batch: pa.RecordBatch, fetch: Fetch) -> Iterator[pa.RecordBatch]:
        width = len(fetch.columns)
        for position, (number, misfit) in enumerate(fetch.misfits):
            if batch.column(width + position).true_count:  # type: ignore[attr-defined]
                raise self._misfit(fetch.schema.names[number], misfit)
        if not width:
            yield batch
            return
        if fetch.packed and is_empty(batch):
            return
        delivered: Iterator[Any] = fetch.packed.unpack(batch) if fetch.packed else iter(batch.columns)
        arrays = []
        for number, column in enumerate(fetch.columns):
            try:
                arrays.append(column.arrive(next(delivered)))
            except Misfit as exc:
                raise self._misfit(fetch.schema.names[number], exc) from exc
        yield pa.RecordBatch.from_arrays(arrays, schema=fetch.schema)

    @contextmanager
    def _blaming(self, session: Session, fetch: Fetch) -> Iterator[None]:
        try:
            yield
        except (NumericOutOfRange, SourceError) as exc:
            raise self._blamed(session, fetch, exc) from exc

    def _blamed(self, session: Session, fetch: Fetch, error: Error) -> Error:
        """The error that names the column, when it was a number that cannot travel; otherwise the error itself."""
        blame = blame_sql(fetch)
        if error.sqlstate not in _NUMERIC_STATES or blame is None:
            return error
        try:
            with self._faults.translated():
                session.run("ROLLBACK")
                number = session.value(blame)
        except Error:
            return error
        if number is None:
            return error
        return self._misfit(fetch.schema.names[number], beyond(fetch.columns[number].type))

    def _misfit(self, column: str, misfit: Misfit) -> ConversionError:
        hint = f'cast it at the source, such as in a view there: "{column}"{misfit.cast}'
        return ConversionError(f'column "{column}": {misfit.reason}', hint=hint, source=self.name)

    def close(self) -> None:
        for pool in (self._readers, self._describers, self._advisers, self._exporters):
            pool.close()
        self._server.close()
