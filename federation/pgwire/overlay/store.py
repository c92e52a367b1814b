"""The private DuckDB that holds PostgreSQL's catalog: its tables, its views, and macros for its functions.

Tables are there from the start. A view is made of PostgreSQL's own definition when a query first reads it.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from adapters.duck import Cursor, Duck
from federation.pgwire.dialect.read import statements
from federation.pgwire.dialect.statements import Query
from federation.pgwire.overlay.expressions import Expressions
from federation.pgwire.overlay.rewrite import Rewriter
from federation.pgwire.overlay.session import SessionInfo
from federation.pgwire.overlay.sessions import Sessions, add_functions
from federation.pgwire.overlay.structure import SCHEMAS, SystemRelation, structure
from federation.pgwire.overlay.visibility import Visibility

_HERE = Path(__file__).parent
_CREATE = re.compile(r"^CREATE MACRO pg\.(\w+)", re.MULTILINE)
_STATEMENT = re.compile(r"^CREATE .*?;$", re.MULTILINE | re.DOTALL)
MACROS = frozenset(_CREATE.findall((_HERE / "macros.sql").read_text()))

#: `views.sql` shows these with what the session adds; their rows are in stored_….
_ADDED_TO = ("pg_authid", "pg_database", "pg_settings", "pg_stat_activity")
#: Views over the state of a PostgreSQL server, and over what is never there. They are empty.
_STATE = re.compile(
    r"^pg_(stat_(activity|archiver|bgwriter|database|gssapi|progress|recovery|replication|slru|ssl|subscription|wal"
    r"|xact|user_functions)|statio|backend_memory|cursors|file_settings|hba_file|ident_file|locks|prepared"
    r"|publication_tables|replication|shmem|timezone|stats)|^triggers$"
)
#: DuckDB joins by equalities of columns; PostgreSQL's definition would be a product here.
_QUICKER = {
    "constraint_column_usage": {
        "pg_constraint c ": "(SELECT *, CASE contype WHEN 'f' THEN confrelid ELSE conrelid END AS used,"
        " unnest(CASE contype WHEN 'f' THEN confkey ELSE conkey END) AS number FROM pg_constraint) c ",
        "CASE c.contype WHEN 'f'::\"char\" THEN c.confrelid ELSE c.conrelid END": "c.used",
        "ANY ( CASE c.contype WHEN 'f'::\"char\" THEN c.confkey ELSE c.conkey END)": "c.number",
    }
}


class Store:
    """Thread-safe. `load` replaces the rows of all dynamic tables at once."""

    def __init__(self, sessions: Sessions) -> None:
        self.duck = Duck(memory_limit="1GB", threads=1, spill=False)
        add_functions(self.duck, sessions)
        self._lock = threading.Lock()
        self._views: set[str] = set()
        known = structure()
        loaded: dict[str, pa.Table] = {}
        statements_ = [f"CREATE SCHEMA {name}" for name in SCHEMAS.values()]
        for relation in known.relations.values():
            rows = known.rows(relation)
            if relation.is_view and rows is None and not _is_state(relation):
                continue
            self._views.add(relation.place)
            place = f'pg."stored_{relation.name}"' if relation.name in _ADDED_TO else relation.place
            statements_.append(relation.ddl().replace(relation.place, place))
            if rows is not None:
                name = f"rows_{len(loaded)}"
                loaded[name] = rows
                statements_.append(f"INSERT INTO {place} SELECT * FROM {name}")
        for name, table in known.files.items():
            if "." not in name:
                loaded[f"texts_{name}"] = table
                statements_.append(f"CREATE TABLE pg.{name} AS SELECT * FROM texts_{name}")
        statements_.append(
            f"SET VARIABLE session = {SessionInfo().as_value(Visibility((), True, ()), 0, False)}"
        )  # they are typed when made
        for file in ("views.sql", "macros.sql"):
            statements_ += _STATEMENT.findall((_HERE / file).read_text())
        self.duck.change(statements_, loaded)

    def load(self, tables: Mapping[str, pa.Table]) -> None:
        """Put these rows beside PostgreSQL's own."""
        registered, changes = {}, []
        for name, rows in tables.items():
            own = structure().files.get(f"pg_catalog.{name}", structure().files.get(name))
            registered[f"rows_{name}"] = rows if own is None else pa.concat_tables([own.cast(rows.schema), rows])
            place = f"pg.stored_{name}" if name in _ADDED_TO else f"pg.{name}"
            changes += [f"DELETE FROM {place}", f"INSERT INTO {place} SELECT * FROM rows_{name}"]
        self.duck.change(changes, registered)

    def prepare(self, relation: SystemRelation) -> None:
        """Make the view of a relation, unless it is there."""
        if relation.place in self._views:
            return
        text = " ".join(structure().view_texts[relation.oid].split())
        for slow, quick in _QUICKER.get(relation.name, {}).items():
            text = text.replace(slow, quick)
        (parsed,) = statements(text)
        assert isinstance(parsed, Query)
        used: list[SystemRelation] = []
        tree, _ = Rewriter(Expressions(MACROS, _no_lookup), used.append).rewrite(parsed.tree)
        for each in used:
            self.prepare(each)
        names = ", ".join(f'"{name}"' for name in relation.columns)
        sql = tree.sql("duckdb")
        with self._lock:
            if relation.place not in self._views:
                self.duck.change([f"CREATE VIEW {relation.place} ({names}) AS {sql}"])
                self._views.add(relation.place)

    def cursor(self, session: str) -> Cursor:
        """`session` is the struct that macros read."""
        cursor = self.duck.cursor()
        self.duck.set_variable(cursor, "session", session)
        return cursor

    def close(self) -> None:
        self.duck.close()


def _is_state(relation: SystemRelation) -> bool:
    return _STATE.match(relation.name) is not None


def _no_lookup(kind: str, name: str) -> int:
    raise AssertionError(f"a system view names {kind} {name}")
