"""The ASGI application."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from federation.http import admin, catalog_list, health, internal, problems, query, query_list, statements
from federation.http.auth import Authentication
from federation.http.config import BODY_BYTES, BODY_SECONDS
from federation.http.limits import WholeBody
from federation.http.metrics import CountRequests
from federation.http.openapi import FAILURES, document
from federation.http.server import Server


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
    app.router.routes.insert(0, query.ROUTE)  # before the one that it stands for, and all that would be compared first
    for each in (query, statements, query_list, catalog_list, admin, health, internal):
        app.include_router(each.router, responses=FAILURES)
    app.openapi = functools.partial(document, app)  # type: ignore[method-assign]
    # The one that is added last sees a request first.
    app.add_middleware(WholeBody, most=BODY_BYTES, seconds=BODY_SECONDS)
    app.add_middleware(Authentication, authenticator=server.authenticator)
    app.add_middleware(CountRequests, metrics=server.metrics)
    return app
