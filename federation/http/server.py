"""What the endpoints share."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Protocol

from fastapi import Request

from adapters.errors import QueryCancelled
from catalog.policies import Caller, Rights
from federation.http.auth import Authenticator
from federation.http.config import ServerConfig
from federation.http.elsewhere import Elsewhere
from federation.http.engines import Engines
from federation.http.metrics import Metrics
from federation.http.place import Place
from federation.http.probes import Probes
from federation.http.queries import Queries
from federation.http.siblings import Siblings
from federation.http.state import State
from federation.http.statement_runs import StatementRuns
from federation.http.stream import Answers
from federation.http.tokens import Tokens
from federation.http.workers import Workers
from federation.pgwire.backends import Backends


class Face(Protocol):
    """What else answers queries beside HTTP."""

    def drain(self) -> None:
        """Take nothing new."""

    def close(self, until: float) -> None:
        """Wait for what runs up to that time (of time.monotonic), then end it."""


@dataclass
class Server:
    config: ServerConfig
    engines: Engines
    state: State
    place: Place = field(default_factory=Place)
    siblings: Siblings = field(default_factory=Siblings)
    workers: Workers = field(init=False)
    queries: Queries = field(init=False)
    answers: Answers = field(init=False)
    authenticator: Authenticator = field(init=False)
    metrics: Metrics = field(init=False)
    probes: Probes = field(init=False)
    statements: StatementRuns = field(init=False)
    backends: Backends = field(init=False)
    faces: list[Face] = field(default_factory=list)
    _drain_until: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self.workers = Workers(self.config.threads)
        self.metrics = Metrics(self.engines, self.place)
        self.probes = Probes(self.engines, self.workers)
        self.queries = Queries(self.config.max_queries, self.metrics.observe)
        self.answers = Answers(self.engines, self.workers, self.queries)
        self.statements = StatementRuns(self.config, self.engines, self.workers, self.queries, self.state, self.place)
        elsewhere = Elsewhere(self.siblings)
        self.engines.queries = lambda: [*self.queries.here(), *elsewhere.queries()]
        self.backends = Backends(self.engines, self.place, elsewhere)
        self.authenticator = Authenticator(
            self.engines, Tokens(self.state), self.workers, open_to_all=not self.config.reachable
        )

    def drain(self) -> None:
        """Take nothing new from now on."""
        if not self.queries.draining:
            self.queries.draining = True
            self._drain_until = time.monotonic() + self.config.drain
            for face in self.faces:
                face.drain()

    async def close(self) -> None:
        """End what still runs, down to the sources; statements may go on until the time to drain is over."""
        self.drain()
        faces = [asyncio.to_thread(face.close, self._drain_until) for face in self.faces]
        await asyncio.gather(self.statements.close(self._drain_until), *faces)
        await asyncio.gather(*(self.workers.control(run.end, _stopped()) for run in self.queries.running()))
        await asyncio.to_thread(self.engines.close)
        await asyncio.to_thread(self.workers.close)
        self.siblings.close()
        self.state.close()


def _stopped() -> QueryCancelled:
    return QueryCancelled("the server was shut down")


def caller_of(request: Request) -> Caller:
    """Who asks, as `auth` found out."""
    found: Caller = request.state.caller
    return found


def rights_of(request: Request) -> Rights:
    """What the catalog of now lets them do."""
    server: Server = request.app.state.server
    return Rights(server.engines.current.catalog, caller_of(request))


async def server_of(request: Request) -> Server:
    """The server that a request came to."""
    found: Server = request.app.state.server
    return found
