"""What siblings alone ask of a process, in no document."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from federation.http.server import Server, server_of
from federation.http.siblings import siblings_alone
from federation.invalidation import Target

router = APIRouter(prefix="/internal", include_in_schema=False, dependencies=[Depends(siblings_alone)])
CANCEL, INVALIDATED = f"{router.prefix}/cancel", f"{router.prefix}/invalidated"


class SessionKey(BaseModel):
    """Of a session of PostgreSQL's protocol; the secret in hexadecimal digits."""

    pid: int
    secret: str


def session_key(pid: int, secret: bytes) -> bytes:
    """The body of that request."""
    return SessionKey(pid=pid, secret=secret.hex()).model_dump_json().encode()


class Invalidated(BaseModel):
    sources: set[str]
    tables: set[str]


def invalidation(target: Target) -> bytes:
    """The body of that request."""
    return Invalidated(sources=target.sources, tables=target.tables).model_dump_json().encode()


@router.post("/cancel", status_code=204)
async def cancel(key: SessionKey, server: Annotated[Server, Depends(server_of)]) -> None:
    """End what the session does."""
    await server.workers.control(server.cancel_session, key.pid, bytes.fromhex(key.secret))


@router.post("/invalidated", status_code=204)
async def invalidated(what: Invalidated, server: Annotated[Server, Depends(server_of)]) -> None:
    """Tell who wants to know."""
    server.engines.announce(Target(what.sources, what.tables))
