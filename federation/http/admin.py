"""`POST /v1/catalog/reload`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from federation.http.server import Server, server_of

router = APIRouter(tags=["catalog"])


class Reloaded(BaseModel):
    loaded_at: datetime


@router.post("/v1/catalog/reload", response_model=Reloaded)
async def reload(server: Annotated[Server, Depends(server_of)]) -> Reloaded:
    """Read the catalog file again. Queries that run go on as they were planned; with a fault in the file, so does
    everything, and the answer lists every fault."""
    await server.workers.control(server.engines.reload)
    return Reloaded(loaded_at=datetime.fromtimestamp(server.engines.loaded_at, UTC))
