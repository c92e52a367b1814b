"""Spreads a corpus over the four systems, with an engine over them and plain DuckDB over the same values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from federation.engine import Engine
from tests.corpora.compare import Answer
from tests.corpora.loading import load_mariadb, load_parquet, load_postgres, load_sqlite
from tests.corpora.settings import OFF, ON, Setting
from tests.corpora.tables import CorpusTable, System
from tests.servers import Server


@dataclass(frozen=True)
class Layout:
    """Which system holds which table."""

    name: str
    placement: Mapping[str, System]

    @classmethod
    def everything_in(cls, system: System, tables: Sequence[str]) -> Layout:
        return cls(f"all-{system}", dict.fromkeys(tables, system))


class Federated:
    """One layout, loaded: the engine over the sources, and plain DuckDB beside it."""

    def __init__(self, engine: Engine, plain: duckdb.DuckDBPyConnection) -> None:
        self.engine = engine
        self.plain = plain

    def expected(self, sql: str) -> Answer:
        """What plain DuckDB answers; raises duckdb.Error."""
        return plain_answer(self.plain, sql)

    def actual(self, sql: str, *, pushdown: bool = True, setting: Setting | None = None) -> Answer:
        """What the federation answers; raises adapters.errors.Error."""
        setting = setting or (ON if pushdown else OFF)
        self.engine._known_plans.forget()  # none of them was forced as this one is
        with setting.forced(), self.engine.query(sql, options=setting.options) as result:
            rows = [row for batch in result.batches() for row in _rows(batch)]
            return Answer(tuple(result.types), rows)


def _rows(batch: Any) -> Iterator[tuple[Any, ...]]:
    return zip(*(column.to_pylist() for column in batch.columns), strict=True)


@contextmanager
def federated(
    layout: Layout,
    tables: Sequence[CorpusTable],
    folder: Path,
    postgres: Server,
    mariadb: Server,
    settings: str = "",
    of_each: str = "",
) -> Iterator[Federated]:
    """Load `tables` as `layout` says, each system with a database of its own that holds nothing else. `settings` is
    more of the catalog file, `of_each` more of each source."""
    database = f"{folder.name}_{layout.name}".replace("-", "_")
    by_system: dict[System, list[CorpusTable]] = {}
    for table in tables:
        by_system.setdefault(layout.placement[table.name], []).append(table)
    catalog = [settings]
    if here := by_system.get("postgres"):
        uri = postgres.create_database(database)
        load_postgres(uri, here)
        catalog.append(f'[sources.pg]\nadapter = "postgres"\nuri = "{uri}"\n{of_each}\n')
    if here := by_system.get("mariadb"):
        uri = mariadb.create_database(database)
        load_mariadb(uri, here)
        catalog.append(f'[sources.my]\nadapter = "mysql"\nuri = "{uri}"\n{of_each}\n')
    if here := by_system.get("sqlite"):
        load_sqlite(folder / f"{database}.db", here)
        catalog.append(f'[sources.lite]\nadapter = "sqlite"\npath = "{folder / database}.db"\n{of_each}\n')
    if here := by_system.get("parquet"):
        load_parquet(folder / database, here)
        catalog.append(f'[sources.files]\nadapter = "files"\npath = "{folder / database}/*.parquet"\n{of_each}\n')
    path = folder / f"{database}.toml"
    path.write_text("\n".join(catalog))
    plain = plain_duckdb(layout, tables)
    engine = Engine.open(path)
    try:
        yield Federated(engine, plain)
    finally:
        engine.close()
        plain.close()


def plain_answer(plain: duckdb.DuckDBPyConnection, sql: str) -> Answer:
    relation = plain.sql(sql)
    return Answer(tuple(map(str, relation.types)), relation.fetchall())


def plain_duckdb(layout: Layout, tables: Sequence[CorpusTable]) -> duckdb.DuckDBPyConnection:
    """DuckDB with the tables as its own, each with the values that its system can store."""
    plain = duckdb.connect(config={"threads": 1})
    plain.execute("SET TimeZone = 'UTC'")
    for table in tables:
        plain.register("incoming", table.stored(layout.placement[table.name]))
        plain.execute(f"CREATE TABLE {table.name} AS FROM incoming")
        plain.unregister("incoming")
    return plain
