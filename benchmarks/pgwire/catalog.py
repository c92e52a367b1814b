"""What SQLAlchemy asks of the catalog of very many tables, beside the PostgreSQL that has them.

    python -m benchmarks.pgwire.catalog [--tables 20000]

The figures are of processor time. The first question reads the catalog and is not counted.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa

from benchmarks.pgwire.place import Target
from tests.pgwire.running import start_face
from tests.servers import Server, start_postgres

AT_ONCE = 500  # tables in a transaction
TABLES = """DO $$ BEGIN FOR i IN {first}..{last} LOOP EXECUTE format(
    'CREATE TABLE shop.t%s (id int PRIMARY KEY, parent int %s, name text NOT NULL, at timestamp, amount numeric(10, 2),
     note varchar(20), ok boolean, code uuid)', i, CASE WHEN i % 4 = 0 THEN 'REFERENCES shop.parent' ELSE '' END
); END LOOP; END $$"""
QUESTIONS: Mapping[str, Callable[[sa.Inspector], Any]] = {
    "get_table_names": lambda inspector: inspector.get_table_names("shop"),
    "get_multi_columns": lambda inspector: inspector.get_multi_columns("shop"),
    "get_multi_pk_constraint": lambda inspector: inspector.get_multi_pk_constraint("shop"),
    "get_multi_indexes": lambda inspector: inspector.get_multi_indexes("shop"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=20_000)
    options = parser.parse_args()
    postgres = start_postgres(more={"max_locks_per_transaction": "1000"})
    try:
        _fill(postgres.uri, options.tables)
        with tempfile.TemporaryDirectory() as folder:
            _measure(postgres, Path(folder))
    finally:
        postgres.stop()


def _fill(uri: str, tables: int) -> None:
    with psycopg.connect(uri, autocommit=True) as database:
        database.execute("CREATE SCHEMA shop; CREATE TABLE shop.parent (id int PRIMARY KEY)")
        for first in range(0, tables, AT_ONCE):
            database.execute(TABLES.format(first=first, last=min(first + AT_ONCE, tables) - 1))
        database.execute("VACUUM ANALYZE")


def _measure(postgres: Server, folder: Path) -> None:
    source = f'[sources.shop]\nadapter = "postgres"\nuri = {json.dumps(postgres.uri)}\nschema = "shop"\n'
    (folder / "federation.toml").write_text(source)
    with start_face(folder) as face:
        backend = int((postgres.folder / "pid").read_text())
        ours = f"postgresql://somebody@127.0.0.1:{face.port}/federation"
        targets = [Target("here", ours, "", "", face.pid), Target("PostgreSQL", postgres.uri, "", "", backend)]
        for target in targets:
            _processor(target, QUESTIONS["get_table_names"])
        print("| question | " + " | ".join(each.name for each in targets) + " |\n|---|---|---|")
        for name, question in QUESTIONS.items():
            print(
                f"| {name} | " + " | ".join(f"{_processor(each, question):.2f} s" for each in targets) + " |",
                flush=True,
            )


def _processor(target: Target, question: Callable[[sa.Inspector], Any]) -> float:
    engine = sa.create_engine(target.uri.replace("postgresql:", "postgresql+psycopg:"), poolclass=sa.pool.NullPool)
    before = target.processor_seconds()
    with engine.connect() as connection:
        question(sa.inspect(connection))
    engine.dispose()
    return target.processor_seconds() - before


if __name__ == "__main__":
    main()
