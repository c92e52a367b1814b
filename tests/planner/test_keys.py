"""Runtime filters at real servers: what they leave contains every row that DuckDB's join would keep."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from adapters.errors import ConversionError
from federation.engine import Engine
from federation.planner.keys import apply_filters, distinct_keys
from federation.planner.nodes import Fragment, Keys, RuntimeFilter, TableScan
from tests.adapters.oracle import plain_connection, read_all
from tests.corpora.layouts import Layout, federated
from tests.corpora.settings import Setting
from tests.corpora.tables import CorpusTable, System
from tests.servers import Server

INTS = [0, 1, -1, 2, 7, 100, 2**31 - 1, -(2**31)]
BIGS = [*INTS, 2**53, 2**53 + 1, 2**63 - 1, -(2**63), 10**18]
DECIMALS = [Decimal(each) for each in ("0", "1", "-1", "0.01", "-0.01", "1.50", "99999999.99", "-99999999.99", "7")]
LONG = [Decimal(each).scaleb(-10) for each in (0, 1, -1, 10**27, 10**27 + 1, -(10**27), 15 * 10**9)]
DATES = [datetime.date(*each) for each in ((1, 1, 2), (1582, 10, 15), (1970, 1, 1), (2024, 2, 29), (9999, 12, 31))]
TIMES = [
    datetime.datetime.fromisoformat(each)
    for each in ("1000-01-01 00:00:00", "1969-12-31 23:59:59.999999", "2024-02-29 12:30:15.5", "2024-03-10 02:30:00")
]
TEXTS = [
    "",
    " ",
    "a",
    "A",
    "a ",
    " a",
    "á",
    "a\u0301",
    "ß",
    "ss",
    "SS",
    "it's",
    '"',
    "\\",
    "\\'",
    "a\\b",
    "a\nb",
    "%",
    "_",
]
TEXTS += [
    "'; --",
    "$1",
    "?",
    ":x",
    "{}",
    "{a,b}",
    "NULL",
    "ÿ",
    "Ω",
    "ﬃ",
    "日本",
    "😀",
    "\U0010ffff",
    "\ufffd",
    "\u200b",
    "\x7f",
    "İ",
    "ı",
]
#: what is not in the tables
OTHER_TEXTS = ["b", "B", "a  ", "A ", "Á", "S", "\t", "a\0b", "\0", "i̇", "x" * 3000]

DATA: Mapping[str, tuple[pa.DataType, list[Any]]] = {
    "i": (pa.int32(), INTS),
    "b": (pa.int64(), BIGS),
    "n": (pa.decimal128(10, 2), DECIMALS),
    "m": (pa.decimal128(38, 10), LONG),
    "dt": (pa.date32(), DATES),
    "ts": (pa.timestamp("us"), TIMES),
    "s": (pa.string(), TEXTS),
    "ci": (pa.string(), TEXTS),
    "bin": (pa.string(), TEXTS),
}
DECLARED: Mapping[tuple[System, str], str] = {
    ("postgres", "ci"): "text COLLATE nocase",
    ("postgres", "bin"): 'text COLLATE "C"',
    ("mariadb", "ci"): "varchar(250) COLLATE utf8mb4_unicode_ci",
    ("mariadb", "bin"): "varchar(250) COLLATE utf8mb4_bin",
    ("sqlite", "ci"): "TEXT COLLATE NOCASE",
    ("sqlite", "bin"): "TEXT COLLATE RTRIM",
}
HUGE = [Decimal(10) ** 37, -(Decimal(10) ** 37), Decimal(5), Decimal(0)]
#: column -> arrays of keys: of its own type, and of others that DuckDB compares with it
KEYS: list[tuple[str, pa.Array[Any]]] = [
    ("i", pa.array([0, 7, 8, -(2**31)], pa.int32())),
    ("i", pa.array([2**31, 2**63 - 1, -(2**63), 1], pa.int64())),
    ("i", pa.array([Decimal("1.00"), Decimal("1.50"), Decimal("99999999.99")], pa.decimal128(10, 2))),
    ("i", pa.array(HUGE, pa.decimal128(38, 0))),
    ("b", pa.array([2**53, 2**63 - 1, -(2**63), 3], pa.int64())),
    ("b", pa.array([0, 2**64 - 1], pa.uint64())),
    ("b", pa.array([1, -5], pa.int16())),
    ("b", pa.array(HUGE, pa.decimal128(38, 0))),
    ("n", pa.array(DECIMALS[:5], pa.decimal128(10, 2))),
    ("n", pa.array([0, 1, 7, 2**40], pa.int64())),
    ("n", pa.array([*LONG[:3], Decimal("1.5")], pa.decimal128(38, 10))),
    ("m", pa.array(LONG[:4], pa.decimal128(38, 10))),
    ("m", pa.array([Decimal("1.50"), Decimal("0")], pa.decimal128(10, 2))),
    ("dt", pa.array([*DATES[:3], datetime.date(2000, 1, 1)], pa.date32())),
    ("ts", pa.array([*TIMES[:3], datetime.datetime(2000, 1, 1)], pa.timestamp("us"))),
    *((column, pa.array([*TEXTS[::2], *OTHER_TEXTS[:-4]])) for column in ("s", "ci", "bin")),
    *((column, pa.array(["a"])) for column in ("s", "ci", "bin")),
    *((column, pa.array(["\\", "it's"])) for column in ("s", "ci", "bin")),
    *(("ci", pa.array([each])) for each in ("A ", "a\0b", "i̇")),
    ("ci", pa.array([*TEXTS, *(f"k{n}" for n in range(9_000))])),
    ("i", pa.array(range(0, 100_000), pa.int32())),
    ("b", pa.array(range(-50_000, 50_000), pa.int64())),
    ("n", pa.array([Decimal(n).scaleb(-2) for n in range(100_000)], pa.decimal128(10, 2))),
    ("s", pa.array([*TEXTS, *(f"k{n}" for n in range(100_000))])),
    ("dt", pa.array(range(-800_000, 20_000), pa.int32()).cast(pa.date32())),  # from before the year 1
    ("dt", pa.array([2**31 - 1, 0], pa.int32()).cast(pa.date32())),  # infinity
    ("ts", pa.array([2**63 - 1, 0], pa.int64()).cast(pa.timestamp("us"))),
    *((column, pa.array([], type_)) for column, (type_, _) in DATA.items()),
]


STRICT = ("i", "b", "s", "ci", "bin")  # what SQLite has types of its own for


def _table(name: str, columns: Iterable[str]) -> CorpusTable:
    rows = max(len(values) for _, values in DATA.values()) + 2
    chosen = [DATA[each] for each in columns]
    arrays = [pa.array([*values, *[None] * (rows - len(values))], type_) for type_, values in chosen]
    data = pa.Table.from_arrays([pa.array(range(rows), pa.int32()), *arrays], names=["id", *columns])
    return CorpusTable(name, data, ("id",), (), {key: each for key, each in DECLARED.items() if key[1] in columns})


@pytest.fixture(scope="module", params=["postgres", "mariadb", "sqlite"])
def engine(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    postgres_server: Server,
    mariadb_server: Server,
) -> Iterator[Engine]:
    layout = Layout.everything_in(request.param, ["t", "strict"])
    collation = (
        "CREATE COLLATION IF NOT EXISTS nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
    )
    postgres_server.run(f"\\c template1\n{collation}")
    with federated(
        layout,
        [_table("t", DATA), _table("strict", STRICT)],
        tmp_path_factory.mktemp("keys"),
        postgres_server,
        mariadb_server,
    ) as opened:
        yield opened.engine


def fragment(engine: Engine, sql: str) -> Fragment:
    return engine.plan(sql).plan.fragments[0]


def rows(planned: Fragment) -> pa.Table:
    assert planned.scan is not None
    return read_all(planned.source.adapter, planned.scan)


@lru_cache
def everything(engine: Engine, sql: str) -> pa.Table:
    return rows(fragment(engine, sql))


def kept(data: pa.Table, column: str, keys: pa.Array[Any]) -> Counter[int]:
    """The numbers of the rows that DuckDB's join with the keys keeps."""
    with plain_connection() as connection:
        connection.register("data", data)
        connection.register("keys", pa.table({"k": keys}))
        try:
            found = connection.sql(f"SELECT id FROM data WHERE {column} IN (SELECT k FROM keys)").fetchall()
        except duckdb.ConversionException:  # the join itself would fail, then
            return Counter()
        return Counter(number for (number,) in found)


@pytest.mark.parametrize("force", ["members", "ranges"])
@pytest.mark.parametrize(("column", "keys"), KEYS, ids=[f"{c}-{k.type}-{n}" for n, (c, k) in enumerate(KEYS)])
@pytest.mark.parametrize(
    "sql",
    ["SELECT * FROM t", "SELECT * FROM strict", "SELECT * FROM t WHERE id >= 0 ORDER BY id LIMIT 1000"],
    ids=["plain", "strict", "shaped"],
)
def test_no_row_of_the_join_is_lost(engine: Engine, sql: str, column: str, keys: pa.Array[Any], force: str) -> None:
    if ("strict" in sql and column not in STRICT) or (len(keys) > 1_000 and sql != "SELECT * FROM t"):
        return
    whole = everything(engine, sql)
    planned = fragment(engine, sql)
    with Setting(force=force).forced():
        made = apply_filters(planned, [(runtime_filter(column), distinct_keys(pa.table({"k": keys})))])
    left = rows(planned)
    assert left.schema == whole.schema
    numbers = Counter(left.column("id").to_pylist())
    assert kept(whole, column, keys) <= numbers <= Counter(whole.column("id").to_pylist()), made


def runtime_filter(column: str, *others: str) -> RuntimeFilter:
    return RuntimeFilter(column, Keys(column, "x", others=others), others=others)


PAIRS = [
    [(0, 0), (1, 1), (7, -(2**63)), (None, 2), (100, None), (-(2**31), 2**53)],
    [(number, number) for number in range(-2_000, 2_000)],
    [(1, 7)],
    [(None, None)],
]


@pytest.mark.parametrize("pairs", PAIRS, ids=["some", "many", "none", "null"])
@pytest.mark.parametrize("sql", ["SELECT * FROM strict", "SELECT * FROM strict ORDER BY id LIMIT 1000"])
def test_keys_of_two_columns_belong_together(engine: Engine, sql: str, pairs: list[tuple[int | None, ...]]) -> None:
    whole, planned = everything(engine, sql), fragment(engine, sql)
    keys = pa.table(
        {"a": pa.array([a for a, _ in pairs], pa.int64()), "b": pa.array([b for _, b in pairs], pa.int64())}
    )
    with Setting(force="members").forced():
        (made,) = apply_filters(planned, [(runtime_filter("i", "b"), distinct_keys(keys))])
    expected = [
        row["id"] for row in whole.to_pylist() if (row["i"], row["b"]) in pairs and None not in (row["i"], row["b"])
    ]
    assert sorted(rows(planned).to_pydict()["id"]) == sorted(expected)
    assert made in ("no keys, nothing is read", f"{len(distinct_keys(keys))} keys")


@pytest.mark.parametrize(
    ("column", "keys"),
    [
        ("i", pa.array([1, 7], pa.int64())),
        ("b", pa.array([2**63 - 1], pa.int64())),
        ("s", pa.array(["a", "日本"])),
    ],
    ids=["i", "b", "s"],
)
def test_the_source_sends_less(engine: Engine, column: str, keys: pa.Array[Any]) -> None:
    """Otherwise the test above would hold for filters that are never made."""
    planned = fragment(engine, "SELECT * FROM strict")
    whole = rows(fragment(engine, "SELECT * FROM strict")).num_rows
    with Setting(force="members").forced():
        made = apply_filters(planned, [(runtime_filter(column), keys)])
    assert made == [f"{len(keys)} keys"]
    assert rows(planned).num_rows < whole


def test_dates_beyond_those_of_python_are_no_keys_of_a_scan(tmp_path: Path) -> None:
    path = tmp_path / "federation.toml"
    path.write_text('[sources.m]\nadapter = "memory"\ntables = { t = [{ d = 2024-01-01 }] }\n', encoding="utf-8")
    with Engine.open(path) as opened:
        planned = fragment(opened, "SELECT * FROM m.t")
        assert isinstance(planned, TableScan)
        keys = pa.array([2**31 - 1], pa.int32()).cast(pa.date32())
        with pytest.raises(ConversionError, match="years 1 to 9999"):
            apply_filters(planned, [(runtime_filter("d"), keys)])
