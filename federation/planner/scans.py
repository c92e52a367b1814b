"""The tables that no island took: read by DuckDB itself, or scanned by their adapter, table by table.

A table with a required filter that the query does not give as a literal takes it from a join: the other side runs
first, as a stage, and its keys become a runtime filter.
"""

from __future__ import annotations

from sqlglot import exp

from adapters.base import Column, Predicate
from adapters.errors import RequiredFilterMissing
from adapters.sql.dialect import Reason, is_fence
from catalog.model import CatalogTable
from federation.native import is_native
from federation.planner import filters
from federation.planner.fragments import Fragments, plan_scan
from federation.planner.groups import columns_of
from federation.planner.joins import KEY, is_closed
from federation.planner.nodes import Keys, LocalScan, Note, RuntimeFilter, TableScan
from federation.planner.optimizations import Optimization
from federation.planner.predicates import to_predicates
from federation.planner.stages import Stages, alias_of


class ScanPlacer:
    def __init__(self, fragments: Fragments, stages: Stages) -> None:
        self.fragments = fragments
        self.stages = stages

    def place(self, root: exp.Query) -> None:
        """Replace every table that is left, in place. Raises RequiredFilterMissing."""
        waiting: list[tuple[exp.Table, TableScan, CatalogTable]] = []
        for table in list(root.find_all(exp.Table)):
            found = self.fragments.tables.get(table.name)
            if found is None:
                continue
            if self.fragments.read_here(table.name):
                self.fragments.local_scans.append(LocalScan(found.source, found.table.name))
                continue
            scan = self._scan(table, found)
            relation = exp.Table(this=exp.to_identifier(scan.name, quoted=True), alias=alias_of(table.alias_or_name))
            table.replace(relation)
            waiting.append((relation, scan, found))
        self._plan(waiting)
        self._keep_repeated(root)

    def _plan(self, waiting: list[tuple[exp.Table, TableScan, CatalogTable]]) -> None:
        """Plan what can be planned, then what takes its keys from that, and so on."""
        blocked = {scan.name for _, scan, found in waiting if self._missing(scan, found)}
        while waiting:
            progress = False
            for entry in list(waiting):
                relation, scan, found = entry
                if all(self._find_keys(relation, scan, each, blocked) for each in self._missing(scan, found)):
                    waiting.remove(entry)
                    blocked.discard(scan.name)
                    progress = True
                    if not scan.runtime_filters:
                        plan_scan(scan)
            if not progress:
                _, scan, found = waiting[0]
                raise _missing_filter(found, self._missing(scan, found))

    def _scan(self, table: exp.Table, found: CatalogTable) -> TableScan:
        select = table.find_ancestor(exp.Select)
        alias = table.alias_or_name
        by_lower = {column.name.lower(): column.name for column in found.table.columns}
        names = columns_of(select, alias) if select is not None else []
        columns = [by_lower[name.lower()] for name in names if name.lower() in by_lower]
        columns = columns or [found.table.columns[0].name]  # DuckDB takes no relation without a column
        native = is_native(found)
        notes = [Note("the text of query(…)", "pushed", Reason.NATIVE_QUERY)] if native else []
        conditions = []
        complete = select is not None and not native
        for part in _conditions(select, table) if select is not None else []:
            converted = self._offered(to_predicates(part, alias, found.table), found)
            complete = complete and bool(converted)
            about = filters.tables_of(part) == {alias}
            if converted:
                conditions.append((part.sql("duckdb"), tuple(converted)))
            elif about:
                reason = Reason.NATIVE_QUERY if native else Reason.NOT_WHITELISTED
                notes.append(Note(part.sql("duckdb"), "local", reason))
        scan = self.fragments.scan(found, columns, conditions, notes)
        if select is not None and complete and self._on(Optimization.LIMIT_PUSHDOWN, found):
            scan.limit = _limit(select)
        return scan

    def _offered(self, predicates: list[Predicate], found: CatalogTable) -> list[Predicate]:
        """What the source is offered; with pushdown off, no more than it requires, and to a native query nothing."""
        required = {column.name for column in found.table.columns if column.required_filter}
        offered = self._on(Optimization.FILTER_PUSHDOWN, found) and not is_native(found)
        return [each for each in predicates if offered or each.column in required]

    def _on(self, optimization: Optimization, found: CatalogTable) -> bool:
        return self.fragments.optimizations.on(optimization, found.source.name)

    # --- required filters ------------------------------------------------------------------------------------------

    def _missing(self, scan: TableScan, found: CatalogTable) -> list[Column]:
        given = {each.column for each in scan.predicates if each.op in ("=", "in")}
        given |= {each.column for each in scan.runtime_filters}
        return [each for each in found.table.columns if each.required_filter and each.name not in given]

    def _find_keys(self, relation: exp.Table, scan: TableScan, column: Column, blocked: set[str]) -> bool:
        select = relation.find_ancestor(exp.Select)
        if select is None:
            return False
        for part in _conditions(select, relation):
            members = part.args.get("query") if isinstance(part, exp.In) else None
            if members is not None and is_closed(members) and _is(part.this, relation, column):
                stage_name = self.stages.keep_members(members)
                keys = Keys(KEY, stage_name, kept=True)
                scan.runtime_filters.append(RuntimeFilter(column.name, keys, required=True))
                return True
            other = _other_side(part, relation, column)
            if other is None:
                continue
            source = next((each for each in filters.relations(select) if each.alias_or_name == other.table), None)
            if source is None or (isinstance(source, exp.Table) and source.name in blocked) or not is_closed(source):
                continue
            stage_name = self.stages.keep(select, source)
            keys = Keys(other.name, stage_name, kept=True)
            scan.runtime_filters.append(RuntimeFilter(column.name, keys, required=True))
            return True
        return False

    def _keep_repeated(self, root: exp.Query) -> None:
        """A fragment can be read once. A recursive CTE reads its inputs once per round, and DuckDB expands its macros
        (NULLIF is one) by copying their arguments, queries included: what they read becomes a stage."""
        made = {fragment.name for fragment in self.fragments.made}
        for node in list(root.find_all(exp.With, exp.Nullif, exp.Anonymous)):
            if isinstance(node, exp.With) and not node.args.get("recursive"):
                continue
            for table in list(node.find_all(exp.Table)):
                if table.name in made:
                    stage = self.stages.add(exp.select("*").from_(exp.Table(this=table.this.copy())))
                    table.set("this", exp.to_identifier(stage.name, quoted=True))


def _conditions(select: exp.Select, table: exp.Table) -> list[exp.Expr]:
    """The conditions that every row of the table in the result fulfils, or that its outer join has."""
    join = table.parent if isinstance(table.parent, exp.Join) else None
    extended = filters.null_extended(select)
    if table.alias_or_name not in extended:
        own = [
            part
            for each in select.args.get("joins") or []
            if filters.is_inner(each)
            for part in filters.conjuncts(each.args.get("on"))
        ]
        return filters.where_conjuncts(select) + own
    if join is not None and join.side == "LEFT" and filters.plain_joins(select):
        return filters.conjuncts(join.args.get("on"))
    return []


def _other_side(part: exp.Expr, relation: exp.Table, column: Column) -> exp.Column | None:
    if not isinstance(part, exp.EQ):
        return None
    for mine, other in ((part.this, part.expression), (part.expression, part.this)):
        if _is(mine, relation, column) and isinstance(other, exp.Column) and other.table != relation.alias:
            return other
    return None


def _is(node: exp.Expr, relation: exp.Table, column: Column) -> bool:
    return isinstance(node, exp.Column) and node.table == relation.alias and node.name.lower() == column.name.lower()


def _limit(select: exp.Select) -> int | None:
    """How many rows of its only table a SELECT can use, when it takes them as they come."""
    limit = None if is_fence(select) else select.args.get("limit")
    offset = select.args.get("offset")
    blocking = ("group", "having", "distinct", "qualify", "order", "sample", "laterals", "joins")
    if limit is None or any(select.args.get(key) for key in blocking):
        return None
    if not all(filters.plain(each) for each in select.expressions):
        return None
    counts = [each.expression for each in (limit, offset) if each is not None]
    if not all(isinstance(each, exp.Literal) and each.this.isdigit() for each in counts):
        return None
    return sum(int(each.this) for each in counts)


def _missing_filter(found: CatalogTable, columns: list[Column]) -> RequiredFilterMissing:
    names = " and ".join(f'"{each.name}"' for each in columns)
    return RequiredFilterMissing(
        f"{found.table.name.name} can be read only with a filter on {names}",
        hint=f"add a condition such as {columns[0].name} = … or join the column to a table that has its values",
        source=found.source.name,
    )
