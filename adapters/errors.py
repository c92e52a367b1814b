"""The one error tree.

The top is PEP 249's; below it every class declares its SQLSTATE beside its name. An error says what went wrong
(`message`), what to do next (`hint`), where in the statement (`position`, 1-based characters), which source it came
from (`source`) and whether trying again may help (`retryable`). The cause is kept by `raise … from exc`.
"""

from __future__ import annotations

import builtins


class Warning(builtins.Warning):  # PEP 249 fixes the name
    """PEP 249: an important notice that is not a failure."""


class Error(Exception):
    """Any failure of the federation. `sqlstate` has five characters, from PostgreSQL's table."""

    sqlstate = "XX000"
    retryable = False

    def __init_subclass__(cls, sqlstate: str | None = None, retryable: bool | None = None) -> None:
        if sqlstate is not None:
            cls.sqlstate = sqlstate
        if retryable is not None:
            cls.retryable = retryable

    def __init__(
        self, message: str, *, hint: str | None = None, position: int | None = None, source: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.position = position
        self.source = source
        self.query_id: str | None = None  # set for what a server reports

    def __str__(self) -> str:
        where = f" (source {self.source})" if self.source else ""
        hint = f"\nHint: {self.hint}" if self.hint else ""
        return f"{self.message}{where}{hint}"


class InterfaceError(Error, sqlstate="08P01"):
    """The client used the interface wrongly, such as reading from a closed cursor."""


class DatabaseError(Error):
    """PEP 249: anything that the database side reports."""


# --- what the statement says ------------------------------------------------------------------------------------


class ProgrammingError(DatabaseError, sqlstate="42000"):
    """The statement cannot be right, whatever the data."""


class SQLSyntaxError(ProgrammingError, sqlstate="42601"):
    """The text is not SQL, or not exactly one statement."""


class TableNotFound(ProgrammingError, sqlstate="42P01"):
    """No table or view has that name."""


class SchemaNotFound(ProgrammingError, sqlstate="3F000"):
    """No source or schema has that name."""


class ColumnNotFound(ProgrammingError, sqlstate="42703"):
    """No table in scope has that column."""


class AmbiguousColumn(ProgrammingError, sqlstate="42702"):
    """Several tables in scope have that column."""


class DuplicateColumn(ProgrammingError, sqlstate="42701"):
    """A relation has several columns of one name."""


class IndeterminateType(ProgrammingError, sqlstate="42P18"):
    """Nothing says which type a column has."""


class AmbiguousTable(ProgrammingError, sqlstate="42P09"):
    """Several sources have a table of that name."""


class FunctionNotFound(ProgrammingError, sqlstate="42883"):
    """No function of that name takes those arguments."""


class TypeMismatch(ProgrammingError, sqlstate="42804"):
    """An operand has a type that the operation does not take."""


class UndefinedParameter(ProgrammingError, sqlstate="42P02"):
    """The statement names a parameter that was not given."""


class GroupingError(ProgrammingError, sqlstate="42803"):
    """A column is neither grouped nor aggregated."""


class InsufficientPrivilege(ProgrammingError, sqlstate="42501"):
    """No role of the caller grants what the statement reads or changes."""


class ReadOnlyError(ProgrammingError, sqlstate="25006"):
    """The statement would write, and nothing here is writable."""


class StatementTooComplex(ProgrammingError, sqlstate="54001"):
    """The statement is over a limit at the door: its length, its nesting or its number of nodes."""


class RequiredFilterMissing(ProgrammingError, sqlstate="HV00J"):
    """A table can be read only with a filter on a column that the statement does not give."""


# --- what the catalog file says ---------------------------------------------------------------------------------


class CatalogError(ProgrammingError, sqlstate="F0000"):
    """The catalog file is wrong: an unknown key, a bad value, a missing secret."""


class MissingDriver(CatalogError):
    """A package is not installed that an extra brings: a driver, the engine, the server."""


# --- what the data say ------------------------------------------------------------------------------------------


class DataError(DatabaseError, sqlstate="22000"):
    """A value cannot be processed."""

    def without_values(self) -> DataError:
        """The same, for who may not see the value that the message tells of."""
        hint = "the value is not shown, for tables are filtered or masked for you"
        return type(self)("a value cannot be processed", hint=hint, position=self.position, source=self.source)


class ConversionError(DataError, sqlstate="22P02"):
    """A value is not of the type that it was to be read as."""


class InvalidDatetime(ConversionError, sqlstate="22007"):
    """A text is no date, time or interval."""


class DatetimeOverflow(ConversionError, sqlstate="22008"):
    """A date or time has a field that the calendar or the clock does not have."""


class NumericOutOfRange(DataError, sqlstate="22003"):
    """A number does not fit its type."""


class DivisionByZero(DataError, sqlstate="22012"):
    """A division by zero in integers or decimals."""


class CardinalityViolation(DataError, sqlstate="21000"):
    """A subquery used as a value returned more than one row."""


# --- what happened while it ran ---------------------------------------------------------------------------------


class OperationalError(DatabaseError, sqlstate="58000"):
    """Something outside the statement failed."""


class SourceError(OperationalError, sqlstate="HV000"):
    """A source refused or failed a request that it should have answered."""


class SourceUnavailable(SourceError, sqlstate="08006", retryable=True):
    """A source cannot be reached, or the connection broke."""


class ConnectionLost(SourceUnavailable):
    """A connection that was there is not any more: its source ended it, or the way to it broke."""


class DataTooStale(SourceUnavailable, sqlstate="72000"):
    """A source cannot be reached, and what the cache has of it is older than the caller accepts."""


class SourceAuthError(SourceError, sqlstate="28000"):
    """A source refused the credentials."""


class SourceChanged(SourceError, sqlstate="HV00N", retryable=True):
    """A table or column at the source is no longer what was planned with."""


class SnapshotLost(OperationalError, sqlstate="40001", retryable=True):
    """The snapshot that a transaction reads from is gone, or its source cannot read a table as it was then."""


class QueryCancelled(OperationalError, sqlstate="57014"):
    """The query was cancelled by its caller."""


class QueryTimeout(QueryCancelled):
    """The query ran past its time limit."""


class OutOfMemory(OperationalError, sqlstate="53200", retryable=True):
    """The memory limit was reached and could not be relieved by spilling."""


class CacheDamaged(OperationalError, sqlstate="XX001", retryable=True):
    """A file of the cache is found not to be what was written, when some of its rows were given already."""


class IntegrityError(DatabaseError, sqlstate="23000"):
    """PEP 249: a constraint would be broken."""


class InternalError(DatabaseError, sqlstate="XX000"):
    """A bug here: please report it with the statement and its plan."""


class NotSupportedError(DatabaseError, sqlstate="0A000"):
    """The request is understood and not supported."""
