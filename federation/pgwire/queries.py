"""Queries of a session, and what answers them: the engine, or the overlay what tools ask of PostgreSQL's catalog."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from sqlglot import exp

from adapters.base import CancelToken, TableName
from catalog.policies import Caller, Rights
from federation.engine import Engine
from federation.http.config import LONGEST_TIMEOUT
from federation.http.engines import Engines
from federation.http.queries import Queries as Registry
from federation.http.run import Run
from federation.pgwire.answers import Answer, Columns, EngineAnswer, KeptAnswer, OverlayAnswer
from federation.pgwire.catalog_parameters import catalog_parameter_types
from federation.pgwire.dialect.context import Settings
from federation.pgwire.dialect.parameters import bind, parameter_types
from federation.pgwire.dialect.statements import Query
from federation.pgwire.dialect.translate import to_duckdb
from federation.pgwire.names import resolve, search_path
from federation.pgwire.notifications import Notifications
from federation.pgwire.overlay import Overlay, Overlays, SessionInfo, Sessions
from federation.pgwire.overlay.lists import bind_short
from federation.pgwire.session import Session
from federation.pgwire.settings import SERVER_VERSION
from federation.pgwire.types import TEXT, pg_types_of
from federation.planner.explain import Explanation
from federation.progress import Freshness
from federation.result import Result

MOST_KEPT = 1000
_CONSTANT = (exp.Select, exp.Literal, exp.Boolean, exp.Null, exp.Alias, exp.Identifier)


@dataclass(frozen=True, slots=True)
class Asked:
    """A query with the values of its parameters; `duckdb`: it is in DuckDB's words."""

    query: Query
    values: Sequence[exp.Expr] = ()
    duckdb: bool = False

    def tree(self) -> exp.Query:
        return bind(self.query.tree, self.values) if self.query.parameters else self.query.tree

    def short(self) -> exp.Query:
        """The same for the overlay, with one node in place of each long list of values."""
        return bind_short(self.query.short, self.values) if self.query.parameters else self.query.short


class Queries:
    """For any number of sessions and threads. The server's list of queries has what the engine answers."""

    def __init__(self, engines: Engines, registry: Registry, sessions: Sessions) -> None:
        self._engines = engines
        self._registry = registry
        self._sessions = sessions
        self.notifications = Notifications()
        engines.at_invalidation(self.notifications.announce)
        self._lock = threading.Lock()
        self._overlays: tuple[Engine, Overlays] | None = None
        self._kept: dict[tuple[str, bool], KeptAnswer] = {}

    def warm(self) -> None:
        """Make what the first query would else wait for."""
        with self._engines.lease() as engine:
            self._overlay_of(engine, None)

    def open(self, session: Session, asked: Asked, cancel: CancelToken) -> Answer:
        """Start a query; it holds its engine until it is closed. Raises what is wrong with it."""
        constant = self._constant(session, asked, cancel)
        if constant is not None:
            return constant
        with ExitStack() as held:
            overlay = self._overlay_of(held.enter_context(self._engines.lease()), session.caller)
            if not asked.duckdb and overlay.concerns(asked.query.short):
                answer = overlay.query(asked.short(), _session_info(session))
                return OverlayAnswer(answer, cancel, held.pop_all().close)
        return self._run(session, asked, cancel)

    def _run(self, session: Session, asked: Asked, cancel: CancelToken) -> EngineAnswer:
        # The session's own limit is for each part of the rows that is taken, see `Session.running`.
        timeout = LONGEST_TIMEOUT if session.statement_timeout else None
        demand = session.demand.options()

        origins: list[tuple[int, int]] = []

        def start(engine: Engine, cancel: CancelToken) -> Result:
            snapshots = session.reading(engine)
            tree, origins[:] = self._in_duckdb(engine, session, asked)
            caller = session.caller
            return engine.query(tree, None, timeout, options=demand, cancel=cancel, snapshots=snapshots, caller=caller)

        def tell(found: Iterable[Freshness]) -> None:
            session.tell_age(found)
            session.tell_outside()

        run = Run(asked.query.text, session.caller.identity, start, cancel=cancel)
        self._registry.register(run)
        try:
            return EngineAnswer(run, run.start(self._engines), origins, self._registry.unregister, tell)
        except BaseException as exc:
            run.end(exc if isinstance(exc, Exception) else None)
            self._registry.unregister(run)
            raise

    def _constant(self, session: Session, asked: Asked, cancel: CancelToken) -> KeptAnswer | None:
        """Of `SELECT 1`, by which clients ask whether the connection is alive; None for any other query."""
        key = (asked.query.text, asked.duckdb)
        kept = self._kept.get(key)
        if kept is None and not asked.query.parameters and _is_constant(asked.query.tree):
            answer = self._run(session, asked, cancel)
            try:
                kept = KeptAnswer(answer.columns, list(answer.batches()))
            finally:
                answer.close()
            if len(self._kept) < MOST_KEPT:
                self._kept[key] = kept
        return kept

    def describe(self, session: Session, asked: Asked) -> Columns:
        """The columns, without running anything."""
        with self._engines.lease() as engine:
            overlay = self._overlay_of(engine, session.caller)
            if not asked.duckdb and overlay.concerns(asked.query.short):
                return Columns(*overlay.describe(asked.short(), _session_info(session)))
            tree, origins = self._in_duckdb(engine, session, asked)
            schema, columns = engine.describe(tree, caller=session.caller)
        return Columns(schema, pg_types_of(schema, [type_ for _, type_ in columns]), origins)

    def parameter_types(self, session: Session, asked: Asked, known: Sequence[int]) -> Sequence[int]:
        """The OIDs of the parameters; `known` are those that the client gave, 0 for none."""
        query = asked.query
        if not query.parameters:
            return known
        if asked.duckdb:
            return [oid or TEXT for oid in [*known, *[0] * (query.parameters[-1] - len(known))]]
        with self._engines.lease() as engine:
            if self._overlay_of(engine, session.caller).concerns(query.short):
                return catalog_parameter_types(query.short, known)
            tree = resolve(query.tree, engine.catalog, session.database, _path(session))
            return parameter_types(tree, known, partial(engine.columns, caller=session.caller), _settings(session))

    def explain(
        self, session: Session, asked: Asked, cancel: CancelToken, *, analyze: bool, estimate: bool
    ) -> Explanation:
        with self._engines.lease() as engine:
            (tree, _), snapshots = self._in_duckdb(engine, session, asked), session.reading(engine)
            options, caller = session.demand.options(), session.caller
            return engine.explain(
                tree,
                analyze=analyze,
                estimate=estimate,
                options=options,
                cancel=cancel,
                snapshots=snapshots,
                caller=caller,
            )

    def invalidate(self, session: Session, name: str) -> None:
        """As Engine.invalidate."""
        with self._engines.lease() as engine:
            engine.invalidate(name, session.caller)

    def _in_duckdb(self, engine: Engine, session: Session, asked: Asked) -> tuple[exp.Query, Sequence[tuple[int, int]]]:
        """The query in DuckDB's words, and the origins of its columns, as far as PostgreSQL's dialect knows them."""
        if asked.duckdb:
            return asked.tree(), ()
        tree = resolve(asked.tree(), engine.catalog, session.database, _path(session))
        made = to_duckdb(tree, partial(engine.columns, caller=session.caller), _settings(session))
        tables = {id(each[0]): each[0] for each in made.origins if each}
        numbers = {key: self._overlay_of(engine, session.caller).number(table) for key, table in tables.items()}
        return made.query, [(numbers[id(each[0])], each[1]) if each else (0, 0) for each in made.origins]

    def listen(self, session: Session, channel: str) -> None:
        """Have the session told of what it may read."""
        self.notifications.add(session.mailbox, partial(self._is_shown, session.caller))
        session.mailbox.listen(channel)

    def _is_shown(self, caller: Caller, name: str) -> bool:
        """A source, or a table by its full name."""
        catalog = self._engines.current.catalog
        rights = Rights(catalog, caller)
        source, _, table = name.partition(".")
        if not table or not rights.restricted:
            return rights.sees_source(source)
        return source in catalog.sources and rights.reads_table(catalog.source(source), TableName(*table.split(".", 1)))

    def _overlay_of(self, engine: Engine, caller: Caller | None) -> Overlay:
        with self._lock:
            if self._overlays is None or self._overlays[0] is not engine:
                made = Overlays(engine, self._sessions)
                engine.at_close(made.close)
                self._overlays = (engine, made)
            return self._overlays[1].of(caller)


def _is_constant(tree: exp.Query) -> bool:
    return isinstance(tree, exp.Select) and all(isinstance(node, _CONSTANT) for node in tree.walk())


def _path(session: Session) -> tuple[str, ...]:
    return search_path(session.settings["search_path"])


def _settings(session: Session) -> Settings:
    return Settings(session.user, session.database, _path(session) or ("public",), session.settings["timezone"])


def _session_info(session: Session) -> SessionInfo:
    settings = session.settings.values()
    return SessionInfo(
        session.user, session.database, _path(session), settings, session.pid, session.key, SERVER_VERSION
    )
