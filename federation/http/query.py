"""`POST /v1/query` and `POST /v1/explain`."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request
from fastapi.exceptions import RequestValidationError
from pydantic import WithJsonSchema
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from adapters.base import CancelToken
from catalog.policies import Caller
from federation.fetch import start_deadline
from federation.http.compression import CODINGS
from federation.http.disconnect import watch
from federation.http.formats import FORMATS, negotiate
from federation.http.limits import json_body, whole_body
from federation.http.models import Explained, ExplainRequest, QueryRequest, QueryResult
from federation.http.negotiation import preferred, preferred_coding
from federation.http.problems import FRESHNESS, QUERY_ID, HttpProblem
from federation.http.requested import parameters, requested
from federation.http.run import ID
from federation.http.server import Server, caller_of, server_of

router = APIRouter(tags=["queries"])

# The answers of the document say what they may hold.
Accept = Annotated[str | None, Header(include_in_schema=False)]
QueryId = Annotated[
    str | None,
    Header(alias=QUERY_ID, pattern=ID, description="an id of the caller's choice, by which the query can be cancelled"),
    WithJsonSchema({"type": "string", "pattern": ID}),
]
STALENESS = "Federation-Max-Staleness"
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_TEXT = {"schema": {"type": "string"}}
RESULT: dict[int | str, dict[str, Any]] = {
    200: {
        "model": QueryResult,
        "description": "The rows, streamed in the format that Accept asks for.",
        "content": {
            name: _TEXT if name in ("text/csv", "application/x-ndjson") else _BINARY
            for name in FORMATS
            if name != "application/json"
        },
        "headers": {
            QUERY_ID: {"schema": {"type": "string"}, "description": "under which /v1/queries lists it"},
            FRESHNESS: {
                "schema": {"type": "string"},
                "description": "how old the rows of each source are, as far as it is known",
            },
        },
    }
}


@router.post("/v1/query", responses=RESULT, response_class=Response, dependencies=[Depends(json_body)])
async def query(
    request: Request,
    body: QueryRequest,
    server: Annotated[Server, Depends(server_of)],
    query_id: QueryId = None,
) -> Response:
    """Run a query and stream its rows.

    A failure before the first byte is a problem document. After it the connection is broken: an answer that ends as
    HTTP says it should is whole.
    """
    form = negotiate(request.headers.get("accept"))  # as parameters they would take longer than all that is done here
    coding = preferred_coding(request.headers.get("accept-encoding"), CODINGS if form.compressible else ())
    run = requested(body, caller_of(request), query_id, _staleness(request.headers.get(STALENESS)))
    return await server.answers.answer(request, run, form, coding)


async def asked(request: Request) -> Response:
    """What answers `/v1/query`. FastAPI describes `query`, but its own way there takes as long as a small query."""
    request.scope["route"] = ROUTE  # as FastAPI's own routes do
    await json_body(request)
    body = await whole_body(request, QueryRequest)
    query_id = request.headers.get(QUERY_ID)
    if query_id is not None and not re.fullmatch(ID, query_id):
        fault = {"type": "string_pattern_mismatch", "loc": ("header", QUERY_ID), "msg": f"it does not match {ID}"}
        raise RequestValidationError([fault])
    return await query(request, body, await server_of(request), query_id)


ROUTE = Route("/v1/query", asked, methods=["POST"], include_in_schema=False)


@router.post(
    "/v1/explain",
    response_model=Explained,
    dependencies=[Depends(json_body)],
    responses={200: {"content": {"text/plain": _TEXT}, "description": "What would run where, and why."}},
)
async def explain(
    request: Request,
    body: ExplainRequest,
    server: Annotated[Server, Depends(server_of)],
    accept: Accept = None,
) -> Response:
    """The plan of a query, as JSON or as text; with `analyze` the query runs, and its figures are added."""
    wanted = preferred(accept, ("application/json", "text/plain"))
    if wanted is None:
        raise HttpProblem(406, "a plan is application/json or text/plain")
    cancel = CancelToken()
    stop_watching = watch(request.receive, lambda: server.workers.soon(cancel.cancel))
    try:
        plan, text = await server.workers.run(_explained, server, body, cancel, caller_of(request))
    finally:
        stop_watching()
    return PlainTextResponse(text) if wanted == "text/plain" else JSONResponse({"plan": plan, "text": text})


def _staleness(text: str | None) -> float | None:
    """Raises HttpProblem 422 for what is no number of seconds."""
    if text is not None and not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?", text):
        raise HttpProblem(422, f"{STALENESS} is no number of seconds")
    return float(text) if text is not None else None


def _explained(server: Server, body: ExplainRequest, cancel: CancelToken, caller: Caller) -> tuple[dict[str, Any], str]:
    stop_clock = start_deadline(cancel, body.timeout) if body.timeout is not None else lambda: None
    try:
        with server.engines.lease() as engine:
            explanation = engine.explain(
                body.sql,
                parameters(body.params),
                analyze=body.analyze,
                options=body.options.model_dump(),
                cancel=cancel,
                caller=caller,
            )
            return explanation.to_json(), explanation.text()
    finally:
        stop_clock()
