"""Failures as RFC 9457 problem details.

The status says whose turn it is: 4xx the caller's (408 when the time ran out that the caller gave), 502 a source's, 503
and 429 that trying again may help, 500 a bug here.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from adapters import errors
from federation.http import errors as http_errors

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
QUERY_ID = "Federation-Query-Id"
FRESHNESS = "Federation-Freshness"
RETRY_SECONDS = 1

# The first class that an error is an instance of decides.
STATUS: tuple[tuple[type[errors.Error], int], ...] = (
    (http_errors.NotAuthenticated, 401),
    (http_errors.TooManyQueries, 429),
    (http_errors.ShuttingDown, 503),
    (http_errors.StatementInterrupted, 503),
    (http_errors.ResultTooLarge, 507),
    (http_errors.IdempotencyConflict, 422),
    (errors.QueryTimeout, 408),
    (errors.QueryCancelled, 409),
    (errors.SourceUnavailable, 503),
    (errors.SourceError, 502),
    (errors.OutOfMemory, 503),
    (errors.CatalogError, 500),
    (errors.InsufficientPrivilege, 403),
    (errors.ProgrammingError, 400),
    (errors.InterfaceError, 400),
    (errors.NotSupportedError, 400),
    (errors.DataError, 422),
)


class HttpProblem(Exception):
    """A failure that has no SQLSTATE: it is about the request as HTTP."""

    def __init__(
        self, status: int, detail: str, *, hint: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.hint = hint
        self.headers = headers or {}


def status_of(error: Exception) -> int:
    if isinstance(error, HttpProblem):
        return error.status
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def problem(error: Exception, query_id: str | None = None) -> dict[str, Any]:
    """The document. Of what is not one of our errors nothing is shown but its class: its text may hold anything."""
    status = status_of(error)
    if isinstance(error, HttpProblem):
        found: dict[str, Any] = {"type": "about:blank", "detail": error.detail, "hint": error.hint}
    elif isinstance(error, errors.Error):
        found = {
            "type": f"urn:federation:error:{type(error).__name__}",
            "detail": error.message,
            "sqlstate": error.sqlstate,
            "position": error.position,
            "hint": error.hint,
            "source": error.source,
            "retryable": error.retryable,
        }
    else:
        found = {
            "type": "urn:federation:error:InternalError",
            "detail": f"an unexpected {type(error).__name__}: this is a bug",
            "sqlstate": errors.InternalError.sqlstate,
            "retryable": False,
        }
    made = {"title": HTTPStatus(status).phrase, "status": status, **found, "query_id": query_id}
    return {key: value for key, value in made.items() if value is not None}


def problem_response(error: Exception, query_id: str | None = None) -> JSONResponse:
    document = problem(error, query_id)
    headers = dict(error.headers) if isinstance(error, HttpProblem) else {}
    if query_id is not None:
        headers[QUERY_ID] = query_id
    if document["status"] in (429, 503):
        headers.setdefault("Retry-After", str(RETRY_SECONDS))
    if document["status"] == 401:
        headers.setdefault("WWW-Authenticate", 'Bearer realm="federation", Basic realm="federation", charset="UTF-8"')
    return JSONResponse(document, document["status"], headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Every failure of a request becomes a problem document."""

    async def ours(request: Request, exc: Exception) -> JSONResponse:
        return problem_response(exc, getattr(request.state, "query_id", None))

    async def http(request: Request, exc: Exception) -> JSONResponse:
        assert isinstance(exc, HTTPException)
        headers = {"Allow": _allowed(request)} if exc.status_code == 405 else exc.headers
        return problem_response(HttpProblem(exc.status_code, exc.detail, headers=headers))

    async def invalid(_: Request, exc: Exception) -> JSONResponse:
        assert isinstance(exc, RequestValidationError)
        return _invalid(exc.errors())

    async def unexpected(request: Request, exc: Exception) -> JSONResponse:
        log.error("%s %s failed", request.method, request.url.path, exc_info=exc)
        return problem_response(exc, getattr(request.state, "query_id", None))

    app.add_exception_handler(errors.Error, ours)
    app.add_exception_handler(HttpProblem, ours)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(Exception, unexpected)


def _invalid(faults: Sequence[Mapping[str, Any]]) -> JSONResponse:
    """400 for what is not JSON, 422 for JSON of another shape; every fault with a pointer to its place."""
    status = 400 if any(fault["type"] == "json_invalid" for fault in faults) else 422
    where = [(_pointer(fault["loc"]), str(fault["msg"])) for fault in faults]
    document = problem(HttpProblem(status, "; ".join(f"{place}: {message}" for place, message in where)))
    document["errors"] = [{"pointer": place, "detail": message} for place, message in where]
    return JSONResponse(document, status, media_type=MEDIA_TYPE)


def _allowed(request: Request) -> str:
    """The methods of all routes of the path; the first that has it names its own alone."""
    found = {
        method.upper()
        for path, operations in request.app.openapi()["paths"].items()
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), request.url.path)
        for method in operations
    }
    return ", ".join(sorted(found))


def _pointer(location: Sequence[str | int]) -> str:
    """`#/params/0` in the body, `query: limit` elsewhere."""
    place, *path = location
    if place == "body":
        return "#" + "".join(f"/{part}" for part in path)
    return f"{place}: {'.'.join(map(str, path))}"
