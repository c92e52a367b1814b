"""PostgreSQL's catalog over the catalog of an engine: see `federation.pgwire.overlay`."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pyarrow as pa
from sqlglot import exp

from adapters.duck import Cursor
from adapters.errors import FunctionNotFound, ProgrammingError, SchemaNotFound, TableNotFound
from catalog.model import View
from federation.engine import Engine
from federation.pgwire.overlay.answer import Answer, Prepared, Shape
from federation.pgwire.overlay.expressions import Expressions
from federation.pgwire.overlay.rewrite import Rewriter, names_system_schema, system_relation
from federation.pgwire.overlay.rows import OWNER_NAME, CatalogRows, Oids
from federation.pgwire.overlay.session import SessionInfo
from federation.pgwire.overlay.sessions import NoSessions, Sessions
from federation.pgwire.overlay.snapshot import Snapshot, Snapshots, schema_name
from federation.pgwire.overlay.store import MACROS, Store
from federation.pgwire.overlay.structure import structure
from federation.pgwire.overlay.visibility import Visibility, visibility
from federation.pgwire.types import PgType, pg_type

MOST_PATHS = 100
# Those that say that a query is about the catalog; the others are functions of any text, array or time, too.
_FUNCTIONS = (MACROS | {"pg_get_keywords"}) - {
    *("age", "array_lower", "array_upper", "quote_ident", "quote_literal", "quote_nullable"),
}
_SESSION = (exp.CurrentUser, exp.SessionUser, exp.CurrentCatalog, exp.CurrentSchema, exp.ObjectIdentifier)


class Overlay:
    """One for all who may see the same of an engine's catalog. Every method may be called from several threads.

    Overlays of one engine share what was read of the sources, and the numbers of objects; `granted` takes from a
    snapshot what is not to be seen."""

    def __init__(
        self,
        engine: Engine,
        snapshots: Snapshots | None = None,
        oids: Oids | None = None,
        granted: Callable[[Snapshot], Snapshot] = lambda snapshot: snapshot,
        sessions: Sessions = NoSessions(),  # noqa: B008 -- has no state
    ) -> None:
        self._engine = engine
        self._snapshots = snapshots or Snapshots(engine)
        self._oids = oids or Oids()
        self._granted = granted
        self._seen: Snapshot | None = None
        self._lock = threading.Lock()
        self._store = Store(sessions)
        self._loaded = 0
        self._shown: dict[tuple[int, tuple[str, ...]], Visibility] = {}
        self._types: dict[pa.DataType, PgType] = {}

    def concerns(self, tree: exp.Expr) -> bool:
        """Whether a query is about PostgreSQL's catalog or its session alone, and no table of the federation."""
        ctes = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
        tables = [
            table
            for table in tree.find_all(exp.Table)
            if isinstance(table.this, exp.Identifier) and (table.args.get("db") or table.name.lower() not in ctes)
        ]
        if tables:
            return all(names_system_schema(table) or system_relation(table) is not None for table in tables)
        if any(isinstance(node, _SESSION) for node in tree.walk()):
            return True
        return any(call.name.lower() in _FUNCTIONS for call in tree.find_all(exp.Anonymous))

    def query(self, tree: exp.Query, who: SessionInfo) -> Answer:
        """Start a query that `concerns` the overlay; `tree` is left as it is."""
        prepared = self._prepared(tree, who)
        return Answer(self._store, prepared)

    def describe(self, tree: exp.Query, who: SessionInfo) -> tuple[pa.Schema, list[PgType]]:
        """The columns that `query` gives, without running it."""
        prepared = self._prepared(tree, who)
        try:
            found = self._store.duck.describe(prepared.sql, prepared.cursor)
        finally:
            prepared.cursor.close()
        shape = Shape(self._store, [name for name, _ in found], [type_ for _, type_ in found], prepared.columns)
        return shape.schema, shape.types

    def number(self, table: exp.Table) -> int:
        """The oid of the table or view of the catalog that a reference means. Raises the catalog's errors."""
        catalog = self._engine.catalog
        parts = [part for part in table.parts if isinstance(part, exp.Identifier)]
        found = catalog.resolve([part.name for part in parts], [bool(part.quoted) for part in parts])
        if isinstance(found, View):
            return self._oids.of("relation", found.schema, found.name)
        name = found.table.name
        return self._oids.of("relation", schema_name(catalog, found.source.name, name.schema), name.name)

    def close(self) -> None:
        self._store.close()

    def _prepared(self, tree: exp.Query, who: SessionInfo) -> Prepared:
        snapshot = self._current()
        self._load(snapshot)
        guest = who.user != OWNER_NAME and who.user not in self._engine.catalog.access.users
        session = who.as_value(self._visibility(snapshot, who.search_path), snapshot.generation, guest)
        cursor = self._store.cursor(session)
        try:
            expressions = Expressions(MACROS, lambda kind, name: self._number(cursor, kind, name))
            rewritten, columns = Rewriter(expressions, self._store.prepare, snapshot.generation).rewrite(tree.copy())
            return Prepared(rewritten.sql("duckdb"), columns, cursor, session)
        except BaseException:
            cursor.close()
            raise

    def _current(self) -> Snapshot:
        latest, seen = self._snapshots.current(), self._seen
        if seen is None or seen.generation != latest.generation:
            self._seen = seen = self._granted(latest)
        return seen

    def _load(self, snapshot: Snapshot) -> None:
        with self._lock:
            if self._loaded >= snapshot.generation:
                return
            self._learn_types(snapshot)
            users = list(self._engine.catalog.access.users)
            self._store.load(CatalogRows(snapshot, self._oids, self._types, users).tables())
            self._loaded = snapshot.generation

    def _learn_types(self, snapshot: Snapshot) -> None:
        """What PostgreSQL's types are those of the columns, by what DuckDB makes of them."""
        new = {each.type for relation in snapshot.relations for each in relation.attributes} - self._types.keys()
        if not new:
            return
        types = list(new)
        for type_, name in zip(types, self._store.duck.types(types), strict=True):
            self._types[type_] = pg_type(pa.field("", type_), name)

    def _visibility(self, snapshot: Snapshot, path: tuple[str, ...]) -> Visibility:
        key = (snapshot.generation, path)
        if key not in self._shown:
            known = structure()
            schemas = known.schemas | {schema: self._oids.of("schema", schema) for schema in snapshot.schemas}
            relations: dict[str, dict[str, int]] = {}
            for (schema, name), relation in known.relations.items():
                relations.setdefault(schema, {})[name] = relation.oid
            for each in snapshot.relations:
                relations.setdefault(each.schema, {})[each.name] = self._oids.of("relation", each.schema, each.name)
            if len(self._shown) > MOST_PATHS:
                self._shown.clear()
            self._shown[key] = visibility(path or self._default_path(), bool(path), schemas, relations)
        return self._shown[key]

    def _default_path(self) -> tuple[str, ...]:
        """Where a bare name is looked for without a search path: in the views and every source's default schema."""
        catalog = self._engine.catalog
        if catalog.settings.search_path:
            return tuple(".".join(entry) for entry in catalog.settings.search_path)
        return tuple(dict.fromkeys([*(schema for schema, _ in catalog.views), *catalog.sources]))

    def _number(self, cursor: Cursor, kind: str, name: str) -> int:
        """The number of what a literal names: `'orders'::regclass`."""
        macro = exp.Anonymous(this=f"pg.to_{kind}", expressions=[exp.Literal.string(name)])
        rows = self._store.duck.run(cursor, f"SELECT {macro.sql('duckdb')}", {}).read_all()
        number = rows.column(0)[0].as_py()
        if number is None:
            raise _missing(kind, name)
        return int(number)


def _missing(kind: str, name: str) -> ProgrammingError:
    if kind == "regclass":
        return TableNotFound(f'relation "{name}" does not exist')
    if kind == "regnamespace":
        return SchemaNotFound(f'schema "{name}" does not exist')
    if kind == "regproc":
        return FunctionNotFound(f'function "{name}" does not exist')
    return ProgrammingError(f'{"role" if kind == "regrole" else "type"} "{name}" does not exist')
