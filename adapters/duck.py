"""The one place that imports DuckDB: a private in-memory database that a query cannot use for anything but reading.

What is shut here: files other than the allowed ones, extensions, Python variables, and the configuration itself. What
DuckDB 2.0 cannot shut is ATTACH and COPY TO inside an allowed directory (its access check does not tell reading from
writing): `run` and `describe` therefore refuse every statement that is not one query. What stays open to a query are
the table functions that read any file of an allowed directory and DuckDB's own settings and catalog: the front end
accepts catalog tables and whitelisted functions only, before a statement comes here.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import lru_cache, partial
from typing import Any, NamedTuple, NoReturn, TypeAlias

import duckdb
import pyarrow as pa

from adapters.base import CancelToken
from adapters.duck_config import AHEAD, COLUMNS_ONLY, config, lock_down
from adapters.duck_errors import error_from, read_failure
from adapters.duck_types import plain_type, put_right, quoted, types_again, wanted_schema, with_text_casts
from adapters.errors import NotSupportedError, QueryCancelled, SQLSyntaxError
from adapters.spill import SpillFolder

Cursor: TypeAlias = duckdb.DuckDBPyConnection
Stream: TypeAlias = pa.RecordBatchReader | pa.Table


class Kept(NamedTuple):
    """Rows that a query gave before, and what types they had in DuckDB."""

    rows: Stream
    types: Sequence[str]


Registered: TypeAlias = Mapping[str, Stream | Kept]

ROWS_PER_BATCH = 16_384  # more take no less time, and come later
# How much of a result DuckDB may make before it is asked for. Over readers little, or the first batch would wait for
# others behind it: with 10 MB, 0.8 s of a slow source. Over files enough for a row group in each thread: with less only
# one thread works, for the rows come in the order of the file. Where many results share the threads, one is what each
# has, and more rows ahead are no more than memory that is got anew: four results on two processors had twice the page
# faults.
AHEAD_OF_READERS, AHEAD_OF_FILES, AHEAD_OF_FILES_FOR_MANY = "100KB", "32MB", "4MB"
INTERRUPT_EVERY = 0.05
IDLE_CURSORS = 32
LONGEST_KEPT = 16_384  # characters of a text that is kept parsed
EXPLAIN = "EXPLAIN "
FAILURES = (duckdb.Error, OSError, pa.ArrowException)  # in the middle of a stream, pyarrow raises for DuckDB


class Rows:
    """A streaming result, read once. `close` ends the query behind it from any thread, wherever the reading stands;
    after that, or after the last batch, the cursor is free for another query."""

    def __init__(self, schema: pa.Schema, types: Sequence[str], raw: pa.RecordBatchReader, query: _Running) -> None:
        self.schema = schema
        self.types = types  # DuckDB's names
        self._raw = raw
        self._query = query
        self._pulling = threading.Lock()  # closing a stream while it is pulled would free what is in use
        self._closing = False
        self._finished = False
        self._complete = False

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return self

    def __next__(self) -> pa.RecordBatch:
        """Raises QueryCancelled after `close`: an unread rest is never the end of the stream."""
        failed = batch = None
        with self._pulling:
            if self._complete:
                raise StopIteration
            if self._finished:
                raise QueryCancelled("the result was closed before it was read to its end")
            try:
                self._query.check()
                batch = next(self._raw, None)
                self._query.check()  # inputs that a cancel ended may have looked complete
                self._complete = batch is None
            except FAILURES as exc:
                failed = exc
            except BaseException:
                self._finish()
                raise
            if batch is None:
                self._finish()
        if self._closing:
            self.close()
        if failed is not None:
            self._query.fail(failed)
        if batch is None:
            raise StopIteration
        try:
            return put_right(batch, self.schema)
        except BaseException:
            self.close()
            raise

    def read_all(self) -> pa.Table:
        return pa.Table.from_batches(self, self.schema)

    def close(self) -> None:
        self._closing = True
        if self._pulling.acquire(blocking=False):
            try:
                self._finish()
            finally:
                self._pulling.release()
        else:
            self._query.interrupt()  # whoever pulls comes here next

    def _finish(self) -> None:
        if not self._finished:
            self._finished = True
            self._raw.close()
            self._query.end(self._complete)


class _Running:
    """What one running query holds on its cursor: the registered readers and the watch for a cancel. `at_end` is called
    once, with the cursor if another query can have it."""

    def __init__(
        self,
        cursor: Cursor,
        sql: str,
        cancel: CancelToken | None,
        at_end: Callable[[Cursor | None], object],
    ) -> None:
        self._cursor = cursor
        self._sql = sql
        self._registered: list[str] = []
        self._views: list[str] = []
        self._cancel = cancel
        self._at_end = at_end
        self._lock = threading.Lock()
        self._interrupted = False
        self._ended = threading.Event()
        self.given = sql  # the statement that DuckDB runs, which holds `sql`
        self._unwatch = cancel.register(self.interrupt) if cancel else lambda: None

    def register(self, registered: Registered) -> None:
        """Make these readable on the cursor, until the end."""
        cursor = self._cursor
        for name, given in registered.items():
            rows, types = given if isinstance(given, Kept) else (given, ())
            items = types_again(rows.schema.names, types)
            read = name if items is None else f"{name}_arrow"
            cursor.register(read, rows)
            self._registered.append(read)
            if items is not None:
                cursor.execute(f"CREATE TEMP VIEW {quoted(name)} AS SELECT {items} FROM {quoted(read)}").fetchall()
                self._views.append(name)

    def check(self) -> None:
        """Raise the cause of a cancel."""
        if self._cancel:
            self._cancel.check()

    def fail(self, exc: Exception) -> NoReturn:
        """Raise the error for what DuckDB raised: after a cancel, the cancel's cause.

        Not to be called in an exception handler: what DuckDB says of a source's failure quotes the source's
        traceback, and must not become the context of the cause.
        """
        self.check()
        raise error_from(read_failure(exc), self._sql, self.given) from exc

    def end(self, complete: bool = False) -> None:
        """An interrupt may still be on its way to a cursor that was told to stop: no other query gets that one."""
        with self._lock:
            self._ended.set()
            reusable = complete and not self._interrupted
        self._unwatch()
        if reusable:
            for name in self._views:
                self._cursor.execute(f"DROP VIEW {quoted(name)}").fetchall()
        for name in self._registered:
            self._cursor.unregister(name)
        self._at_end(self._cursor if reusable else None)

    def interrupt(self) -> None:
        """End what DuckDB is doing for this query; returns at once."""
        with self._lock:
            if self._ended.is_set():
                return
            self._interrupted = True
        threading.Thread(target=self._keep_interrupting, name="interrupt", daemon=True).start()

    def _keep_interrupting(self) -> None:
        # DuckDB forgets an interrupt that comes between two steps of a statement: repeat it until the query ends.
        while not self._ended.is_set():
            with suppress(duckdb.Error):  # closed meanwhile
                self._cursor.interrupt()
            self._ended.wait(INTERRUPT_EVERY)


class Duck:
    """One database, shared by all cursors. `paths` are what queries may read: files, and directories (a name that
    ends in a slash is one even if it does not exist yet). The spill folder is private to this object."""

    def __init__(
        self,
        paths: Sequence[str] = (),
        *,
        memory_limit: str | None = None,
        temp_directory: str | None = None,
        threads: int | None = None,
        spill: bool = True,
    ) -> None:
        self._spill = SpillFolder(temp_directory)
        self.spill_folder = self._spill.path
        self._lock = threading.Lock()
        every = (AHEAD_OF_READERS, AHEAD_OF_FILES, AHEAD_OF_FILES_FOR_MANY)
        self._idle = {ahead: deque[Cursor](maxlen=IDLE_CURSORS) for ahead in every}
        self._open = 0  # results over files
        self._counting = threading.Lock()
        self._describing = deque[Cursor](maxlen=IDLE_CURSORS)
        self._asked_type = lru_cache(256)(lambda type_: self.result_schema(f"SELECT NULL::{type_} AS x").field(0).type)
        try:
            self._connection = duckdb.connect(
                ":memory:", config=config(self.spill_folder, memory_limit, threads, spill)
            )
            lock_down(self._connection, paths)
            found = self._connection.execute("SELECT current_setting('threads')").fetchall()
            self._threads: int = found[0][0]
            self._parsed = lru_cache(64)(partial(_one_query, self._connection.cursor()))
        except BaseException:
            self._spill.remove()
            raise

    def cursor(self, ahead: str = AHEAD_OF_READERS) -> Cursor:
        """A connection of its own to the shared database; one open result each."""
        cursor = self._connection.cursor()
        cursor.execute(f"SET {AHEAD} = '{ahead}'").fetchall()  # which DuckDB has per connection only
        return cursor

    def describe(self, sql: str, cursor: Cursor | None = None) -> tuple[tuple[str, str], ...]:
        """The names and DuckDB types of the columns of a query, without running it or opening the files of a view; a
        `cursor` has its variables."""
        chosen = self._cursor_to_describe() if cursor is None else nullcontext(cursor)
        with chosen as used, translate_errors(sql):
            relation = self._bind(used, sql)
            return tuple(zip(relation.columns, map(str, relation.types), strict=True))

    @contextmanager
    def _cursor_to_describe(self) -> Iterator[Cursor]:
        try:
            cursor = self._describing.pop()
        except IndexError:
            cursor = self._connection.cursor()
            cursor.execute(f"SET search_path = '{COLUMNS_ONLY},main'").fetchall()
        try:
            yield cursor
        finally:
            self._describing.append(cursor)

    def result_schema(self, sql: str) -> pa.Schema:
        """The schema that `run` gives for a query, without running it."""
        with translate_errors(sql):
            relation = self._bind(self._connection.cursor(), sql)
            names, types = relation.columns, relation.types
        casts = ", ".join(f"CAST(NULL AS {type_}) AS c{i}" for i, type_ in enumerate(types))
        sample = with_text_casts(f"SELECT {casts}", names, types)
        cursor = self._connection.cursor()
        with translate_errors(sample), cursor.sql(sample).to_arrow_reader() as reader:
            return wanted_schema(reader.schema, names)

    def arrow_type(self, type_: str) -> pa.DataType:
        """What `run` gives for a column of that DuckDB type."""
        return plain_type(type_) or self._asked_type(type_)

    def types(self, types: Sequence[pa.DataType]) -> list[str]:
        """How DuckDB types columns of a reader, each by its name."""
        cursor = self._connection.cursor()
        schema = pa.schema([pa.field(f"c{i}", each) for i, each in enumerate(types)])
        with translate_errors():
            cursor.register("empty", pa.RecordBatchReader.from_batches(schema, []))
        return [type_ for _, type_ in self.describe("SELECT * FROM empty", cursor)]

    def create_table(self, name: str, schema: pa.Schema) -> None:
        """An empty table that every cursor sees, its columns typed as DuckDB types a reader of that schema."""
        cursor = self._connection.cursor()
        with self._lock, translate_errors():
            # A reader: pyarrow's empty table would import pandas, a third of a second.
            cursor.register("empty", pa.RecordBatchReader.from_batches(schema, []))
            cursor.execute(f"CREATE OR REPLACE TABLE {quoted(name)} AS SELECT * FROM empty").fetchall()
            cursor.unregister("empty")

    def create_view(self, name: str, sql: str) -> None:
        """A view that every cursor sees, over a query of ours; `describe` sees one of its columns only."""
        columns = self.describe(sql)
        nulls = ", ".join(f"CAST(NULL AS {type_}) AS {quoted(column)}" for column, type_ in columns)
        self.change(
            [
                f"CREATE OR REPLACE VIEW {quoted(name)} AS {sql}",
                f"CREATE OR REPLACE VIEW {COLUMNS_ONLY}.{quoted(name)} AS SELECT {nulls}",
            ]
        )

    def create_function(self, name: str, function: Callable[..., Any], parameters: Sequence[str], result: str) -> None:
        """A function in Python that every query can call, with an effect: DuckDB calls it for each row that needs it,
        but not where an argument is NULL. An error may say its SQLSTATE, see `error_from`."""
        with self._lock, translate_errors():
            self._connection.create_function(name, function, list(parameters), result, side_effects=True)

    def change(self, statements: Iterable[str], registered: Mapping[str, pa.Table] | None = None) -> None:
        """Statements of ours, in one transaction over `registered` tables: who reads sees all of it, or nothing."""
        cursor = self._connection.cursor()
        with self._lock:
            for name, table in (registered or {}).items():
                cursor.register(name, table)
            cursor.execute("BEGIN").fetchall()
            try:
                for sql in statements:
                    with translate_errors(sql):
                        cursor.execute(sql).fetchall()
                cursor.execute("COMMIT").fetchall()
            except BaseException:
                cursor.execute("ROLLBACK").fetchall()
                raise
            finally:
                cursor.close()

    def set_variable(self, cursor: Cursor, name: str, value: str) -> None:
        """`value` is an expression of ours, which queries of that cursor read by getvariable."""
        with translate_errors():
            cursor.execute(f"SET VARIABLE {quoted(name)} = {value}").fetchall()

    def drop_table(self, name: str) -> None:
        with self._lock, translate_errors():
            self._connection.cursor().execute(f"DROP TABLE IF EXISTS {quoted(name)}").fetchall()

    def query(self, sql: str, registered: Registered | None = None, cancel: CancelToken | None = None) -> Rows:
        """`run` on a cursor of its own. The cursor of a result that was read to its end serves the next query: making
        one takes as long as a short query does."""
        given = registered or {}
        read = (each.rows if isinstance(each, Kept) else each for each in given.values())
        over_files = not any(isinstance(each, pa.RecordBatchReader) for each in read)
        ahead = self._ahead_of_files() if over_files else AHEAD_OF_READERS
        idle = self._idle[ahead]

        def at_end(reusable: Cursor | None) -> None:
            with self._counting:
                self._open -= over_files
            if reusable is not None:
                idle.append(reusable)

        try:
            cursor = idle.pop()
        except IndexError:
            cursor = self.cursor(ahead)
        with self._counting:
            self._open += over_files
        return self.run(cursor, sql, given, cancel, at_end)

    def _ahead_of_files(self) -> str:
        """How far ahead of its reader one more result may be made."""
        return AHEAD_OF_FILES if 2 * (self._open + 1) <= self._threads else AHEAD_OF_FILES_FOR_MANY

    def run(
        self,
        cursor: Cursor,
        sql: str,
        registered: Registered,
        cancel: CancelToken | None = None,
        at_end: Callable[[Cursor | None], object] = lambda _: None,
    ) -> Rows:
        """Run a query over `registered` readers (each is read once) and tables, and stream its rows.

        A failure raises ours, from here or while the rows are read; after a cancel it is the cause of the cancel.
        `at_end` gets the cursor if the result was read to its end, undisturbed.
        """
        query = _Running(cursor, sql, cancel, at_end)
        rows = None
        try:
            query.check()
            query.register(registered)
            relation = self._bind(cursor, sql)
            query.given = with_text_casts(sql, relation.columns, relation.types)
            shown = relation if query.given is sql else cursor.sql(query.given)
            raw = shown.to_arrow_reader(ROWS_PER_BATCH)
            types = tuple(map(str, relation.types))
            rows = Rows(wanted_schema(raw.schema, relation.columns), types, raw, query)
        except FAILURES as exc:
            failed = exc
        finally:
            if rows is None:
                query.end()
        if rows is None:
            query.fail(failed)
        return rows

    def _bind(self, cursor: Cursor, sql: str) -> duckdb.DuckDBPyRelation:
        """Bind one query. A text is parsed once: what is described is run next, and often run again."""
        statement = self._parsed(sql) if len(sql) <= LONGEST_KEPT else _one_query(cursor, sql)
        try:
            return cursor.sql(statement)
        except duckdb.Error as exc:
            # The relation layer of the Python package drops the structure from what the binder says; EXPLAIN keeps it.
            if read_failure(exc).structured:
                raise
            with translate_errors(sql, EXPLAIN + sql):
                cursor.execute(EXPLAIN + sql).fetchall()
            raise

    def close(self) -> None:
        """Close the database and remove the spill folder. Idempotent."""
        for each in (*self._idle.values(), self._describing):
            each.clear()
        self._connection.close()
        self._spill.remove()


def _one_query(cursor: Cursor, sql: str) -> duckdb.Statement:
    """One query, and nothing but a query: no ATTACH, COPY, SET, PRAGMA, CREATE or INSTALL comes past here."""
    statements = cursor.extract_statements(sql)
    if len(statements) != 1:
        raise SQLSyntaxError(f"expected one statement, found {len(statements)}")
    if statements[0].type != duckdb.StatementType.SELECT:
        raise NotSupportedError(f"{statements[0].type.name} statements do not run here", hint="only queries do")
    return statements[0]


@contextmanager
def translate_errors(sql: str | None = None, given: str | None = None) -> Iterator[None]:
    """DuckDB's exceptions become ours. Positions count in `sql`, which DuckDB was `given` inside another text."""
    try:
        yield
    except FAILURES as exc:
        raise error_from(read_failure(exc), sql, given) from exc
