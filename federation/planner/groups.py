"""Groups of base tables inside one SELECT that go to their source together, and single tables with their filters."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlglot import exp

from adapters.sql.dialect import Declined, Reason, SourceDialect, is_fence
from adapters.sql.expressions import quoted_column
from adapters.sql.queries import PushedPredicate, table_scope, translate_conjunct
from catalog.model import CatalogTable, Source
from federation.planner import filters
from federation.planner.computed_columns import Computed, compute, restore
from federation.planner.fragments import Fragments
from federation.planner.nodes import Note
from federation.planner.optimizations import Optimization

_AGGREGATES = Optimization.AGGREGATE_PUSHDOWN


@dataclass
class Group:
    """Tables of one source, inner-joined to each other; `left` are left-joined to them, each with its conditions.

    `extended` says that an outer join of the SELECT may fill the whole group with NULLs.
    """

    source: Source
    dialect: SourceDialect
    inner: list[exp.Table]
    left: list[tuple[exp.Table, list[exp.Expr]]] = field(default_factory=list)
    extended: bool = False
    pushed: list[exp.Expr] = field(default_factory=list)  # in the source's dialect
    conditions: list[exp.Expr] = field(default_factory=list)  # the same in DuckDB's
    taken: list[exp.Expr] = field(default_factory=list)  # the conditions that DuckDB does not test any more
    exact: bool = True  # nothing about the group is left to DuckDB
    notes: list[Note] = field(default_factory=list)

    @property
    def tables(self) -> list[exp.Table]:
        return [*self.inner, *(table for table, _ in self.left)]

    @property
    def aliases(self) -> set[str]:
        return {table.alias for table in self.tables}


class GroupPlacer:
    def __init__(self, fragments: Fragments) -> None:
        self.fragments = fragments

    # --- finding ---------------------------------------------------------------------------------------------------

    def find(self, select: exp.Select) -> list[Group]:
        """The groups of a SELECT: merged along the conditions that the source can test exactly."""
        extended = filters.null_extended(select)
        groups: list[Group] = []
        for relation in filters.relations(select):
            table = self._base(relation)
            dialect = self.fragments.dialect(table.source) if table is not None else None
            if table is not None and dialect is not None and isinstance(relation, exp.Table):
                groups.append(Group(table.source, dialect, [relation], extended=relation.alias in extended))
        if filters.plain_joins(select):
            conditions = [each for each in filters.where_conjuncts(select) if isinstance(each, exp.EQ)]
            while any(self._merge(groups, each) for each in conditions):
                pass
            for group in [each for each in groups if not each.extended]:
                if not self._joins(group.source):
                    continue
                self._take_left_joins(select, groups, group)
        return groups

    def _merge(self, groups: list[Group], condition: exp.Expr) -> bool:
        """Put the two groups of one source together that an equality joins."""
        aliases = filters.tables_of(condition)
        touched = [group for group in groups if group.aliases & aliases]
        if len(touched) != 2 or touched[0].source is not touched[1].source or any(each.extended for each in touched):
            return False
        if not self._joins(touched[0].source):
            return False
        first, second = touched
        joined = Group(first.source, first.dialect, first.inner + second.inner)
        if not aliases <= joined.aliases or not self._exact(joined, condition):
            return False
        groups[groups.index(first)] = joined
        groups.remove(second)
        return True

    def _take_left_joins(self, select: exp.Select, groups: list[Group], group: Group) -> None:
        for join in select.args.get("joins") or []:
            other = next((each for each in groups if each.inner == [join.this] and each.source is group.source), None)
            parts = filters.conjuncts(join.args.get("on"))
            if join.side != "LEFT" or other is None or other is group or not parts:
                continue
            trial = Group(group.source, group.dialect, group.inner, [*group.left, (other.inner[0], parts)])
            joined = any(filters.tables_of(each) & group.aliases for each in parts)
            if joined and all(filters.tables_of(each) <= trial.aliases and self._exact(trial, each) for each in parts):
                group.left = trial.left
                groups.remove(other)

    # --- conditions ------------------------------------------------------------------------------------------------

    def push_conditions(self, select: exp.Select, group: Group) -> None:
        """The conditions about this group alone go with it; what the source tests exactly is not tested again."""
        if not group.extended:
            filters.set_where(select, self._push(group, filters.where_conjuncts(select)))
            return
        for part in filters.where_conjuncts(select):
            if filters.tables_of(part) & group.aliases:
                group.notes.append(Note(part.sql("duckdb"), "local", Reason.NULL_EXTENDED))
        join = next((each for each in select.args.get("joins") or [] if each.this is group.inner[0]), None)
        if join is not None and join.side == "LEFT" and filters.plain_joins(select):
            kept = self._push(group, filters.conjuncts(join.args.get("on")))
            join.set("on", filters.conjunction(kept) or exp.true())

    def _push(self, group: Group, parts: list[exp.Expr]) -> list[exp.Expr]:
        """Returns the conditions that DuckDB must still test."""
        kept = []
        for part in parts:
            aliases = filters.tables_of(part)
            if not aliases & group.aliases:
                kept.append(part)
                continue
            try:
                if not self._on(Optimization.FILTER_PUSHDOWN, group.source):
                    raise Declined(Reason.PUSHDOWN_OFF, Optimization.FILTER_PUSHDOWN)
                pushed = self._verdict(group, part)
            except Declined as exc:
                group.notes.append(Note(part.sql("duckdb"), "local", exc.reason, exc.detail))
                group.exact = False
                kept.append(part)
                continue
            group.pushed.append(pushed.node)
            group.conditions.append(part)
            group.notes.append(Note(part.sql("duckdb"), "pushed" if pushed.exact else "rechecked", pushed.reason))
            if pushed.exact:
                group.taken.append(part)
            else:
                group.exact = False
                kept.append(part)
        return kept

    def _verdict(self, group: Group, part: exp.Expr) -> PushedPredicate:
        if part.find(exp.Query) and not (self._joins(group.source) and self._on(_AGGREGATES, group.source)):
            raise Declined(Reason.PUSHDOWN_OFF, "a subquery joins or aggregates")
        outside = filters.tables_of(part) - group.aliases
        if outside and not part.find(exp.Query):
            raise Declined(Reason.OTHER_SOURCE, ", ".join(sorted(outside)))
        pushed = self._translate(group, part)
        if not pushed.exact and len(filters.tables_of(part)) > 1:
            raise Declined(Reason.DYNAMIC_TYPE, part.sql("duckdb"))
        return pushed

    def _joins(self, source: Source) -> bool:
        """A join whose condition stays here would be a cross product there."""
        return self._on(Optimization.JOIN_PUSHDOWN, source) and self._on(Optimization.FILTER_PUSHDOWN, source)

    def _on(self, optimization: Optimization, source: Source) -> bool:
        return self.fragments.optimizations.on(optimization, source.name)

    def _exact(self, group: Group, part: exp.Expr) -> bool:
        try:
            return self._translate(group, part).exact
        except Declined:
            return False

    def _translate(self, group: Group, part: exp.Expr) -> PushedPredicate:
        if filters.volatile(part):
            raise Declined(Reason.VOLATILE, part.sql("duckdb"))
        tables = self.fragments.tables_of(group.source)
        scope = table_scope({each.alias: tables[each.name] for each in group.tables})
        return translate_conjunct(group.dialect, part, tables, scope)

    # --- cutting ---------------------------------------------------------------------------------------------------

    def cut(self, select: exp.Select, groups: list[Group]) -> None:
        """Each group becomes a fragment; one that is all of the SELECT takes its sorted head along."""
        head = _head(select, groups)
        for group in groups:
            self._cut(select, group, head)

    def _cut(self, select: exp.Select, group: Group, head: exp.Select | None) -> None:
        for join in select.args.get("joins") or []:
            if any(join.this is table for table, _ in group.left):
                join.set("on", None)  # it goes with the group
        computed = self._computed(select, group)
        needed = {table.alias: columns_of(select, table.alias) for table in group.tables}
        single = len(group.tables) == 1
        names = {(a, c): c if single else f"{a}_{c}" for a, columns in needed.items() for c in columns}
        inner = _island(group, names, computed)
        if head is not None and self._on(Optimization.TOPN_PUSHDOWN, group.source):
            try:
                self._send(select, group, _with_head(inner, head), names)
                group.notes.append(Note("LIMIT", "pushed", Reason.EXACT))
                return
            except Declined as exc:
                group.notes.append(Note("LIMIT", "local", exc.reason, exc.detail))
        try:
            self._send(select, group, inner, names)
        except Declined:
            if not single:
                raise
            restore(select, computed)
            _give_back(select, group)

    def _computed(self, select: exp.Select, group: Group) -> Computed:
        """What the source is to compute; the SELECT has columns in its place."""
        if group.extended or not self._on(Optimization.COMPUTED_COLUMNS, group.source):
            return {}
        computed = compute(select, {table.alias for table in group.inner})
        try:
            if computed:
                names = {(alias, name): f"c{n}" for n, (alias, name) in enumerate(computed)}
                self.fragments.translate(group.source, _island(group, names, computed))
        except Declined:
            restore(select, computed)
            return {}
        group.notes += [Note(each.sql("duckdb"), "pushed", Reason.EXACT) for each in computed.values()]
        return computed

    def _send(self, select: exp.Select, group: Group, inner: exp.Select, names: dict[tuple[str, str], str]) -> None:
        translated = self.fragments.translate(group.source, inner)
        assert isinstance(translated.query, exp.Select)
        filters.set_where(translated.query, [each.copy() for each in group.pushed])
        filters.set_where(inner, [each.copy() for each in group.conditions])
        relation = self.fragments.remote(group.source, inner, translated, group.notes)
        alias = group.inner[0].alias if len(group.tables) == 1 else relation.find(exp.Table).name  # type: ignore[union-attr]
        relation.set("alias", exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))
        _replace_columns(select, names, alias, group.aliases)
        _replace_relations(select, group, relation)

    def _base(self, relation: exp.Expr) -> CatalogTable | None:
        return self.fragments.tables.get(relation.name) if isinstance(relation, exp.Table) else None


def _give_back(select: exp.Select, group: Group) -> None:
    """The adapter takes no such query: the table stays, to be scanned, and its conditions stand where they stood."""
    join = next((each for each in select.args.get("joins") or [] if each.this is group.inner[0]), None)
    if group.extended and join is not None:
        join.set("on", filters.conjunction([*filters.conjuncts(join.args.get("on")), *group.taken]))
    else:
        filters.set_where(select, [*filters.where_conjuncts(select), *group.taken])


def columns_of(select: exp.Select, alias: str) -> list[str]:
    found = (column.name for column in select.find_all(exp.Column) if column.table == alias)
    return list(dict.fromkeys(found))


def _island(group: Group, names: dict[tuple[str, str], str], computed: Computed) -> exp.Select:
    """The group as a query of its own, in DuckDB's dialect and without its conditions."""
    items: list[exp.Expr] = [
        exp.alias_(computed.get((alias, name), quoted_column(name, alias)).copy(), out, quoted=True)
        for (alias, name), out in names.items()
    ]
    made = exp.Select(expressions=items or [exp.alias_(exp.Literal.number(1), "one", quoted=True)])
    first, *others = group.inner
    made.set("from_", exp.From(this=first.copy()))
    for table in others:
        made.append("joins", exp.Join(this=table.copy(), kind="CROSS"))
    for table, parts in group.left:
        on = filters.conjunction([each.copy() for each in parts])
        made.append("joins", exp.Join(this=table.copy(), side="LEFT", on=on))
    return made


def _head(select: exp.Select, groups: list[Group]) -> exp.Select | None:
    """ORDER BY and LIMIT of a SELECT that one group answers but for its outputs: they may go along."""
    limit = None if is_fence(select) else select.args.get("limit")
    whole = len(groups) == 1 and len(filters.relations(select)) == len(groups[0].tables)
    if limit is None or not whole or not groups[0].exact or groups[0].extended or select.args.get("where"):
        return None
    if any(select.args.get(key) for key in ("group", "having", "distinct", "qualify", "sample", "laterals", "with_")):
        return None
    if not all(filters.plain(each) for each in select.expressions):
        return None
    offset = select.args.get("offset")
    counts = [each.expression for each in (limit, offset) if each is not None]
    if not all(isinstance(each, exp.Literal) and each.this.isdigit() for each in counts):
        return None
    outputs = {each.alias_or_name: each.unalias() for each in select.expressions}
    head = exp.Select().limit(sum(int(each.this) for each in counts))
    if order := select.args.get("order"):
        order = order.copy()
        for key in order.expressions:
            if isinstance(key.this, exp.Column) and not key.this.table and key.this.name in outputs:
                key.set("this", outputs[key.this.name].copy())
        head.set("order", order)
    return head


def _with_head(inner: exp.Select, head: exp.Select) -> exp.Select:
    made = inner.copy()
    for key in ("order", "limit"):
        if head.args.get(key):
            made.set(key, head.args[key].copy())
    return made


def _replace_columns(select: exp.Select, names: dict[tuple[str, str], str], alias: str, aliases: set[str]) -> None:
    for column in list(select.find_all(exp.Column)):
        if column.table in aliases:
            column.replace(quoted_column(names[column.table, column.name], alias))


def _replace_relations(select: exp.Select, group: Group, relation: exp.Expr) -> None:
    first, *others = group.tables
    first.replace(relation)
    for join in list(select.args.get("joins") or []):
        if any(join.this is other for other in others):
            join.pop()
