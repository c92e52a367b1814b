"""TPC-H: the generator's data, the 22 queries with their validation parameters, and the ways the tables are spread."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.corpora.layouts import Layout
from tests.corpora.tables import CorpusTable, System

SCALE = 0.01
QUERIES: Mapping[str, str] = {path.stem: path.read_text() for path in sorted(Path(__file__).parent.glob("q*.sql"))}
# Their ORDER BY leaves ties: two right answers may differ in order.
PARTIAL_ORDER = frozenset({"q03", "q05", "q10", "q11", "q18"})

PRIMARY_KEYS: Mapping[str, tuple[str, ...]] = {
    "region": ("r_regionkey",),
    "nation": ("n_nationkey",),
    "supplier": ("s_suppkey",),
    "customer": ("c_custkey",),
    "part": ("p_partkey",),
    "partsupp": ("ps_partkey", "ps_suppkey"),
    "orders": ("o_orderkey",),
    "lineitem": ("l_orderkey", "l_linenumber"),
}
INDEXES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "nation": (("n_regionkey",),),
    "supplier": (("s_nationkey",),),
    "customer": (("c_nationkey",),),
    "partsupp": (("ps_suppkey",),),
    "orders": (("o_custkey",),),
    "lineitem": (("l_partkey", "l_suppkey"), ("l_suppkey",)),
}
CHARACTERS: Mapping[str, str] = {
    "r_name": "char(25)",
    "r_comment": "varchar(152)",
    "n_name": "char(25)",
    "n_comment": "varchar(152)",
    "s_name": "char(25)",
    "s_address": "varchar(40)",
    "s_phone": "char(15)",
    "s_comment": "varchar(101)",
    "c_name": "varchar(25)",
    "c_address": "varchar(40)",
    "c_phone": "char(15)",
    "c_mktsegment": "char(10)",
    "c_comment": "varchar(117)",
    "p_name": "varchar(55)",
    "p_mfgr": "char(25)",
    "p_brand": "char(10)",
    "p_type": "varchar(25)",
    "p_container": "char(10)",
    "p_comment": "varchar(23)",
    "ps_comment": "varchar(199)",
    "o_orderstatus": "char(1)",
    "o_orderpriority": "char(15)",
    "o_clerk": "char(15)",
    "o_comment": "varchar(79)",
    "l_returnflag": "char(1)",
    "l_linestatus": "char(1)",
    "l_shipinstruct": "char(25)",
    "l_shipmode": "char(10)",
    "l_comment": "varchar(44)",
}
SERVERS: tuple[System, ...] = ("postgres", "mariadb", "sqlite")


def generate(folder: Path, scale: float = SCALE, kind: str = "parquet") -> None:
    """Write one file per table, Parquet or CSV with a header."""
    program = str(Path(sys.executable).parent / "tpchgen-cli")
    subprocess.run([program, kind, "--scale-factor", str(scale), "--output-dir", str(folder), "-q"], check=True)


def tables(folder: Path) -> list[CorpusTable]:
    """The tables that `generate` wrote."""
    return [_table(name, pq.read_table(folder / f"{name}.parquet")) for name in PRIMARY_KEYS]


def definitions(folder: Path) -> dict[str, CorpusTable]:
    """The same tables without their rows."""
    return {name: _table(name, pq.read_schema(folder / f"{name}.parquet").empty_table()) for name in PRIMARY_KEYS}


def _table(name: str, data: pa.Table) -> CorpusTable:
    text = [f.with_type(pa.string()) if f.type == pa.string_view() else f for f in data.schema]
    declared = {(system, c): CHARACTERS[c] for c in data.column_names if c in CHARACTERS for system in SERVERS}
    return CorpusTable(name, data.cast(pa.schema(text)), PRIMARY_KEYS[name], INDEXES.get(name, ()), declared)


def _spread(name: str, **placement: System) -> Layout:
    return Layout(name, placement)


# Three ways to spread the tables over four systems, and everything in each one of them.
LAYOUTS: Mapping[str, Layout] = {
    layout.name: layout
    for layout in (
        _spread("facts-in-postgres", lineitem="postgres", orders="postgres", partsupp="mariadb", part="mariadb",
                supplier="sqlite", customer="sqlite", nation="parquet", region="parquet"),
        _spread("facts-in-mariadb", lineitem="mariadb", orders="parquet", partsupp="sqlite", part="postgres",
                supplier="mariadb", customer="postgres", nation="postgres", region="sqlite"),
        _spread("facts-in-files", lineitem="parquet", orders="sqlite", partsupp="postgres", part="parquet",
                supplier="postgres", customer="mariadb", nation="mariadb", region="mariadb"),
        *(Layout.everything_in(system, tuple(PRIMARY_KEYS)) for system in SERVERS),
    )
}  # fmt: skip
