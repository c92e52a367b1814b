"""Ways to read MySQL/MariaDB into Arrow: speed, peak memory and exactness, each in a process of its own.

    python -m benchmarks.mysql_drivers mysql://user:pw@127.0.0.1:3306/db [--rows 1000000] [driver …]

Creates the table `driver_benchmark` when it is missing. A driver that is not installed is reported and passed over;
`pip install connectorx mysqlclient mysql-connector-python asyncmy mariadb` brings those that the adapter does not use.
The figures that the choice rests on are in docs/adapters/mysql.md.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from itertools import islice
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa

TABLE = "driver_benchmark"
QUERY = f"SELECT * FROM {TABLE}"
BATCH_ROWS = 65_536
MONEY = pa.decimal128(15, 2)
_FIELDS: list[tuple[str, pa.DataType]] = [
    ("orderkey", pa.int64()),
    ("partkey", pa.int32()),
    ("quantity", MONEY),
    ("price", MONEY),
    ("discount", MONEY),
    ("shipped", pa.date32()),
    ("comment", pa.string()),
]
SCHEMA = pa.schema(_FIELDS)
CREATE = f"""CREATE TABLE IF NOT EXISTS {TABLE} (orderkey bigint NOT NULL, partkey int, quantity decimal(15,2),
 price decimal(15,2), discount decimal(15,2), shipped date, comment varchar(44)) CHARACTER SET utf8mb4"""
FILL = f"""INSERT INTO {TABLE} SELECT seq, seq * 7 % 200000, seq % 50 + 0.25, (seq * 37 % 10000000) / 100,
 (seq % 11) / 100, '1992-01-01' + INTERVAL (seq % 2500) DAY, CONCAT('comment ', seq * 13) FROM seq_1_to_{{rows}}"""

# What a reader may get wrong: one row, the value that must arrive.
EXACT: dict[str, tuple[str, Any]] = {
    "bigint unsigned": ("CAST(18446744073709551615 AS UNSIGNED)", 18446744073709551615),
    "decimal(38,10)": (
        "CAST('1234567890123456789012345678.0123456789' AS DECIMAL(38,10))",
        Decimal("1234567890123456789012345678.0123456789"),
    ),
    "time over 24 h": ("CAST('-838:59:59' AS TIME)", "-838:59:59"),
    "zero date": ("CAST('0000-00-00' AS DATE)", "0000-00-00"),
    "microseconds": ("CAST('2024-02-29 23:59:59.000001' AS DATETIME(6))", "2024-02-29 23:59:59.000001"),
}


def address(uri: str) -> dict[str, Any]:
    parts = urlsplit(uri)
    return {
        "host": parts.hostname,
        "port": parts.port or 3306,
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "database": parts.path.lstrip("/"),
    }


def in_batches(rows: Iterable[tuple[Any, ...]]) -> Iterator[pa.RecordBatch]:
    source = iter(rows)
    while chunk := list(islice(source, BATCH_ROWS)):
        columns = zip(zip(*chunk, strict=True), SCHEMA.types, strict=True)
        yield pa.record_batch([pa.array(values, kind) for values, kind in columns], schema=SCHEMA)


def adapter(uri: str, _query: str) -> Iterator[pa.RecordBatch]:
    from adapters.base import CancelToken, ScanRequest, TableName
    from adapters.mysql import MySQLAdapter

    source = MySQLAdapter("my", {"uri": uri})
    request = ScanRequest(TableName(source.default_schema, TABLE), tuple(SCHEMA.names))
    scan = source.plan_scan(request)
    yield from source.read(scan.partitions[0], CancelToken())
    source.close()


def pymysql(uri: str, query: str) -> Iterator[Any]:
    from pymysql import connect
    from pymysql.cursors import SSCursor

    cursor = connect(**address(uri)).cursor(SSCursor)
    cursor.execute(query)
    return iter(cursor)


def mysqlclient(uri: str, query: str) -> Iterator[Any]:
    from MySQLdb import connect
    from MySQLdb.cursors import SSCursor

    cursor = connect(**address(uri)).cursor(SSCursor)
    cursor.execute(query)
    return iter(cursor)


def mysql_connector(uri: str, query: str) -> Iterator[Any]:
    from mysql.connector import connect

    cursor = connect(**address(uri), use_pure=False).cursor(buffered=False)
    cursor.execute(query)
    return iter(cursor)


def mariadb(uri: str, query: str) -> Iterator[Any]:
    from mariadb import connect

    cursor = connect(**address(uri)).cursor(buffered=False)
    cursor.execute(query)
    return iter(cursor)


def asyncmy(uri: str, query: str) -> Iterator[Any]:
    from asyncmy import connect
    from asyncmy.cursors import SSCursor

    loop = asyncio.new_event_loop()

    async def start() -> Any:
        cursor = (await connect(**address(uri))).cursor(SSCursor)
        await cursor.execute(query)
        return cursor

    cursor = loop.run_until_complete(start())
    while rows := loop.run_until_complete(cursor.fetchmany(BATCH_ROWS)):
        yield from rows


def connectorx(uri: str, query: str) -> Iterator[pa.RecordBatch]:
    import connectorx as cx

    yield from cx.read_sql(uri, query, return_type="arrow").to_batches()


def connectorx_stream(uri: str, query: str) -> Iterator[pa.RecordBatch]:
    import connectorx as cx

    yield from cx.read_sql(uri, query, return_type="arrow_stream", batch_size=BATCH_ROWS)


ROWS = {f.__name__: f for f in (pymysql, mysqlclient, mysql_connector, mariadb, asyncmy)}
ARROW = {f.__name__: f for f in (adapter, connectorx, connectorx_stream)}


def measure(driver: str, uri: str) -> str:
    start = time.perf_counter()
    rows, first, types = 0, 0.0, ""
    batches = ARROW[driver](uri, QUERY) if driver in ARROW else in_batches(ROWS[driver](uri, QUERY))
    for batch in batches:
        first = first or time.perf_counter() - start
        rows += batch.num_rows
        types = str(batch.schema.field(2).type)
    seconds = time.perf_counter() - start
    speed = f"{seconds:6.2f} s  {rows / seconds / 1e6:5.2f} M rows/s  first {first:5.2f} s  "
    cost = f"CPU {time.process_time():5.2f} s  peak {peak_mib():5.0f} MiB"
    return f"{driver:18} {speed}{cost}  decimal(15,2) as {types}"


def peak_mib() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def exactness(driver: str, uri: str) -> str:
    read: Callable[[str, str], Iterator[Any]] = ARROW.get(driver) or ROWS[driver]
    wrong = []
    for name, (expression, expected) in EXACT.items():
        try:
            item = next(iter(read(uri, f"SELECT {expression} AS v")))
            got = item.column(0)[0].as_py() if isinstance(item, pa.RecordBatch) else item[0]
        except BaseException as exc:  # a panic of a Rust driver is not an Exception
            got = type(exc).__name__
        if got != expected and str(got) != expected:
            wrong.append(f"{name}: {got!r}")
    return f"{'':18} not exact: {'; '.join(wrong) or 'none'}"


def prepare(uri: str, rows: int) -> None:
    from pymysql import connect

    with connect(**address(uri), autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(CREATE)
        cursor.execute(f"SELECT COUNT(*) FROM {TABLE}")
        if cursor.fetchone() != (rows,):
            cursor.execute(f"TRUNCATE {TABLE}")
            cursor.execute(FILL.format(rows=rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("uri")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--one", metavar="DRIVER", help="measure one in this process")
    parser.add_argument("drivers", nargs="*", default=[*ARROW, *ROWS])
    options = parser.parse_args()
    if options.one:
        print(measure(options.one, options.uri), flush=True)
        if options.one != "adapter":
            print(exactness(options.one, options.uri), flush=True)
        return
    prepare(options.uri, options.rows)
    for driver in options.drivers:
        command = [sys.executable, "-m", "benchmarks.mysql_drivers", options.uri, "--one", driver]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            print(f"{driver:18} failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}", flush=True)


if __name__ == "__main__":
    main()
