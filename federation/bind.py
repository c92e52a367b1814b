"""Names become tables: every table reference of a query is resolved, and views are put in as subqueries.

After `bind`, a base table is an `exp.Table` whose name is an identifier of `Bound.tables` and whose alias is what the
statement calls it. DuckDB knows an empty table of the same name and types, so that it can type the query. Where the
caller's roles filter or mask a table, it is a subquery that does so: nothing later knows of other rows and values.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

from sqlglot import exp

from adapters.base import TableName
from adapters.errors import (
    Error,
    InsufficientPrivilege,
    NotSupportedError,
    ProgrammingError,
    SourceChanged,
    StatementTooComplex,
    TableNotFound,
)
from catalog.catalog import Catalog
from catalog.model import CatalogTable, View
from catalog.policies import Caller, Rights
from federation.local import LocalSchema
from federation.native import FUNCTION, is_call, is_native, native_source, native_table
from federation.parse import parse
from federation.restrict import drop_fences, restricted
from federation.system import asked_by

MAX_VIEW_DEPTH = 32
RESERVED = re.compile(r"[fst]\d+_*", re.IGNORECASE)  # tables, fragments and stages of a plan
_IN_VIEW = "the error is in the view"
_TABLE_FUNCTIONS = frozenset({"range", "generate_series", "unnest"})


@dataclass(frozen=True, slots=True)
class Name:
    """What a name stands for. `identifier` is that of a table."""

    parts: Sequence[str]
    quoted: Sequence[bool]
    found: CatalogTable | View
    identifier: str = ""


@dataclass
class Bound:
    """`tables` maps the identifiers in `query` to what they stand for. `names` are all that were resolved, those in
    views as well. `columns` are names that its caller may know."""

    query: exp.Query
    rights: Rights
    tables: dict[str, CatalogTable] = field(default_factory=dict)
    names: list[Name] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)


class Binder:
    """`local` gives a table its identifier and makes it known to DuckDB."""

    def __init__(self, catalog: Catalog, local: LocalSchema) -> None:
        self._catalog = catalog
        self._local = local

    def bind(self, query: exp.Query, caller: Caller | None = None) -> Bound:
        """`query` is changed in place. Raises the catalog's errors, with the position of the name, and
        InsufficientPrivilege for what is not granted to the caller; None may read everything."""
        bound = Bound(query, Rights(self._catalog, caller))
        _rename_reserved(query)
        self._bind_tables(bound, query, ())
        return bound

    def holds(self, names: Sequence[Name]) -> bool:
        """Whether each of them stands for what it did. Raises the catalog's errors."""
        for each in names:
            found = self._catalog.resolve(each.parts, each.quoted)
            if found != each.found:
                return False
            if not isinstance(found, View) and self._local.identify(found) != each.identifier:
                return False
        return True

    def _bind_tables(self, bound: Bound, query: exp.Query, views: tuple[tuple[str, str], ...]) -> None:
        drop_fences(query)
        for lateral in list(query.find_all(exp.Lateral)):
            if is_call(lateral.this):
                lateral.replace(exp.Table(this=lateral.this, alias=lateral.args.get("alias")))
            elif isinstance(lateral.this, exp.Func):
                _check_table_function(lateral)
        for table in list(query.find_all(exp.Table)):
            if not is_cte(table):
                self._bind_table(bound, table, views)
        _drop_qualifiers(query)

    def _bind_table(self, bound: Bound, table: exp.Table, views: tuple[tuple[str, str], ...]) -> None:
        if is_call(table.this) and not table.args.get("db"):
            return self._bind_native(bound, table, views)
        if not isinstance(table.this, exp.Identifier):
            return _check_table_function(table)
        parts = [part for part in table.parts if isinstance(part, exp.Identifier)]
        written = [part.name for part in parts], [bool(part.quoted) for part in parts]
        found = self._resolved(bound, parts, views)
        alias = table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(parts[-1].name, quoted=True))
        if isinstance(found, View):
            bound.names.append(Name(*written, found))
            table.replace(exp.Subquery(this=self._view(bound, found, views), alias=alias))
            return None
        identifier, found = self._identified(bound, found, parts)
        bound.names.append(Name(*written, found, identifier))
        bound.tables[identifier] = found
        if not (views and bound.rights.restricted):
            bound.columns += [column.name for column in found.table.columns]
        restriction = bound.rights.restriction(found, alias.name, in_view=bool(views))
        if restriction is not None:
            restricted(table, identifier, found, alias, restriction, self._local)
        else:
            _put_in(table, identifier, found, alias)
        return None

    def _resolved(
        self, bound: Bound, parts: Sequence[exp.Identifier], views: tuple[tuple[str, str], ...]
    ) -> CatalogTable | View:
        """What a name means. What a view reads needs no grant of its own."""
        rights = bound.rights
        try:
            found = self._catalog.resolve([part.name for part in parts], [bool(part.quoted) for part in parts])
            if not views:
                rights.check_view(found) if isinstance(found, View) else rights.check_table(found)
        except Error as exc:
            _place(exc, rights, None if views else position_of(parts[0]))
            raise
        return found if isinstance(found, View) else asked_by(found, rights.caller)

    def _bind_native(self, bound: Bound, table: exp.Table, views: tuple[tuple[str, str], ...]) -> None:
        """DuckDB knows a native query by its columns and its place among those of the statement, not by its text: it
        would else keep a table for every text that was ever sent."""
        try:
            source = native_source(self._catalog, table.this)
            if not views:
                bound.rights.check_source(source.name)
            bound.rights.check_native(source.name)
            found = native_table(self._catalog, table.this)
        except Error as exc:
            _place(exc, bound.rights, None if views else position_of(table.this))
            raise
        known = [identifier for identifier, each in bound.tables.items() if is_native(each)]
        identifier = next((each for each in known if _same(bound.tables[each], found)), None)
        if identifier is None:
            place = TableName(FUNCTION, str(len(known)))
            identifier = self._local.identify(replace(found, table=replace(found.table, name=place)))
        bound.tables[identifier] = found
        alias = table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(FUNCTION, quoted=True))
        _put_in(table, identifier, found, alias)

    def _identified(
        self, bound: Bound, found: CatalogTable, parts: Sequence[exp.Identifier]
    ) -> tuple[str, CatalogTable]:
        """The table's identifier, the same in all of the statement; when the table is not what the catalog remembers,
        the catalog looks again once."""
        for identifier, each in bound.tables.items():
            if each == found:
                return identifier, each
        try:
            return self._local.identify(found), found
        except SourceChanged:
            self._catalog.forget(found.source.name, found.table.name)
            again = self._catalog.resolve([part.name for part in parts], [bool(part.quoted) for part in parts])
            if isinstance(again, View):
                raise
            return self._local.identify(again), again

    def _view(self, bound: Bound, view: View, views: tuple[tuple[str, str], ...]) -> exp.Query:
        key = (view.schema, view.name)
        if key in views:
            path = " -> ".join(f"{schema}.{name}" for schema, name in (*views, key))
            raise ProgrammingError(f"the view {view.schema}.{view.name} refers to itself: {path}")
        if len(views) >= MAX_VIEW_DEPTH:
            raise StatementTooComplex(f"views are nested deeper than {MAX_VIEW_DEPTH} levels")
        try:
            query = parse(view.sql)
            if query.find(exp.Placeholder, exp.Parameter):
                raise ProgrammingError("a view takes no parameters")
            _forget_positions(query)
            _rename_reserved(query)
            self._bind_tables(bound, query, (*views, key))
        except Error as exc:
            exc.position = None
            if _IN_VIEW not in (exc.hint or ""):  # the innermost view says it
                where = f"{_IN_VIEW} {view.schema}.{view.name}"
                exc.hint = f"{exc.hint} ({where})" if exc.hint else where
            raise
        return query


def _place(exc: Error, rights: Rights, at: int | None) -> None:
    """A name inside a view has no place in the caller's statement. Hints name what others may read."""
    exc.position = exc.position or at
    if rights.restricted and not isinstance(exc, InsufficientPrivilege):
        exc.hint = None


def _same(one: CatalogTable, other: CatalogTable) -> bool:
    return one.source.name == other.source.name and one.table == other.table


def _put_in(table: exp.Table, identifier: str, found: CatalogTable, alias: exp.TableAlias) -> None:
    """`AS t (a, b)` names the columns anew: a subquery does that, so that a table keeps its own."""
    kept = {key: value for key, value in table.args.items() if key not in ("this", "db", "catalog", "alias")}
    named = alias.args.get("columns") or []
    columns = [column.name for column in found.table.columns]
    if not named or len(named) > len(columns):
        table.replace(exp.Table(this=exp.to_identifier(identifier), alias=alias, **kept))
        return
    items: list[exp.Expr] = [exp.column(exp.to_identifier(column, quoted=True)) for column in columns]
    for place, name in enumerate(named):
        items[place] = exp.alias_(items[place], name.copy())
    inner = exp.Table(this=exp.to_identifier(identifier), alias=exp.TableAlias(this=alias.this.copy()))
    renamed = exp.Select(expressions=items).from_(inner, copy=False)
    table.replace(exp.Subquery(this=renamed, alias=exp.TableAlias(this=alias.this), **kept))


def _rename_reserved(query: exp.Query) -> None:
    """A CTE may not be called what we call tables, fragments and stages; where it is used it keeps its name."""
    for cte in [each for each in query.find_all(exp.CTE) if RESERVED.fullmatch(each.alias)]:
        name = cte.alias.lower()
        uses = [each for each in query.find_all(exp.Table) if each.name.lower() == name and is_cte(each)]
        renamed = exp.to_identifier(f"{name}_", quoted=True)
        for table in uses:
            if not table.args.get("alias"):
                table.set("alias", exp.TableAlias(this=table.this.copy()))
            table.set("this", renamed.copy())
        cte.args["alias"].set("this", renamed.copy())


def _forget_positions(query: exp.Query) -> None:
    """Positions in the text of a view are none in the caller's statement."""
    for node in query.walk():
        node.meta.clear()


def position_of(identifier: exp.Expr | None) -> int | None:
    """The 1-based position of an identifier in the text that it was parsed from."""
    start = identifier.meta.get("start") if identifier is not None else None
    return None if start is None else int(start) + 1


def nearest(name: str, known: Sequence[str]) -> str | None:
    """A hint with the names that are most like `name`."""
    found = get_close_matches(name.lower(), list(dict.fromkeys(each.lower() for each in known)), 3, 0.5)
    return f"did you mean {' or '.join(found)}?" if found else None


def _check_table_function(table: exp.Table | exp.Lateral) -> None:
    function = table.this
    if not isinstance(function, exp.Func):
        raise TableNotFound(
            f"{(function or table).sql('duckdb')} is not a table",
            hint='files are read through a source with adapter = "files"',
        )
    name = function.name.lower() if isinstance(function, exp.Anonymous) else function.sql_name().lower()
    if name not in _TABLE_FUNCTIONS:
        raise NotSupportedError(
            f"the table function {name} is not available here",
            hint=f"available: {', '.join(sorted((*_TABLE_FUNCTIONS, FUNCTION)))}; files are read through a source",
        )


def is_cte(table: exp.Table) -> bool:
    """Whether the name means a CTE that is visible where the table stands."""
    if not isinstance(table.this, exp.Identifier) or table.args.get("db"):
        return False
    name = table.name.lower()
    child: exp.Expr = table
    node = table.parent
    inside: exp.Expr | None = None  # the CTE that we came from
    while node is not None:
        if isinstance(node, exp.CTE):
            inside = node
        elif isinstance(node, exp.With):
            if _declares(node, name, before=None if node.args.get("recursive") else inside):
                return True
        elif not isinstance(child, exp.With) and (with_ := node.args.get("with_")) and _declares(with_, name, None):
            return True
        child, node = node, node.parent
    return False


def _declares(with_: exp.With, name: str, before: exp.Expr | None) -> bool:
    for cte in with_.expressions:
        if cte is before:
            return False
        if cte.alias.lower() == name:
            return True
    return False


def _drop_qualifiers(query: exp.Query) -> None:
    """`source.table.column` names the table by its alias alone from here on."""
    for column in query.find_all(exp.Column):
        if column.args.get("db"):
            column.set("db", None)
            column.set("catalog", None)
