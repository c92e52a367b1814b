"""How fast rows become messages of PostgreSQL's protocol, beside a loop over them.

    python -m benchmarks.pg_encoder [--rows 1000000] [--repeat 3]

The columns are int4, float8, text, timestamp and numeric(18,2). Nothing is sent. The ways take turns.
"""

from __future__ import annotations

import argparse
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from federation.pgwire.copy_format import CopyEncoder
from federation.pgwire.copy_options import CopyOptions
from federation.pgwire.encoder import RowEncoder
from federation.pgwire.style import Style
from federation.pgwire.types import FLOAT8, INT4, NUMERIC, TEXT, TIMESTAMP, PgType

BATCH_ROWS = 65_536
LOOP_ROWS = 100_000  # a loop takes as long for each further row
TYPES = [PgType(INT4, 4), PgType(FLOAT8, 8), PgType(TEXT, -1), PgType(TIMESTAMP, 8), PgType(NUMERIC, -1)]
TO_2000 = 946_684_800_000_000

Encode = Callable[[pa.RecordBatch], Iterable[Any]]


def made(rows: int) -> list[pa.RecordBatch]:
    random = np.random.default_rng(1)
    numbers = np.arange(rows, dtype=np.int32)
    table = pa.table(
        {
            "i": numbers,
            "f": random.random(rows) * 1000,
            "t": pa.array([f"comment {n * 13}" for n in range(rows)]),
            "at": pa.array(random.integers(0, 2**51, rows), pa.timestamp("us")),
            "n": pa.array((random.random(rows) * 10**6 - 10**5).round(2)).cast(pa.decimal128(18, 2)),
        }
    )
    return table.to_batches(max_chunksize=BATCH_ROWS)


def rows_of(batch: pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
    return zip(*(column.to_pylist() for column in batch.columns), strict=True)


def loop_text(batch: pa.RecordBatch) -> list[bytes]:
    messages = []
    for row in rows_of(batch):
        body = struct.pack(">h", len(row))
        for value in row:
            text = b"" if value is None else str(value).encode()
            body += struct.pack(">i", -1 if value is None else len(text)) + text
        messages.append(b"D" + struct.pack(">i", len(body) + 4) + body)
    return messages


def loop_binary(batch: pa.RecordBatch) -> list[bytes]:
    messages = []
    for integer, double, text, at, number in rows_of(batch):
        fields = (
            struct.pack(">i", integer),
            struct.pack(">d", double),
            text.encode(),
            struct.pack(">q", round(at.timestamp() * 10**6) - TO_2000),
            numeric(number),
        )
        body = struct.pack(">h", len(fields)) + b"".join(struct.pack(">i", len(each)) + each for each in fields)
        messages.append(b"D" + struct.pack(">i", len(body) + 4) + body)
    return messages


def numeric(value: Decimal) -> bytes:
    sign, digits, _ = value.as_tuple()
    text = "".join(map(str, digits)) + "00"  # two digits behind the point are half a group
    text = text.zfill(-(-len(text) // 4) * 4)
    groups = [int(text[i : i + 4]) for i in range(0, len(text), 4)]
    return struct.pack(f">hhHh{len(groups)}h", len(groups), len(groups) - 2, 0x4000 * sign, 2, *groups)


def ways(schema: pa.Schema) -> dict[str, Encode]:
    style = Style()
    return {
        "text": RowEncoder(schema, TYPES, [0], style).encode,
        "binary": RowEncoder(schema, TYPES, [1], style).encode,
        "COPY text": CopyEncoder(schema, TYPES, CopyOptions(), style).encode,
        "COPY csv": CopyEncoder(schema, TYPES, CopyOptions("csv", ",", ""), style).encode,
        "COPY binary": CopyEncoder(schema, TYPES, CopyOptions("binary"), style).encode,
        "loop, text": loop_text,
        "loop, binary": loop_binary,
    }


def speed(encode: Encode, batches: list[pa.RecordBatch]) -> float:
    """Million rows per second of processor time, which other processes do not change."""
    start = time.process_time()
    for batch in batches:
        for _ in encode(batch):
            pass
    return sum(batch.num_rows for batch in batches) / (time.process_time() - start) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    batches = made(options.rows)
    few = [pa.Table.from_batches(batches).slice(0, LOOP_ROWS).combine_chunks().to_batches()[0]]
    every = ways(batches[0].schema)
    best = dict.fromkeys(every, 0.0)
    for _ in range(options.repeat):
        for name, encode in every.items():
            best[name] = max(best[name], speed(encode, few if name.startswith("loop") else batches))
    for name, rate in best.items():
        loop = best["loop, binary" if "binary" in name else "loop, text"]
        print(f"{name:14} {rate:6.2f} M rows/s  {rate / loop:6.1f} x the loop")


if __name__ == "__main__":
    main()
