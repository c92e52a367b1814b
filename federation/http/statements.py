"""`/v1/statements`: queries that run without a connection, and whose results can be fetched several times."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from pydantic import BaseModel, Field, WithJsonSchema
from starlette.responses import JSONResponse

from federation.http.callbacks import check_callback
from federation.http.chunks import encode
from federation.http.compression import CODINGS, make_coding
from federation.http.formats import About, negotiate
from federation.http.limits import json_body
from federation.http.models import (
    Limit,
    Offset,
    Problem,
    QueryInfo,
    QueryRequest,
    ResultColumn,
    SourceProgress,
    State,
    Stats,
    Text,
)
from federation.http.negotiation import preferred_coding
from federation.http.problems import MEDIA_TYPE, QUERY_ID, HttpProblem
from federation.http.query import RESULT, Accept
from federation.http.query_list import cancel, every_query, look
from federation.http.requested import requested
from federation.http.run import ID
from federation.http.server import Server, caller_of, server_of
from federation.http.statement_store import ENDED, Statement
from federation.http.stream import Stream, refuse_http_1_0, respond

router = APIRouter(prefix="/v1/statements", tags=["statements"])


class StatementRequest(QueryRequest):
    callback: Text | None = Field(
        None, max_length=2000, description="a URL that is called when it has ended; its host must be allowed"
    )


class StatementInfo(BaseModel):
    statement_id: str
    state: State
    sql: str
    created: datetime
    started: datetime | None
    ended: datetime | None
    expires: datetime | None = Field(description="when it and its result will be forgotten")
    rows: int
    bytes: int = Field(description="of the stored result")
    sources: list[SourceProgress]
    columns: list[ResultColumn] | None
    stats: Stats | None
    error: Problem | None
    result: str | None = Field(description="where the result is, once it is finished")


class StatementList(BaseModel):
    statements: list[StatementInfo]


async def statement_of(
    request: Request,
    server: Annotated[Server, Depends(server_of)],
    statement_id: Annotated[str, Path(pattern=ID)],
) -> Statement:
    """The caller's own. Raises HttpProblem 404."""
    found = await server.workers.control(server.statements.store.get, statement_id)
    if found is None or found.owner != caller_of(request).key:
        raise HttpProblem(404, f"there is no statement {statement_id}", hint="it may have expired")
    return found


Found = Annotated[Statement, Depends(statement_of)]


@router.post(
    "",
    status_code=202,
    response_model=StatementInfo,
    dependencies=[Depends(json_body)],
    responses={202: {"headers": {"Location": {"schema": {"type": "string"}, "description": "where its state is"}}}},
)
async def create_statement(
    request: Request,
    response: Response,
    body: StatementRequest,
    server: Annotated[Server, Depends(server_of)],
    idempotency_key: Annotated[
        str | None,
        Header(min_length=1, max_length=255, description="asking again with the same key makes no second statement"),
        WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 255}),
    ] = None,
) -> dict[str, Any]:
    """Run a query in the background. Its state and result can be fetched until it expires."""
    if body.callback is not None:
        check_callback(body.callback, server.engines.current.catalog.access.callbacks)
    server.statements.check_room()
    query = QueryRequest.model_validate(body.model_dump(exclude={"callback"}))
    run = requested(query, caller_of(request))
    made = await server.workers.control(
        server.statements.store.create, run.id, caller_of(request).key, query, idempotency_key, body.callback
    )
    if made == run.id:
        server.statements.submit(run)
    response.headers["Location"] = f"/v1/statements/{made}"
    found = await server.workers.control(server.statements.store.get, made)
    if found is None:
        raise HttpProblem(409, "the statement of that Idempotency-Key is just being deleted")
    return _info(found, await _progress(request, server, found))


@router.get("", response_model=StatementList)
async def list_statements(request: Request, server: Annotated[Server, Depends(server_of)]) -> dict[str, Any]:
    """The caller's statements, the newest first."""
    found = await server.workers.control(server.statements.store.of, caller_of(request).key)
    running = any(each.ended is None for each in found)
    queries = (await every_query(request, server)).queries if running else []
    progress = {each.query_id: each for each in queries}
    return {"statements": [_info(each, progress.get(each.id) if each.ended is None else None) for each in found]}


@router.get("/{statement_id}", response_model=StatementInfo)
async def get_statement(
    request: Request, server: Annotated[Server, Depends(server_of)], statement: Found
) -> dict[str, Any]:
    """The state of a statement, with its progress at each source."""
    return _info(statement, await _progress(request, server, statement))


@router.delete("/{statement_id}", status_code=204)
async def delete_statement(request: Request, server: Annotated[Server, Depends(server_of)], statement: Found) -> None:
    """Cancel a statement that runs, down to its sources; forget one that has ended, with its result."""
    if statement.ended is not None:
        await server.workers.control(server.statements.forget, statement.id)
        return
    try:
        await cancel(request, server, statement.id, f"the statement was cancelled by {caller_of(request).identity}")
    except HttpProblem as exc:
        if exc.status != 404:  # else its process has died, which is about to be written down
            raise


@router.get("/{statement_id}/result", responses=RESULT, response_class=Response)
async def get_result(
    request: Request,
    server: Annotated[Server, Depends(server_of)],
    statement: Found,
    offset: Annotated[Offset, Query(description="how many rows to leave out")] = 0,
    limit: Annotated[Limit | None, Query(description="how many rows to send")] = None,
    accept: Accept = None,
    accept_encoding: Accept = None,
) -> Response:
    """The rows of a finished statement, all of them or a page, as often as wanted. With `limit`, a Link header names
    the next page."""
    form = negotiate(accept)
    coding = preferred_coding(accept_encoding, CODINGS if form.compressible else ())
    refuse_http_1_0(request)
    if statement.state not in ENDED:
        raise HttpProblem(409, "the statement has not ended", hint="wait for it", headers={"Retry-After": "1"})
    if statement.state != "finished":
        document = {**(statement.error or {}), "title": "Conflict", "status": 409}
        return JSONResponse(document, 409, {QUERY_ID: statement.id}, MEDIA_TYPE)
    assert statement.columns is not None and statement.starts is not None and statement.stats is not None
    results, starts, stats = server.statements.results, statement.starts, statement.stats
    try:
        schema = await server.workers.run(results.schema, statement.id)
    except FileNotFoundError:
        raise HttpProblem(404, f"there is no statement {statement.id}", hint="it may have expired") from None
    about = About(statement.id, [each["type"] for each in statement.columns], lambda: stats)
    batches = results.read(statement.id, starts, offset, limit)
    stream = Stream(encode(schema, batches, form, make_coding(coding), about), server.workers, request.receive)
    headers = {QUERY_ID: statement.id}
    if limit is not None and offset + limit < starts[-1]:
        headers["Link"] = f'</v1/statements/{statement.id}/result?offset={offset + limit}&limit={limit}>; rel="next"'
    return await respond(stream, form, coding, lambda: headers)


async def _progress(request: Request, server: Server, statement: Statement) -> QueryInfo | None:
    """Of one that has not ended."""
    if statement.ended is None:
        with suppress(HttpProblem):  # its process has died, or does not answer
            return await look(request, server, statement.id)
    return None


def _info(statement: Statement, progress: QueryInfo | None) -> dict[str, Any]:
    return {
        "statement_id": statement.id,
        "state": statement.state,
        "sql": statement.request.sql,
        "created": statement.created,
        "started": statement.started,
        "ended": statement.ended,
        "expires": statement.expires,
        "rows": progress.rows if progress is not None else statement.rows,
        "bytes": statement.bytes,
        "sources": progress.sources if progress is not None else (statement.stats or {}).get("sources", []),
        "columns": statement.columns,
        "stats": statement.stats,
        "error": statement.error,
        "result": f"/v1/statements/{statement.id}/result" if statement.state == "finished" else None,
    }
