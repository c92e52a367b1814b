"""Problem documents (RFC 9457) as the errors that they were at the server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters import errors
from adapters.errors import Error
from federation.client.errors import NotAFederationServer, ServerUnavailable
from federation.http import errors as server_errors

TYPE = "urn:federation:error:"


def _classes() -> dict[str, type[Error]]:
    known = {**vars(errors), **vars(server_errors)}
    return {name: each for name, each in known.items() if isinstance(each, type) and issubclass(each, Error)}


BY_NAME = _classes()
BY_SQLSTATE = {each.sqlstate: each for each in reversed(BY_NAME.values())}  # the first of each
# A server may be newer, or have adapters of its own: then the first two characters say what kind of error it is.
BY_KIND: dict[str, type[Error]] = {
    "0A": errors.NotSupportedError,
    "08": errors.OperationalError,
    "22": errors.DataError,
    "23": errors.IntegrityError,
    "25": errors.ProgrammingError,
    "28": errors.OperationalError,
    "3F": errors.ProgrammingError,
    "42": errors.ProgrammingError,
    "53": errors.OperationalError,
    "54": errors.ProgrammingError,
    "57": errors.OperationalError,
    "58": errors.OperationalError,
    "HV": errors.OperationalError,
    "XX": errors.InternalError,
}
# What has no SQLSTATE is about the request as HTTP.
BY_STATUS: dict[int, type[Error]] = {
    401: server_errors.NotAuthenticated,
    403: server_errors.NotAuthenticated,
    404: NotAFederationServer,
    405: NotAFederationServer,
    408: ServerUnavailable,
    413: errors.StatementTooComplex,
    421: server_errors.NotAuthenticated,
    422: errors.ProgrammingError,
    429: server_errors.TooManyQueries,
    502: ServerUnavailable,
    503: ServerUnavailable,
    504: ServerUnavailable,
}


def error_of(document: Mapping[str, Any], status: int) -> Error:
    """The error that a problem document describes."""
    sqlstate = document.get("sqlstate")
    if not isinstance(sqlstate, str):
        kind = BY_STATUS.get(status, errors.InterfaceError if status < 500 else errors.InternalError)
    else:
        named = BY_NAME.get(str(document.get("type", "")).removeprefix(TYPE))
        kind = named if named is not None and named.sqlstate == sqlstate else _by_sqlstate(sqlstate)
    position = document.get("position")
    error = kind(
        str(document.get("detail") or document.get("title") or f"the server answered {status}"),
        hint=_text(document, "hint"),
        position=position if isinstance(position, int) else None,
        source=_text(document, "source"),
    )
    error.query_id = _text(document, "query_id")
    if isinstance(sqlstate, str) and error.sqlstate != sqlstate:
        error.sqlstate = sqlstate
    if isinstance(document.get("retryable"), bool) and error.retryable != document["retryable"]:
        error.retryable = document["retryable"]
    return error


def _by_sqlstate(sqlstate: str) -> type[Error]:
    return BY_SQLSTATE.get(sqlstate) or BY_KIND.get(sqlstate[:2]) or errors.DatabaseError


def _text(document: Mapping[str, Any], key: str) -> str | None:
    value = document.get(key)
    return value if isinstance(value, str) else None
