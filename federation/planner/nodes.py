"""The plan: where things run. SQL stays SQL inside every node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa
from sqlglot import exp

from adapters.base import Predicate, Scan, TableName
from adapters.sql.dialect import Reason
from catalog.model import Source


@dataclass(frozen=True, slots=True)
class Note:
    """Where one predicate or operator runs, and why: `where` is pushed, rechecked (at the source and again in DuckDB)
    or local."""

    text: str
    where: str
    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RuntimeFilter:
    """Keys that an earlier stage finds: `column` of a scan takes the values that `keys` (DuckDB SQL over the stage's
    result) returns."""

    column: str
    stage: str
    keys: str


@dataclass
class Fragment:
    """What one source is asked for. `name` is how the local query calls it; `schema` is what arrives. The scan of a
    fragment with a runtime filter is planned when its keys are known."""

    name: str
    source: Source
    schema: pa.Schema
    notes: list[Note]
    scan: Scan | None = None


@dataclass
class RemoteQuery(Fragment):
    """An island: a whole query in the source's dialect."""

    query: exp.Query = field(default_factory=exp.Select)


@dataclass
class TableScan(Fragment):
    """One table of a source, by columns, predicates and a limit."""

    table: TableName = field(default_factory=lambda: TableName("", ""))
    columns: tuple[str, ...] = ()
    conditions: tuple[tuple[str, tuple[Predicate, ...]], ...] = ()  # as written, and as predicates
    limit: int | None = None
    runtime_filters: list[RuntimeFilter] = field(default_factory=list)

    @property
    def predicates(self) -> tuple[Predicate, ...]:
        return tuple(predicate for _, predicates in self.conditions for predicate in predicates)


@dataclass(frozen=True, slots=True)
class LocalScan:
    """A table that DuckDB reads by itself inside the local query."""

    source: Source
    table: TableName
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Stage:
    """A local query whose result is kept, because others are planned from its keys or read it more than once."""

    name: str
    sql: str
    inputs: tuple[str, ...]


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

    def close(self) -> None:
        """Give back what the scans of a plan hold that will not run."""
        for fragment in self.fragments:
            if fragment.scan is not None:
                fragment.scan.close()
