"""Failures and warnings as PostgreSQL reports them."""

from __future__ import annotations

import logging

from adapters.errors import Error, InternalError
from federation.pgwire.messages import report
from federation.progress import Freshness, State, written

log = logging.getLogger(__name__)


def error_response(error: Exception, severity: str = "ERROR") -> bytes:
    """Of what is not one of our errors nothing is shown but its class: its text may hold anything."""
    if not isinstance(error, Error):
        log.error("a statement failed", exc_info=error)
        error = InternalError(f"an unexpected {type(error).__name__}: this is a bug")
    fields = [
        ("S", severity),
        ("V", severity),
        ("C", error.sqlstate),
        ("M", error.message),
        ("D", f"source {error.source}" if error.source else None),
        ("H", error.hint),
        ("P", str(error.position) if error.position else None),
    ]
    return report(b"E", fields)


def old_rows(found: Freshness) -> bytes:
    """A warning of a source that could not be reached, a notice of one that is being asked again."""
    failed = found.state is State.STALE_ON_ERROR
    severity = "WARNING" if failed else "NOTICE"
    why = "which cannot be reached" if failed else "which is being asked again"
    message = f"rows of {found.source}, {why}, are from the cache, as of {written(found.as_of)}"
    return report(b"N", [("S", severity), ("V", severity), ("C", "01000" if failed else "00000"), ("M", message)])


def no_snapshot(name: str) -> bytes:
    """Of a source, or one of its tables, that was read in a transaction."""
    return warning("01000", f"{name} has no snapshot that the transaction could keep: it is read as it is")


def warning(sqlstate: str, message: str) -> bytes:
    return report(b"N", [("S", "WARNING"), ("V", "WARNING"), ("C", sqlstate), ("M", message)])
