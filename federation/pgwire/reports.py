"""Failures and warnings as PostgreSQL reports them."""

from __future__ import annotations

import logging

from adapters.errors import Error, InternalError
from federation.pgwire.messages import report

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


def warning(sqlstate: str, message: str) -> bytes:
    return report(b"N", [("S", "WARNING"), ("V", "WARNING"), ("C", sqlstate), ("M", message)])
