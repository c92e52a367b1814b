"""What the endpoints share."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from fastapi import Request

from adapters.errors import QueryCancelled
from federation.http.config import ServerConfig
from federation.http.engines import Engines
from federation.http.queries import Queries
from federation.http.stream import Streams
from federation.http.workers import Workers


@dataclass
class Server:
    config: ServerConfig
    engines: Engines
    workers: Workers = field(init=False)
    queries: Queries = field(init=False)
    streams: Streams = field(init=False)

    def __post_init__(self) -> None:
        self.workers = Workers(self.config.threads)
        self.queries = Queries(self.config.max_queries, lambda _: None)
        self.streams = Streams(self.engines, self.workers, self.queries)

    async def close(self) -> None:
        """End what still runs, down to the sources. Idempotent."""
        self.queries.draining = True
        await asyncio.gather(*(self.workers.control(run.end, _stopped()) for run in self.queries.running()))
        await asyncio.to_thread(self.engines.close)
        await asyncio.to_thread(self.workers.close)


def _stopped() -> QueryCancelled:
    return QueryCancelled("the server was shut down")


def server_of(request: Request) -> Server:
    """The server that a request came to."""
    found: Server = request.app.state.server
    return found
