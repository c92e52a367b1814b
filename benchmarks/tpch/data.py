"""Generates the tables and loads them into every source of every layout, once; the folder is kept."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.tpch.layouts import LAYOUTS, TABLES
from benchmarks.tpch.servers import Servers
from tests.corpora import tpch
from tests.corpora.loading import create_indexes, create_table, load_sqlite
from tests.corpora.tables import CorpusTable
from tests.servers import run_sql

_CSV = "FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' ESCAPED BY '' LINES TERMINATED BY '\\n' IGNORE 1 LINES"


def prepare(folder: Path, scale: float) -> None:
    """Fill `folder`, unless an earlier call has done it: parquet/, one folder for each source, the servers' data."""
    if (folder / "loaded").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    for kind in ("parquet", "csv"):
        tpch.generate(folder / kind, scale, kind)
    _link_parquet(folder)
    _load_sqlite(folder)
    servers = Servers(folder)
    try:
        _load_servers(servers, folder)
    finally:
        servers.stop()
    shutil.rmtree(folder / "csv")
    (folder / "loaded").touch()


def _link_parquet(folder: Path) -> None:
    """A folder with the files of layout two alone: a source of files has every table that lies there."""
    (folder / "files").mkdir()
    for table in LAYOUTS["two"]["files"]:
        os.link(folder / "parquet" / f"{table}.parquet", folder / "files" / f"{table}.parquet")


def _load_sqlite(folder: Path) -> None:
    """STRICT tables have no decimals: the balance is a REAL."""
    tables = []
    for name in LAYOUTS["four"]["lite"]:
        data = pq.read_table(folder / "parquet" / f"{name}.parquet")
        fields = [field.with_type(_strict(field.type)) for field in data.schema]
        indexes = tpch.INDEXES.get(name, ())
        tables.append(CorpusTable(name, data.cast(pa.schema(fields)), tpch.PRIMARY_KEYS[name], indexes))
    load_sqlite(folder / "lite.db", tables)


def _strict(type_: pa.DataType) -> pa.DataType:
    if pa.types.is_decimal(type_):
        return pa.float64()
    return pa.string() if pa.types.is_string_view(type_) else type_


def _load_servers(servers: Servers, folder: Path) -> None:
    a, b, my = (servers.get(source) for source in ("a", "b", "my"))
    _load_postgres(a.create_database("one"), folder, TABLES)
    _load_postgres(b.create_database("four"), folder, LAYOUTS["four"]["b"])
    for layout in ("two", "four"):
        copy = a.create_database(layout, like="one")
        run_sql(copy, "".join(f"DROP TABLE {each};\n" for each in TABLES if each not in LAYOUTS[layout]["a"]))
    uri = my.create_database("four")
    for name in LAYOUTS["four"]["my"]:
        table = tpch.definitions(folder / "parquet")[name]
        load = f"LOAD DATA LOCAL INFILE '{folder}/csv/{name}.csv' INTO TABLE {name} CHARACTER SET utf8mb4 {_CSV};\n"
        run_sql(uri, f"{create_table(table, 'mariadb')};\n{load}{create_indexes(table)}")
        run_sql(uri, f"ANALYZE TABLE {name} PERSISTENT FOR ALL")


def _load_postgres(uri: str, folder: Path, names: Iterable[str]) -> None:
    """VACUUM after loading, so that reading never writes."""
    for name in names:
        table = tpch.definitions(folder / "parquet")[name]
        copy = f"\\copy {name} FROM '{folder}/csv/{name}.csv' (FORMAT csv, HEADER)\n"
        run_sql(uri, f"{create_table(table, 'postgres')};\n{copy}{create_indexes(table)}")
        run_sql(uri, f"VACUUM (FREEZE, ANALYZE) {name}")
