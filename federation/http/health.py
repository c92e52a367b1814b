"""`/health/live`, `/health/ready` and `/metrics`."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from federation.http.metrics import together
from federation.http.server import Server, server_of
from federation.http.siblings import asks

router = APIRouter(tags=["health"])
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


class Live(BaseModel):
    status: Literal["live"]


class SourceHealth(BaseModel):
    ok: bool
    sqlstate: str | None = Field(description="what the source failed with")
    seconds: float


class Ready(BaseModel):
    status: Literal["ready", "degraded", "unreachable", "draining"]
    sources: dict[str, SourceHealth]


@router.get("/health/live", response_model=Live)
async def live() -> dict[str, str]:
    """The process answers."""
    return {"status": "live"}


@router.get("/health/ready", response_model=Ready, responses={503: {"model": Ready}})
async def ready(server: Annotated[Server, Depends(server_of)], response: Response) -> Ready:
    """Whether queries should come here: 503 when the server is ending, or when no source answers at all."""
    probes = await server.probes.get()
    failed = [name for name, probe in probes.items() if probe.sqlstate is not None]
    status: Literal["ready", "degraded", "unreachable", "draining"] = "degraded" if failed else "ready"
    if failed and len(failed) == len(probes):
        status = "unreachable"
    if server.queries.draining:
        status = "draining"
    response.status_code = 503 if status in ("unreachable", "draining") else 200
    sources = {
        name: SourceHealth(ok=probe.sqlstate is None, sqlstate=probe.sqlstate, seconds=probe.seconds)
        for name, probe in probes.items()
    }
    return Ready(status=status, sources=sources)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request, server: Annotated[Server, Depends(server_of)]) -> Response:
    """Figures of queries, sources, the cache and the process, for Prometheus; of several processes each has its own."""
    found = server.metrics
    found.open.set(server.queries.open)
    for source, probe in server.probes.last.items():
        found.up.labels(source).set(probe.sqlstate is None)
    asked = asyncio.ensure_future(server.siblings.ask(request, "/metrics"))
    text = await server.workers.control(found.text)
    if server.siblings.numbers and not asks(request.scope):
        others = {number: answer.body for number, answer in (await asked).given.items()}
        text = await server.workers.control(together, server.place, text, others)
    return Response(text, media_type=PROMETHEUS)
