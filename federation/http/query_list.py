"""`/v1/queries`: what runs, what ran, how far it is, and how to end it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from federation.http.models import QueryInfo, QueryList, State
from federation.http.run import ID, Run
from federation.http.server import Server, server_of, user_of

router = APIRouter(tags=["queries"])
LOOK_EVERY = 0.25  # seconds


async def run_of(server: Annotated[Server, Depends(server_of)], query_id: Annotated[str, Path(pattern=ID)]) -> Run:
    """Raises HttpProblem 404."""
    return server.queries.get(query_id)


@router.get("/v1/queries", response_model=QueryList)
async def list_queries(
    server: Annotated[Server, Depends(server_of)],
    state: Annotated[State | None, Query(description="only those in this state")] = None,
) -> dict[str, Any]:
    """The queries that run and the last ones that have ended, the newest first."""
    return {"queries": [run.info() for run in server.queries.all() if state in (None, run.state)]}


@router.get("/v1/queries/{query_id}", response_model=QueryInfo)
async def get_query(run: Annotated[Run, Depends(run_of)]) -> dict[str, Any]:
    """One query, with its progress at each source and how it ended."""
    return run.info()


@router.delete("/v1/queries/{query_id}", status_code=204)
async def cancel_query(
    request: Request, server: Annotated[Server, Depends(server_of)], run: Annotated[Run, Depends(run_of)]
) -> None:
    """End a query, down to its sources. Its caller gets an error; one that has ended is left as it is."""
    await server.workers.control(run.cancel, f"the query was cancelled by {user_of(request)}")


@router.get("/v1/queries/{query_id}/events", response_class=EventSourceResponse)
async def query_events(run: Annotated[Run, Depends(run_of)]) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events: `progress` whenever there is some, `end` at the end. The data are as in the detail."""
    before = None
    while run.ended is None:
        if (now := run.info()) != before:
            before = now
            yield ServerSentEvent(event="progress", data=QueryInfo.model_validate(now))
        await asyncio.sleep(LOOK_EVERY)
    yield ServerSentEvent(event="end", data=QueryInfo.model_validate(run.info()))
