"""Puts logical tables into the four systems."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq

from tests.corpora.tables import CorpusTable, System, as_text, for_sqlite
from tests.servers import run_sql


def load_postgres(uri: str, tables: Iterable[CorpusTable]) -> None:
    for table in tables:
        lines = _text_lines(table, "postgres")
        copy = f"COPY {table.name} FROM STDIN;\n{''.join(lines)}\\.\n"
        # The primary key first, the others after the rows: the order of a dump.
        run_sql(uri, f"{create_table(table, 'postgres')};\n{copy}{create_indexes(table)}ANALYZE {table.name};\n")


def load_mariadb(uri: str, tables: Iterable[CorpusTable]) -> None:
    with TemporaryDirectory(prefix="federation-load-") as folder:
        for table in tables:
            path = Path(folder) / table.name
            path.write_text("".join(_text_lines(table, "mariadb")), encoding="utf-8")
            load = f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE {table.name} CHARACTER SET utf8mb4;\n"
            load += f"{create_indexes(table)}ANALYZE TABLE {table.name};\n"
            run_sql(uri, f"{create_table(table, 'mariadb')};\n{load}")


def load_sqlite(path: Path, tables: Iterable[CorpusTable]) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for table in tables:
            connection.execute(create_table(table, "sqlite"))
            marks = ", ".join("?" for _ in table.data.column_names)
            rows = ([for_sqlite(value) for value in row] for row in table.rows("sqlite"))
            connection.executemany(f"INSERT INTO {table.name} VALUES ({marks})", rows)
            connection.executescript(create_indexes(table))
        connection.commit()


def load_parquet(folder: Path, tables: Iterable[CorpusTable]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for table in tables:
        pq.write_table(table.data, folder / f"{table.name}.parquet", row_group_size=20_000)


def _text_lines(table: CorpusTable, system: System) -> Sequence[str]:
    return ["\t".join(as_text(system, value) for value in row) + "\n" for row in table.rows(system)]


def create_table(table: CorpusTable, system: System) -> str:
    """The statement that creates it, with its primary key, without its indexes."""
    columns = []
    for name in table.data.column_names:
        required = name in table.primary_key or not table.data.schema.field(name).nullable
        constraint = " NOT NULL" if required else ""
        columns.append(f"{name} {table.declaration(system, name)}{constraint}")
    if table.primary_key:
        columns.append(f"PRIMARY KEY ({', '.join(table.primary_key)})")
    strict = " STRICT" if system == "sqlite" and table.strict else ""
    return f"CREATE TABLE {table.name} ({', '.join(columns)}){strict}"


def create_indexes(table: CorpusTable) -> str:
    """Statements, each with its semicolon."""
    return "".join(
        f"CREATE INDEX {table.name}_{'_'.join(columns)} ON {table.name} ({', '.join(columns)});\n"
        for columns in table.indexes
    )
