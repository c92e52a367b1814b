"""Connections to MySQL and MariaDB: how they are set up, ended, and what their failures mean to us."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

import pymysql
from pymysql.constants import COMMAND
from pymysql.protocol import FieldDescriptorPacket

from adapters.base import CancelToken
from adapters.errors import (
    AmbiguousColumn,
    CardinalityViolation,
    CatalogError,
    ColumnNotFound,
    ConnectionLost,
    Error,
    FunctionNotFound,
    GroupingError,
    MissingDriver,
    NotSupportedError,
    NumericOutOfRange,
    QueryTimeout,
    ReadOnlyError,
    SchemaNotFound,
    SnapshotLost,
    SourceAuthError,
    SourceChanged,
    SourceError,
    SourceUnavailable,
    SQLSyntaxError,
    StatementTooComplex,
    TableNotFound,
)
from adapters.mysql_wire import RowStream, ServerReported, StreamBroken

CONNECT_SECONDS = 10
_KILL_SECONDS = 5
_PAUSE_SECONDS = 86_400  # a reader may wait for its consumer without being taken for dead
_URI = 'uri = "mysql://user:password@host:3306/database"'
_TLS_KEYS = ("ssl_ca", "ssl_cert", "ssl_key", "ssl_verify_identity")
# Times in UTC, plain literals, no write. The sqlglot generator escapes backslashes, as the empty mode wants it.
_SETTINGS = f"SET SESSION time_zone = '+00:00', sql_mode = '', net_write_timeout = {_PAUSE_SECONDS}"

_NO_PLUGIN = 2059

Meaning: TypeAlias = Mapping[int, tuple[type[Error], str | None]]  # of the server's numbers, with a hint

# Numbers of the server's messages; those from 2000 on are the client's.
MEANING: Meaning = {
    **dict.fromkeys(
        (1044, 1045, 1142, 1143, 1227, 1251, 1370, 1698), (SourceAuthError, "check user, password, grants")
    ),
    **dict.fromkeys((1049,), (SourceError, "check the database in uri")),
    **dict.fromkeys((1051, 1054, 1109, 1146, 1356, 1412), (SourceChanged, "run the query again")),
    **dict.fromkeys((1969, 3024), (QueryTimeout, "raise limits.timeout, or ask for less")),
    **dict.fromkeys((1264, 1690), (NumericOutOfRange, None)),
    _NO_PLUGIN: (MissingDriver, 'pip install "PyMySQL[rsa]"'),
    1242: (CardinalityViolation, None),
    **dict.fromkeys((1290, 1792, 1836), (ReadOnlyError, "only queries run here")),
    1153: (StatementTooComplex, "raise max_allowed_packet at the server, or shorten the query"),
    **dict.fromkeys(
        (1040, 1203, 1226), (SourceUnavailable, "the server has too many connections: lower limits.concurrency")
    ),
    1317: (SourceUnavailable, None),
    **dict.fromkeys((1053, 1077, 1079, 1152, 1158, 1159, 1160, 1161, 1184, 1927, 4031), (ConnectionLost, None)),
    **dict.fromkeys((2002, 2003, 2005, 2026), (SourceUnavailable, "check that the server runs")),
    **dict.fromkeys((2006, 2013, 2055), (ConnectionLost, "check that the server runs")),
}
#: the same, where the text is the caller's own
OF_NATIVE: Meaning = {
    **MEANING,
    1049: (SchemaNotFound, None),
    1052: (AmbiguousColumn, None),
    1054: (ColumnNotFound, None),
    1055: (GroupingError, None),
    1064: (SQLSyntaxError, None),
    **dict.fromkeys((1109, 1146), (TableNotFound, None)),
    1295: (NotSupportedError, "only queries run here"),
    1305: (FunctionNotFound, None),
}
#: the same, in a transaction with a snapshot
IN_SNAPSHOT: Meaning = {**MEANING, 1412: (SnapshotLost, "end the transaction and begin it again")}


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server is. The password is in no repr."""

    database: str
    arguments: dict[str, Any] = field(repr=False)


def parse_uri(uri: object, source: str) -> Address:
    """No part of the URI is repeated in a message: it holds the password."""
    if not isinstance(uri, str) or urlsplit(uri).scheme not in ("mysql", "mariadb"):
        raise CatalogError("uri is missing or not one of MySQL", hint=_URI, source=source)
    parts = urlsplit(uri)
    database = unquote(parts.path.lstrip("/"))
    extra = dict(parse_qsl(parts.query))
    unknown = set(extra) - {*_TLS_KEYS, "unix_socket"}
    try:
        port = parts.port or 3306
    except ValueError:
        raise CatalogError("the port in uri is not a number", hint=_URI, source=source) from None
    if not database:
        raise CatalogError("uri names no database", hint=_URI, source=source)
    if unknown:
        known = ", ".join((*_TLS_KEYS, "unix_socket"))
        raise CatalogError(f'uri has an unknown parameter "{min(unknown)}"', hint=f"known: {known}", source=source)
    tls: dict[str, Any] = {key: extra[key] for key in _TLS_KEYS if key in extra}
    if "ssl_ca" in tls:
        tls["ssl_verify_cert"] = True
    if "ssl_verify_identity" in tls:
        tls["ssl_verify_identity"] = tls["ssl_verify_identity"].lower() in ("1", "true", "yes")
    return Address(
        database,
        {
            "host": parts.hostname or "localhost",
            "port": port,
            "user": unquote(parts.username or ""),
            "password": unquote(parts.password or "").encode(),  # as bytes: the driver takes text for Latin-1
            "database": database,
            "unix_socket": extra.get("unix_socket"),
            **tls,
        },
    )


class Session:
    """One connection, read-only, in UTC. Used by one thread at a time, except for `kill`."""

    def __init__(self, address: Address, timeout: float | None, setting: str | None = None) -> None:
        self._address = address
        self._connection: Any = _connect(address, CONNECT_SECONDS)
        self._wait_forever()
        self.is_mariadb = "mariadb" in self._connection.get_server_info().lower()
        try:
            self.rows(_SETTINGS)
            self.rows("SET SESSION TRANSACTION READ ONLY")
            if self.is_mariadb:
                # The cache finds a correlated subquery's result by the outer column in its own collation, although
                # the subquery compares by bytes: 'a' gets the answer of 'á'.
                self.rows("SET SESSION optimizer_switch = 'subquery_cache=off'")
            if timeout and self.is_mariadb:
                self.rows("SET SESSION max_statement_time = %s", timeout)
            elif timeout:
                self.rows("SET SESSION max_execution_time = %s", round(timeout * 1000))
            if setting:
                self.rows(setting)
        except BaseException:
            self.close()
            raise

    def _wait_forever(self) -> None:
        """A statement may take its time."""
        self._connection._read_timeout = self._connection._write_timeout = self._connection._current_timeout = None
        self._connection._sock.settimeout(None)

    def rows(self, sql: str, *parameters: Any) -> Sequence[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, parameters or None)  # or a percent sign would be a place for one
            return tuple(cursor.fetchall())

    def open(self, sql: str) -> tuple[RowStream, list[int]]:
        """Send a query; its rows as they come, and the wire types of its columns.

        The driver reads the column definitions. The rows are taken from its stream without it, see `mysql_wire`.
        """
        self._connection.query(sql, unbuffered=True)
        result = self._connection._result
        result.unbuffered_active = False  # the driver would otherwise read the rows to their end by itself
        result.connection = None
        return RowStream(self._connection._rfile, result.field_count), [each.type_code for each in result.fields]

    def prepared(self, sql: str) -> list[Any]:
        """The driver's descriptions of the columns of one statement, which is prepared and not run; none for what is
        not a query. The server refuses several statements."""
        connection = self._connection
        connection._execute_command(COMMAND.COM_STMT_PREPARE, sql)
        answer = connection._read_packet()
        answer.advance(1)
        statement, columns, placeholders = answer.read_uint32(), answer.read_uint16(), answer.read_uint16()
        for _ in range(placeholders + bool(placeholders)):  # and the packet that ends them
            connection._read_packet()
        found = [connection._read_packet(FieldDescriptorPacket) for _ in range(columns)]
        if columns:
            connection._read_packet()
        connection._execute_command(COMMAND.COM_STMT_CLOSE, statement.to_bytes(4, "little"))
        return [] if placeholders else found

    def is_stale(self) -> bool:
        """An idle connection has nothing to read, unless the server has closed it."""
        sock = self._connection._sock
        return sock is None or bool(select.select([sock], [], [], 0)[0])

    def kill(self) -> None:
        """End the statement and the connection, from any thread. A statement that is busy sorting does not notice that
        its client is gone, so that the server is told by a second connection."""
        with suppress(pymysql.MySQLError, OSError):
            self._kill("KILL %s")
        self._disconnect()

    def interrupt(self) -> None:
        """End the statement alone, from any thread; or the connection, where the server cannot be told."""
        try:
            self._kill("KILL QUERY %s")
        except (pymysql.MySQLError, OSError):
            self._disconnect()

    def _kill(self, sql: str) -> None:
        other: Any = _connect(self._address, _KILL_SECONDS)
        with other, other.cursor() as cursor:
            cursor.execute(sql, (self._connection.thread_id(),))

    def _disconnect(self) -> None:
        sock = self._connection._sock
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)  # wakes the reader, even if the server could not be reached

    def close(self) -> None:
        self._connection._force_close()  # sends nothing, and does not fail


def _connect(address: Address, seconds: int) -> Any:
    try:
        return pymysql.connect(
            **address.arguments,
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=seconds,
            read_timeout=seconds,  # a server may accept the connection and then say nothing
            write_timeout=seconds,
            local_infile=False,
            program_name="federation",
        )
    except RuntimeError as exc:  # how the driver says that a way to authenticate needs a package
        raise pymysql.OperationalError(_NO_PLUGIN, str(exc)) from exc


@contextmanager
def translated(source: str, cancel: CancelToken | None = None, meaning: Meaning = MEANING) -> Iterator[None]:
    """From the driver's exceptions to ours. After a cancel, whatever failed is the cancel."""
    try:
        yield
    except ServerReported as exc:
        _check(cancel, exc)
        raise _error(exc.code, exc.message, source, meaning) from exc
    except pymysql.MySQLError as exc:
        _check(cancel, exc)
        code = exc.args[0] if exc.args and isinstance(exc.args[0], int) else 0
        message = str(exc.args[1]) if len(exc.args) > 1 else str(exc)
        if isinstance(exc, pymysql.err.InterfaceError):
            code, message = 2006, "the connection is closed"
        raise _error(code, message, source, meaning) from exc
    except (StreamBroken, OSError) as exc:
        _check(cancel, exc)
        raise ConnectionLost(f"the connection broke: {exc}", source=source) from exc


def _check(cancel: CancelToken | None, cause: Exception) -> None:
    if cancel is not None:
        try:
            cancel.check()
        except Error as exc:
            raise exc from cause


def _error(code: int, message: str, source: str, meaning: Meaning = MEANING) -> Error:
    kind, hint = meaning.get(code, (SourceError, None))
    return kind(f"{message} (error {code})", hint=hint, source=source)
