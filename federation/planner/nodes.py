"""The plan: where things run. SQL stays SQL inside every node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

import pyarrow as pa
from sqlglot import exp

from adapters.base import ColumnStatistics, Predicate, Scan, ScanRequest, TableName
from adapters.duck_types import quoted
from adapters.sql.dialect import Reason
from adapters.sql.queries import Translated
from catalog.model import CatalogTable, Source

RELATION = "r"  # what a stage, and the query for keys, call what they read: so equal ones look equal


@dataclass(frozen=True, slots=True)
class Note:
    """Where one predicate or operator runs, and why: `where` is pushed, rechecked (at the source and again in DuckDB),
    local, pruned (nowhere: what it is about is not read), or fenced (of rows that passed a row filter only)."""

    text: str
    where: str
    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Cost:
    """What is expected of a fragment: rows, their bytes, and seconds until all have arrived. None is unknown."""

    rows: float | None = None
    bytes: float | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Keys:
    """The values of `column`, together with those of the `others` of a composite key, in the rows of a relation of the
    local query that can matter. `condition` is about it, in
    DuckDB's SQL, under the alias `RELATION`; `restrictions` are semi-joins with what came before it, by its columns.
    `kept` says that the relation is a stage; others are read where they lie.
    """

    column: str
    relation: str
    condition: str = ""
    kept: bool = False
    restrictions: tuple[tuple[str, Keys], ...] = ()
    others: tuple[str, ...] = ()

    @property
    def stage(self) -> str | None:
        return self.relation if self.kept else None

    def sql(self, unkept: AbstractSet[str] = frozenset()) -> str | None:
        """The distinct values, in order; None when the relation's stage is one of the `unkept`."""
        if self.stage in unkept:
            return None
        where = [each for each in (self.condition, *restricting(self.restrictions, unkept)) if each]
        columns = ", ".join(map(_own, (self.column, *self.others)))
        query = f"SELECT DISTINCT {columns} FROM {quoted(self.relation)} AS {quoted(RELATION)}"
        return f"{query} WHERE {' AND '.join(where)}" if where else query

    def stages(self) -> set[str]:
        """All stages that it reads."""
        found = {self.relation} if self.kept else set()
        return found.union(*(keys.stages() for _, keys in self.restrictions))

    def renamed(self, stages: Mapping[str, str]) -> Keys:
        """The same, where stages have other names."""
        restrictions = tuple((column, keys.renamed(stages)) for column, keys in self.restrictions)
        return replace(self, relation=stages.get(self.relation, self.relation), restrictions=restrictions)


def restricting(restrictions: tuple[tuple[str, Keys], ...], unkept: AbstractSet[str] = frozenset()) -> list[str]:
    """The semi-joins as conditions, without those whose keys were not kept."""
    found = [(column, keys.sql(unkept)) for column, keys in restrictions]
    return [f"{_own(column)} IN ({sql})" for column, sql in found if sql is not None]


def _own(column: str) -> str:
    return f"{quoted(RELATION)}.{quoted(column)}"


@dataclass(frozen=True, slots=True)
class RuntimeFilter:
    """Rows of a fragment can matter only if their `column`, with the `others` of a composite key, has one of the keys.
    `required` says that its source cannot be read without."""

    column: str
    keys: Keys
    required: bool = False
    statistics: ColumnStatistics | None = None  # of the column or the composite key, to judge the keys by
    others: tuple[str, ...] = ()


@dataclass
class Fragment:
    """What one source is asked for. `name` is how the local query calls it; `wanted` are the columns that it needs, and
    `schema` is what arrives of them. The scan of a fragment with a required filter is planned when its keys are known;
    for others it is planned again then. `tables` are all that it reads. `contained` says
    that a cached fragment which holds more may answer it; `keys` are what its outputs were restricted to when it was
    planned with its runtime filters, None where these were too many to compare."""

    name: str
    source: Source
    schema: pa.Schema
    notes: list[Note]
    tables: tuple[CatalogTable, ...]
    wanted: pa.Schema
    scan: Scan | None = None
    cost: Cost = Cost()
    expected: Cost = Cost()  # with the runtime filters
    runtime_filters: list[RuntimeFilter] = field(default_factory=list)
    contained: bool = False
    keys: tuple[Predicate, ...] | None = ()


@dataclass
class RemoteQuery(Fragment):
    """An island: a whole query, and what it is in the source's dialect, which may let more rows through than a
    condition that is rechecked. `asked` is that with the runtime filters."""

    query: exp.Query = field(default_factory=exp.Select)
    translated: Translated = field(default_factory=lambda: Translated(exp.Select(), ()))
    asked: exp.Query = field(default_factory=exp.Select)


@dataclass
class TableScan(Fragment):
    """One table of a source, by columns, predicates and a limit. `request` is what was planned, with the runtime
    filters."""

    table: TableName = field(default_factory=lambda: TableName("", ""))
    columns: tuple[str, ...] = ()
    conditions: tuple[tuple[str, tuple[Predicate, ...]], ...] = ()  # as written, and as predicates
    limit: int | None = None
    request: ScanRequest = field(default_factory=lambda: ScanRequest(TableName("", ""), ()))

    @property
    def predicates(self) -> tuple[Predicate, ...]:
        return tuple(predicate for _, predicates in self.conditions for predicate in predicates)


@dataclass(frozen=True, slots=True)
class LocalScan:
    """A table that DuckDB reads by itself inside the local query."""

    source: Source
    table: TableName
    notes: tuple[Note, ...] = ()


@dataclass
class Stage:
    """A local query whose result is kept, because others are planned from its keys or read it more than once.

    `restrictions` are semi-joins over its outputs. An `optional` one may turn out too large to keep: then it streams on
    to its one reader, and the filters that count on it are not made.
    """

    name: str
    query: exp.Query
    restrictions: tuple[tuple[str, Keys], ...] = ()
    optional: bool = False

    @property
    def reads(self) -> set[str]:
        """The names of the fragments, stages and tables in it."""
        return {table.name for table in self.query.find_all(exp.Table)}

    def sql(self, unkept: AbstractSet[str] = frozenset()) -> str:
        """What DuckDB runs, given the stages that could not be kept."""
        sql = self.query.sql("duckdb", identify=True)
        where = restricting(self.restrictions, unkept)
        return f"SELECT * FROM ({sql}) AS {quoted(RELATION)} WHERE {' AND '.join(where)}" if where else sql


@dataclass
class Plan:
    """`sql` is the local query over the fragments, by name; None when the only fragment is the answer as it comes.

    `columns` are the names and DuckDB types of the result.
    """

    columns: Sequence[tuple[str, str]]
    fragments: list[Fragment]
    local_scans: list[LocalScan]
    stages: list[Stage]
    sql: str | None
    notes: list[Note]

    @property
    def seconds(self) -> float | None:
        """How long the sources are expected to take, one after the other; None where one cannot tell."""
        found = [each.expected.seconds for each in self.fragments]
        return None if None in found else sum(each for each in found if each is not None)

    @property
    def bytes(self) -> float:
        return sum(each.expected.bytes or 0.0 for each in self.fragments)

    def close(self) -> None:
        """Give back what the scans of a plan hold that will not run."""
        for fragment in self.fragments:
            if fragment.scan is not None:
                fragment.scan.close()
