"""The classes of errors that only PostgreSQL's dialect has."""

from __future__ import annotations

from adapters.errors import DataError, DuplicateColumn, ProgrammingError


class CannotCoerce(ProgrammingError, sqlstate="42846"):
    """There is no cast from the one type to the other."""


class AmbiguousOperator(ProgrammingError, sqlstate="42725"):
    """Several operators fit operands whose types are open."""


class WrongObject(ProgrammingError, sqlstate="42809"):
    """A function is not of the sort that the syntax needs, such as OVER after a function that is no aggregate."""


class WindowingError(ProgrammingError, sqlstate="42P20"):
    """A window function stands where there are no windows."""


class UndefinedWindow(ProgrammingError, sqlstate="42704"):
    """No window of the query has that name."""


class ColumnReference(ProgrammingError, sqlstate="42P10"):
    """A position or an alias in ORDER BY, GROUP BY or DISTINCT ON that means no output."""


class UndefinedType(ProgrammingError, sqlstate="42704"):
    """No type has that name."""


class DuplicateTable(DuplicateColumn, sqlstate="42712"):
    """Two relations of a FROM have one name."""


class InvalidField(DataError, sqlstate="22023"):
    """A word that names no field of a time."""


class InvalidArguments(DataError, sqlstate="22023"):
    """A function has not the number of arguments that it can do something with."""


class InvalidPattern(DataError, sqlstate="2201B"):
    """A text that is no regular expression."""


class InvalidLimit(DataError, sqlstate="2201W"):
    """LIMIT is negative."""


class InvalidOffset(DataError, sqlstate="2201X"):
    """OFFSET is negative."""
