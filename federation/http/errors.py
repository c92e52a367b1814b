"""What can fail in the server itself, in the one tree of errors."""

from __future__ import annotations

from adapters.errors import OperationalError, ProgrammingError


class TooManyQueries(OperationalError, sqlstate="53300", retryable=True):
    """As many queries are open as the server bears, and as many wait."""


class ShuttingDown(OperationalError, sqlstate="57P03", retryable=True):
    """The server ends what it has begun and takes nothing new."""


class StatementInterrupted(OperationalError, sqlstate="57P01", retryable=True):
    """The server ended while the statement ran."""


class ResultTooLarge(OperationalError, sqlstate="53100"):
    """The result of a statement needs more room than results may take."""


class NotAuthenticated(OperationalError, sqlstate="28000"):
    """The request says not who asks, or cannot prove it."""


class IdempotencyConflict(ProgrammingError, sqlstate="42710"):
    """The key was used for another statement."""
