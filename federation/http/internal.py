"""What siblings alone ask of a process, in no document."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel

from federation.http.elsewhere import BACKENDS, CANCEL, END, PREFIX, QUERIES, SessionKey, ToEnd
from federation.http.models import QueryInfo
from federation.http.server import Server, caller_of, server_of
from federation.http.siblings import siblings_alone
from federation.invalidation import Target
from federation.pgwire.backends import Backend, Outcome

router = APIRouter(prefix=PREFIX, include_in_schema=False, dependencies=[Depends(siblings_alone)])
INVALIDATED = f"{PREFIX}/invalidated"


class Invalidated(BaseModel):
    sources: set[str]
    tables: set[str]


def invalidation(target: Target) -> bytes:
    """The body of that request."""
    return Invalidated(sources=target.sources, tables=target.tables).model_dump_json().encode()


@router.post(CANCEL, status_code=204)
async def cancel(key: SessionKey, server: Annotated[Server, Depends(server_of)]) -> None:
    """End what the session does."""
    await server.workers.control(server.backends.cancel_here, key.pid, bytes.fromhex(key.secret))


@router.post(BACKENDS)
async def backends(server: Annotated[Server, Depends(server_of)]) -> list[Backend]:
    """All sessions; what of them may be seen, the sibling knows."""
    return server.backends.here()


@router.post(QUERIES)
async def queries(server: Annotated[Server, Depends(server_of)]) -> list[QueryInfo]:
    """All queries; what of them may be seen, the sibling knows."""
    return server.queries.here()


@router.post(END)
async def end(request: Request, what: ToEnd, server: Annotated[Server, Depends(server_of)]) -> Outcome:
    """End the session, or what it does, if the caller may."""
    return await server.workers.control(server.backends.end_here, caller_of(request), what.pid, what.how)


@router.post("/invalidated", status_code=204)
async def invalidated(what: Invalidated, server: Annotated[Server, Depends(server_of)]) -> None:
    """Tell who wants to know."""
    server.engines.announce(Target(what.sources, what.tables))
