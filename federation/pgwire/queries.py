"""Queries of a session: what answers them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from adapters.base import CancelToken
from federation.engine import Engine, Result
from federation.http.config import LONGEST_TIMEOUT
from federation.http.engines import Engines
from federation.http.queries import Queries as Registry
from federation.http.run import Run
from federation.pgwire.answers import Answer, Columns, EngineAnswer
from federation.pgwire.dialect.parameters import bind
from federation.pgwire.dialect.statements import Query
from federation.pgwire.parameter_values import decode_parameter
from federation.pgwire.session import Session
from federation.pgwire.types import pg_types_of


class Queries:
    """For any number of sessions and threads. The server's list of queries has them all."""

    def __init__(self, engines: Engines, registry: Registry) -> None:
        self._engines = engines
        self._registry = registry

    def open(self, session: Session, query: Query, values: Sequence[exp.Expr], cancel: CancelToken) -> Answer:
        """Start a query; it holds its engine until it is closed. Raises what is wrong with it."""
        tree = bind(query.tree, values) if query.parameters else query.tree
        # The session's own limit is for each part of the rows that is taken, see `Session.running`.
        timeout = LONGEST_TIMEOUT if session.statement_timeout else None

        def start(engine: Engine, cancel: CancelToken) -> Result:
            return engine.query(tree, timeout=timeout, cancel=cancel)

        run = Run(query.text, session.identity, start, cancel=cancel)
        self._registry.register(run)
        try:
            return EngineAnswer(run, run.start(self._engines), self._registry.unregister)
        except BaseException as exc:
            run.end(exc if isinstance(exc, Exception) else None)
            self._registry.unregister(run)
            raise

    def describe(self, query: Query, types: Sequence[int]) -> Columns:
        """The columns, without running anything, for parameters of these types."""
        tree = bind(query.tree, [decode_parameter(each, 0, None) for each in types]) if query.parameters else query.tree
        with self._engines.lease() as engine:
            schema, columns = engine.describe(tree)
        return Columns(schema, pg_types_of(schema, [type_ for _, type_ in columns]))

    def explain(self, query: Query, values: Sequence[exp.Expr], cancel: CancelToken, *, analyze: bool) -> str:
        tree = bind(query.tree, values) if query.parameters else query.tree
        with self._engines.lease() as engine:
            explanation = engine.explain(tree, analyze=analyze, cancel=cancel)
            return explanation.text()
