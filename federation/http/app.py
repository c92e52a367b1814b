"""The ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from federation.http import problems, query
from federation.http.config import BODY_BYTES, BODY_SECONDS
from federation.http.limits import BodyDeadline
from federation.http.server import Server


def create_app(server: Server) -> FastAPI:
    """The endpoints over one server, which is closed with the application."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await server.close()

    app: FastAPI = FastAPIOffline(
        redoc_url=None,
        title="Federation",
        version=version("federation"),
        summary="One SQL query over many systems, where they are",
        lifespan=lifespan,
        max_body_size=BODY_BYTES,
    )
    app.state.server = server
    problems.install(app)
    app.include_router(query.router)
    app.add_middleware(BodyDeadline, seconds=BODY_SECONDS)
    return app
