"""`POST /v1/catalog/reload` and `POST /v1/cache/invalidate`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from catalog.policies import Caller
from federation.http.limits import json_body
from federation.http.models import Model, Text
from federation.http.problems import HttpProblem
from federation.http.server import Server, caller_of, rights_of, server_of
from federation.http.siblings import named

RELOAD_SECONDS = 60.0
router = APIRouter(tags=["catalog"])


class Reloaded(BaseModel):
    loaded_at: datetime


class Invalidation(Model):
    name: Text = Field(min_length=1, max_length=1000, description="a source, a table, a view, or `tag:` and a tag")


class Invalidated(BaseModel):
    fragments: int = Field(description="how many the cache had")


@router.post("/v1/catalog/reload", response_model=Reloaded)
async def reload(request: Request, server: Annotated[Server, Depends(server_of)]) -> Reloaded:
    """Read the catalog file again. Queries that run go on as they were planned; with a fault in the file, so does
    everything, and the answer lists every fault. Where there are roles, one must grant `system.*`."""
    rights_of(request).check_administration()
    await server.workers.control(server.engines.reload)
    answers = await server.siblings.ask(request, "/v1/catalog/reload", method="POST", seconds=RELOAD_SECONDS)
    if answers.silent:
        left = named(answers.silent)
        raise HttpProblem(503, f"the catalog was read again, but not by the server's workers {left}", hint="ask again")
    return Reloaded(loaded_at=datetime.fromtimestamp(server.engines.loaded_at, UTC))


@router.post("/v1/cache/invalidate", response_model=Invalidated, dependencies=[Depends(json_body)])
async def invalidate(
    request: Request, body: Invalidation, server: Annotated[Server, Depends(server_of)]
) -> Invalidated:
    """What the cache has of it is not given any more, by any server that shares its folder."""
    return Invalidated(fragments=await server.workers.run(_invalidate, server, body.name, caller_of(request)))


def _invalidate(server: Server, name: str, caller: Caller) -> int:
    with server.engines.lease() as engine:
        return engine.invalidate(name, caller)
