"""The ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Security
from fastapi.security import HTTPBasic, HTTPBearer
from fastapi_offline import FastAPIOffline

from federation.http import admin, catalog_list, health, problems, query, query_list, statements
from federation.http.auth import Authentication
from federation.http.config import BODY_BYTES, BODY_SECONDS
from federation.http.limits import WholeBody
from federation.http.metrics import CountRequests
from federation.http.models import Problem
from federation.http.server import Server

# The middleware asks who it is; these say so in the OpenAPI document.
SECURITY = [Security(HTTPBearer(auto_error=False)), Security(HTTPBasic(auto_error=False))]
FAILURES: dict[int | str, dict[str, Any]] = {
    "default": {"model": Problem, "description": "What failed, as RFC 9457 problem details."}
}


def create_app(server: Server) -> FastAPI:
    """The endpoints over one server, which is closed with the application."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        server.statements.start()
        watch = asyncio.create_task(server.metrics.watch_loop())
        yield
        watch.cancel()
        await server.close()

    app: FastAPI = FastAPIOffline(
        redoc_url=None,
        title="Federation",
        version=version("federation"),
        summary="One SQL query over many systems, where they are",
        lifespan=lifespan,
    )
    app.state.server = server
    problems.install(app)
    for each in (query, statements, query_list, catalog_list, admin):
        app.include_router(each.router, responses=FAILURES, dependencies=SECURITY)
    app.include_router(health.router)
    # The one that is added last sees a request first.
    app.add_middleware(WholeBody, most=BODY_BYTES, seconds=BODY_SECONDS)
    app.add_middleware(Authentication, authenticator=server.authenticator)
    app.add_middleware(CountRequests, metrics=server.metrics)
    return app
