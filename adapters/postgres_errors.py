"""From the driver's exceptions to ours: by SQLSTATE, and by the kind of call where the driver has none."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from urllib.parse import unquote, urlsplit

import pyarrow as pa
from adbc_driver_manager import AdbcStatusCode
from adbc_driver_manager import Error as DriverError

from adapters.base import CancelToken
from adapters.errors import (
    AmbiguousColumn,
    CardinalityViolation,
    ColumnNotFound,
    ConnectionLost,
    ConversionError,
    DataError,
    DivisionByZero,
    Error,
    FunctionNotFound,
    GroupingError,
    NotSupportedError,
    NumericOutOfRange,
    OutOfMemory,
    ProgrammingError,
    QueryTimeout,
    ReadOnlyError,
    SchemaNotFound,
    SourceAuthError,
    SourceChanged,
    SourceError,
    SourceUnavailable,
    SQLSyntaxError,
    TableNotFound,
    TypeMismatch,
)

_CHANGED = (SourceChanged, "it was changed after it was planned with: run the query again")
_AGAIN = "check that the server runs and accepts more connections, then try again"
_GONE = (ConnectionLost, _AGAIN)
_DENIED = (SourceAuthError, "check the user's password and privileges")
#: the longest prefix of an SQLSTATE decides
_BY_STATE: dict[str, tuple[type[Error], str | None]] = {
    "08": _GONE,
    "21": (CardinalityViolation, None),
    "22": (DataError, "cast the column to a type that holds every value"),
    "22003": (NumericOutOfRange, "cast to a wider type, such as double precision"),
    "22012": (DivisionByZero, "divide by nullif(x, 0)"),
    "22P02": (ConversionError, "cast the column to text"),
    "25001": (ReadOnlyError, None),  # a function that would make the transaction one that writes
    "25006": (ReadOnlyError, None),
    "28": _DENIED,
    "3D000": _CHANGED,
    "3F000": _CHANGED,
    "40": (SourceUnavailable, "the source gave up on the transaction: try again"),
    "42501": _DENIED,
    "42703": _CHANGED,
    "42P01": _CHANGED,
    "53": (SourceUnavailable, _AGAIN),
    "53200": (OutOfMemory, "ask for less, or raise the memory of the source"),
    "55P03": (SourceChanged, "someone is about to change it: run the query again"),
    "57014": (QueryTimeout, "the time limit of the source or its administrator ended it: raise the limit or ask less"),
    "57P": _GONE,
    "XX000": (SourceError, None),
}
#: the same, where the text is the caller's own
_OF_NATIVE: dict[str, tuple[type[Error], str | None]] = {
    **_BY_STATE,
    "0A000": (NotSupportedError, None),
    "3F000": (SchemaNotFound, None),
    "42": (ProgrammingError, None),
    "42601": (SQLSyntaxError, None),
    "42702": (AmbiguousColumn, None),
    "42703": (ColumnNotFound, None),
    "42803": (GroupingError, None),
    "42804": (TypeMismatch, None),
    "42883": (FunctionNotFound, None),
    "42P01": (TableNotFound, None),
}


class Faults:
    """The one translation point. Knows the secrets of the connection, so that no message repeats them."""

    def __init__(self, source: str, uri: str) -> None:
        self._source = source
        self._secrets = tuple(each for each in (uri, *_passwords(uri)) if each)

    @contextmanager
    def translated(self, cancel: CancelToken | None = None) -> Iterator[None]:
        """A failure of a statement. After a cancel, the cancel is the failure."""
        try:
            yield
        except (DriverError, pa.ArrowException) as exc:
            if cancel is not None:
                cancel.check()
            raise self._error(exc) from self._cause(exc)

    @contextmanager
    def of_native(self, before: int = 0) -> Iterator[None]:
        """A failure to prepare the caller's own text, which so many characters of ours stand before."""
        try:
            yield
        except DriverError as exc:
            error = self._error(exc, _OF_NATIVE)
            place = dict[str | bytes, str | bytes](exc.details).get(b"PG_DIAG_STATEMENT_POSITION")
            if place is not None and int(place) > before:
                error.message += f" (at character {int(place) - before} of the native query)"
            raise error from self._cause(exc)

    @contextmanager
    def connecting(self) -> Iterator[None]:
        """The driver gives no code for a failed connect, only libpq's text."""
        try:
            yield
        except DriverError as exc:
            text = f"cannot connect: {self._text(exc)}"
            hint = "check the uri, and that the server runs and can be reached from here"
            raise SourceUnavailable(text, hint=hint, source=self._source) from self._cause(exc)

    def _error(self, exc: Exception, by_state: Mapping[str, tuple[type[Error], str | None]] = _BY_STATE) -> Error:
        state = getattr(exc, "sqlstate", None)
        if state is None:
            lost = getattr(exc, "status_code", None) == AdbcStatusCode.IO
            made = ConnectionLost if lost else SourceUnavailable
            return made(f"reading broke off: {self._text(exc)}", hint=_AGAIN, source=self._source)
        kind, hint = next(
            (by_state[state[:size]] for size in (5, 3, 2) if state[:size] in by_state), (SourceError, None)
        )
        error = kind(self._text(exc), hint=hint, source=self._source)
        if kind in (DataError, SourceError, ProgrammingError):
            error.sqlstate = state
        return error

    def _text(self, exc: Exception) -> str:
        """The server's own words: the driver adds its name, the statement and the code."""
        text = str(exc).split("\n\nQuery was:")[0].split("\nLINE ")[0].split(". SQLSTATE: ")[0]
        text = text.split("ERROR:")[-1].strip()
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def _cause(self, exc: Exception) -> Exception | None:
        """Kept, unless it would print a secret."""
        return None if any(secret in str(exc) for secret in self._secrets) else exc


def _passwords(uri: str) -> set[str]:
    """From a URI, its query, or the form key=value; as written and as decoded."""
    found = set(re.findall(r"(?:ssl)?password\s*=\s*(?:'([^']*)'|)([^\s&']*)", uri))
    written = {each for pair in found for each in pair}
    with suppress(ValueError):
        written.add(urlsplit(uri).password or "")
    return written | {unquote(each) for each in written}
