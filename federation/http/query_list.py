"""`/v1/queries`: what runs, what ran, how far it is, and how to end it, in whichever process of the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from federation.http.models import QueryInfo, QueryList, State
from federation.http.problems import HttpProblem
from federation.http.queries import KEPT
from federation.http.run import ID, Run
from federation.http.server import Server, caller_of, rights_of, server_of

router = APIRouter(prefix="/v1/queries", tags=["queries"])
LOOK_EVERY = 0.25  # seconds
CANCEL_SECONDS = 30.0
Id = Annotated[str, Path(pattern=ID)]


async def look(request: Request, server: Server, query_id: str) -> QueryInfo:
    """How far a query is. Raises HttpProblem 404, 503."""
    run = _shown(request, server, query_id)
    if run is not None:
        return QueryInfo.model_validate(run.info())
    answer = (await server.siblings.ask(request, f"{router.prefix}/{query_id}")).found()
    if answer is None:
        raise _unknown(query_id)
    return QueryInfo.model_validate_json(answer.body)


def _shown(request: Request, server: Server, query_id: str) -> Run | None:
    """The query, if it is here; what others have asked is not there, unless to those who administer the system."""
    run = server.queries.get(query_id)
    return run if run is not None and _is_shown(run, request) else None


def _is_shown(run: Run, request: Request) -> bool:
    return rights_of(request).sees_queries_of(run.user)


async def cancel(request: Request, server: Server, query_id: str, reason: str) -> None:
    """Raises HttpProblem 404, 503."""
    run = _shown(request, server, query_id)
    if run is not None:
        await server.workers.control(run.cancel, reason)
        return
    path = f"{router.prefix}/{query_id}"
    answers = await server.siblings.ask(request, path, method="DELETE", seconds=CANCEL_SECONDS)
    if answers.found() is None:
        raise _unknown(query_id)


def _unknown(query_id: str) -> HttpProblem:
    return HttpProblem(404, f"there is no query {query_id}", hint=f"the last {KEPT} that have ended are kept")


@router.get("", response_model=QueryList)
async def list_queries(
    request: Request,
    server: Annotated[Server, Depends(server_of)],
    state: Annotated[State | None, Query(description="only those in this state")] = None,
) -> QueryList:
    """The queries that run and the last ones that have ended, the newest first. Where there are roles, these are the
    caller's own, and everybody's for those who administer the system."""
    return await every_query(request, server, state)


async def every_query(request: Request, server: Server, state: State | None = None) -> QueryList:
    """As `list_queries`."""
    path = f"{router.prefix}?state={state}" if state is not None else router.prefix
    answers = await server.siblings.ask(request, path)
    here = [run for run in server.queries.all() if state in (None, run.state) and _is_shown(run, request)]
    found = [QueryInfo.model_validate(run.info()) for run in here]
    for answer in answers.given.values():
        found += QueryList.model_validate_json(answer.body).queries
    if server.siblings.numbers:
        found.sort(key=lambda info: (info.ended is None, info.ended or info.created), reverse=True)
    return QueryList(queries=found, silent_workers=answers.silent)


@router.get("/{query_id}", response_model=QueryInfo)
async def get_query(request: Request, server: Annotated[Server, Depends(server_of)], query_id: Id) -> QueryInfo:
    """One query, with its progress at each source and how it ended."""
    return await look(request, server, query_id)


@router.delete("/{query_id}", status_code=204)
async def cancel_query(request: Request, server: Annotated[Server, Depends(server_of)], query_id: Id) -> None:
    """End a query, down to its sources. Its caller gets an error; one that has ended is left as it is."""
    await cancel(request, server, query_id, f"the query was cancelled by {caller_of(request).identity}")


async def first_look(request: Request, server: Annotated[Server, Depends(server_of)], query_id: Id) -> QueryInfo:
    """Before anything is sent."""
    return await look(request, server, query_id)


@router.get("/{query_id}/events", response_class=EventSourceResponse)
async def query_events(
    request: Request, server: Annotated[Server, Depends(server_of)], now: Annotated[QueryInfo, Depends(first_look)]
) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events: `progress` whenever there is some, `end` at the end. The data are as in the detail."""
    before = None
    while now.ended is None:
        if now != before:
            yield ServerSentEvent(event="progress", data=now)
        before = now
        await asyncio.sleep(LOOK_EVERY)
        now = await look(request, server, now.query_id)
    yield ServerSentEvent(event="end", data=now)
