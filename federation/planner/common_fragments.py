"""What two fragments ask of a source alike is fetched once, kept as a stage, and read by both.

Two queries ask alike if they differ in the aliases of their tables alone, or in which columns they take of the same
rows. This comes last, because what a fragment asks depends on its runtime filters: they must have the same keys, or
one of the two has none, and then fetches the other's rows in any case. Stages that read the same are put together as
well, for the keys of two filters are the same only then.

What is read twice cannot stream on, so only what is expected to be small is shared; should it turn out large, it is
kept on disk.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
from sqlglot import exp

from adapters.base import SupportsQuery
from adapters.sql.dialect import Reason
from adapters.sql.expressions import quoted_column
from adapters.sql.queries import Translated
from federation.planner import filters
from federation.planner.fragments import Fragments, plan_scan
from federation.planner.nodes import Fragment, Note, RemoteQuery, RuntimeFilter, Stage, TableScan
from federation.planner.optimizations import Optimization
from federation.planner.stages import Stages, alias_of

SHARED_BYTES = 256 << 20  # that are expected at most of a fragment that is read twice
_FIXED = ("with_", "distinct", "limit", "offset", "order")  # clauses whose rows depend on the columns


class FragmentMerger:
    """Works on a placed query, its fragments and stages, in place."""

    def __init__(self, root: exp.Query, fragments: Fragments, stages: Stages) -> None:
        self.root = root
        self.fragments = fragments
        self.stages = stages

    def merge(self) -> None:
        """Put together whatever asks the same, then keep what is read more than once."""
        merged = False
        while self._merge_fragments() or self._merge_stages():
            merged = True
        if merged:
            self._keep()

    def _trees(self) -> list[exp.Query]:
        return [self.root, *(stage.query for stage in self.stages.made)]

    def _uses(self, name: str) -> list[exp.Table]:
        return [table for tree in self._trees() for table in tree.find_all(exp.Table) if table.name == name]

    # --- fragments ------------------------------------------------------------------------------------------------

    def _merge_fragments(self) -> bool:
        """Merge one pair; False if there is none."""
        asked = {id(each): _asked(each) for each in self.fragments.made if self._may_be_shared(each)}
        for one, other in itertools.permutations([each for each in self.fragments.made if id(each) in asked], 2):
            same = asked[id(one)] == asked[id(other)] and one.source.name == other.source.name
            if same and _restricted_alike(one, other) and self._absorb(one, other):
                return True
        return False

    def _may_be_shared(self, fragment: Fragment) -> bool:
        expected = fragment.expected.bytes
        streaming = expected is None and self.root.find(exp.Limit) is not None  # may end after a few rows
        small = not streaming and (expected is None or expected <= SHARED_BYTES)
        native = any(note.reason is Reason.NATIVE_QUERY for note in fragment.notes)  # nobody knows what it does
        allowed = self.fragments.optimizations.on(Optimization.COMMON_FRAGMENTS, fragment.source.name)
        return allowed and small and not native

    def _absorb(self, fragment: Fragment, other: Fragment) -> bool:
        """Let the fragment fetch what the other one needs too."""
        before = list(fragment.schema.names)
        if isinstance(fragment, RemoteQuery) and isinstance(other, RemoteQuery):
            names = _widen_query(fragment, other)
        else:
            assert isinstance(fragment, TableScan)
            assert isinstance(other, TableScan)
            names = _widen_scan(fragment, other)
        if names is None:
            return False
        readers = ", ".join(dict.fromkeys(use.alias for use in self._uses(other.name) if use.alias))
        fragment.notes.append(
            Note(readers or "a part of the query", "local", Reason.FETCHED_ONCE, f"what {fragment.name} fetches")
        )
        for use in self._uses(fragment.name):
            _read(use, fragment, dict(zip(before, before, strict=True)))
        for use in self._uses(other.name):
            _read(use, fragment, names)
        if other.scan is not None:
            other.scan.close()
        self.fragments.made.remove(other)
        return True

    # --- stages ---------------------------------------------------------------------------------------------------

    def _merge_stages(self) -> bool:
        for one, other in itertools.combinations(self.stages.made, 2):
            if _rows(one.query) == _rows(other.query) and one.restrictions == other.restrictions:
                known = {each.alias_or_name for each in one.query.selects}
                for each in other.query.selects:
                    if each.alias_or_name not in known:
                        one.query.append("expressions", each.copy())
                one.optional = one.optional and other.optional
                self._replace_stage(other, one)
                return True
        return False

    def _replace_stage(self, stage: Stage, by: Stage) -> None:
        for use in self._uses(stage.name):
            use.set("this", exp.to_identifier(by.name, quoted=True))
        self.stages.made.remove(stage)
        names = {stage.name: by.name}
        for each in self.stages.made:
            each.restrictions = tuple((column, keys.renamed(names)) for column, keys in each.restrictions)
        for fragment in self.fragments.made:
            fragment.runtime_filters = [
                replace(each, keys=each.keys.renamed(names)) for each in fragment.runtime_filters
            ]

    def _keep(self) -> None:
        """A stream can be read once."""
        made = {fragment.name for fragment in self.fragments.made}
        uses = Counter(table.name for tree in self._trees() for table in tree.find_all(exp.Table))
        for name in sorted(each for each in made if uses[each] > 1):
            first = next((stage for stage in self.stages.made if name in stage.reads), None)
            tables = self._uses(name)
            stage = self.stages.add(
                exp.select("*").from_(exp.Table(this=exp.to_identifier(name, quoted=True))), before=first
            )
            for table in tables:
                table.set("this", exp.to_identifier(stage.name, quoted=True))
        for stage in self.stages.made:
            stage.optional = stage.optional and uses[stage.name] < 2


# --- what asks the same ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Asked:
    """`rows` says which rows a fragment asks for, whatever the names in it; `columns` which of them, where that
    decides about the rows."""

    rows: tuple[object, ...]
    columns: frozenset[str]


def _asked(fragment: Fragment) -> _Asked:
    if isinstance(fragment, TableScan):
        return _Asked((fragment.table, frozenset(fragment.predicates), fragment.limit), frozenset())
    assert isinstance(fragment, RemoteQuery)
    query, _ = _renamed(fragment.translated.query)
    same = len(query.selects) == len(fragment.query.selects) and not query.is_star
    if not isinstance(query, exp.Select) or not same or any(query.args.get(key) for key in _FIXED):
        return _Asked((query.sql(),), frozenset())
    columns = frozenset(each.unalias().sql() for each in query.selects)
    grouped = query.args.get("group") is not None
    where = frozenset(each.sql() for each in filters.where_conjuncts(query))
    query.set("where", None)
    query.set("expressions", [])
    return _Asked((query.sql(), where, grouped), frozenset() if grouped or _simple(fragment.query) else columns)


def _simple(query: exp.Query) -> bool:
    """Whether each output is computed from one row."""
    return all(filters.plain(each) for each in query.selects)


def _rows(query: exp.Query) -> str:
    """What a stage reads; its columns do not matter if they are bare."""
    bare = isinstance(query, exp.Select) and all(isinstance(each, exp.Column) for each in query.selects)
    if not bare or any(query.args.get(key) for key in _FIXED):
        return query.sql()
    query = query.copy()
    query.set("expressions", [])
    return query.sql()


def _renamed(query: exp.Query) -> tuple[exp.Query, dict[str, str]]:
    """The query with aliases that say nothing but their order, and what they were."""
    query = query.copy()
    aliases = dict.fromkeys(each.name for each in query.find_all(exp.TableAlias))
    names = {name: f"_{number}" for number, name in enumerate(aliases)}
    _rename(query, names)
    return query, {new: old for old, new in names.items()}


def _rename(node: exp.Expr, names: dict[str, str]) -> None:
    for each in node.find_all(exp.TableAlias, exp.Column):
        key = "this" if isinstance(each, exp.TableAlias) else "table"
        old = each.text(key)
        if old in names:
            each.set(key, exp.to_identifier(names[old], quoted=True))


def _restricted_alike(fragment: Fragment, other: Fragment) -> bool:
    """Whether the rows of `other` that can matter are among those that the fragment fetches."""
    if any(each.required for each in (*fragment.runtime_filters, *other.runtime_filters)):
        return _keys(fragment.runtime_filters) == _keys(other.runtime_filters)
    return not fragment.runtime_filters or _keys(fragment.runtime_filters) == _keys(other.runtime_filters)


def _keys(found: Sequence[RuntimeFilter]) -> set[RuntimeFilter]:
    return {replace(each, statistics=None) for each in found}


# --- one fragment for two -------------------------------------------------------------------------------------------


def _widen_query(fragment: RemoteQuery, other: RemoteQuery) -> dict[str, str] | None:
    """Add the columns that the other one asks for besides; what all of its columns are called here, or None if the
    adapter declines."""
    (mine, aliases), (theirs, others) = _renamed(fragment.translated.query), _renamed(other.translated.query)
    if mine == theirs:
        return dict(zip(other.schema.names, fragment.schema.names, strict=True))
    their_aliases = {old: aliases[new] for new, old in others.items() if new in aliases}
    original, query = fragment.query.copy(), fragment.translated.query.copy()
    known = {each.unalias().sql(): each.alias_or_name for each in mine.selects}
    names: dict[str, str] = {}
    outputs, fields = list(fragment.translated.outputs), list(fragment.wanted)
    columns = zip(theirs.selects, other.query.selects, other.translated.outputs, other.wanted, strict=True)
    for item, written, output, field in columns:
        name = known.get(item.unalias().sql())
        if name is None:
            name = next(_free(field.name, [each.name for each in fields]))
            for whole, part, renaming in ((query, item, aliases), (original, written, their_aliases)):
                added = exp.alias_(part.unalias().copy(), name, quoted=True)
                _rename(added, renaming)
                whole.append("expressions", added)
            outputs.append(replace(output, name=name, stored=None))
            fields.append(field.with_name(name))
        names[field.name] = name
    if len(fields) > len(fragment.wanted):
        adapter = fragment.source.adapter
        assert isinstance(adapter, SupportsQuery)
        wanted = pa.schema(fields)
        scan = adapter.plan_query(query, wanted)
        if scan is None:
            return None
        if fragment.scan is not None:
            fragment.scan.close()
        fragment.scan, fragment.schema = scan, scan.schema
        fragment.asked, fragment.wanted = query, wanted
        fragment.query, fragment.translated = original, Translated(query, tuple(outputs))
        fragment.cost, fragment.expected = (
            max(pair, key=lambda each: each.bytes or 0.0)
            for pair in ((fragment.cost, other.cost), (fragment.expected, other.expected))
        )
    return names


def _widen_scan(fragment: TableScan, other: TableScan) -> dict[str, str]:
    more = [each for each in other.columns if each not in fragment.columns]
    if more:
        fragment.columns = (*fragment.columns, *more)
        fragment.schema = pa.schema([*fragment.schema, *(other.schema.field(each) for each in more)])
        fragment.wanted = fragment.schema
        if fragment.scan is not None:
            fragment.scan.close()
            plan_scan(fragment)
    return {each: each for each in other.columns}


def _free(name: str, taken: Sequence[str]) -> Iterator[str]:
    lower = {each.lower() for each in taken}
    candidates = itertools.chain([name], (f"{name}_{number}" for number in itertools.count(2)))
    return (each for each in candidates if each.lower() not in lower)


def _read(use: exp.Table, fragment: Fragment, names: dict[str, str]) -> None:
    """Let a relation that calls its columns by the names of `names` read the fragment."""
    select = use.find_ancestor(exp.Select)
    use.set("this", exp.to_identifier(fragment.name, quoted=True))
    starred = select is not None and any(isinstance(each.unalias(), exp.Star) for each in select.expressions)
    if not starred and all(name == wanted for wanted, name in names.items()):
        return
    alias = use.args.get("alias") or alias_of(fragment.name)
    items = [exp.alias_(quoted_column(name, fragment.name), wanted, quoted=True) for wanted, name in names.items()]
    table = exp.Table(this=use.this.copy(), alias=alias_of(fragment.name))
    use.replace(exp.Subquery(this=exp.Select(expressions=items).from_(table, copy=False), alias=alias.copy()))
