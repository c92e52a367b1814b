"""Short ways to ask the locked-down DuckDB."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from adapters.duck import Duck

RAMP = "FROM range(200000) AS t(i)"


def table(duck: Duck, sql: str, **registered: pa.RecordBatchReader) -> pa.Table:
    cursor = duck.cursor()
    try:
        return duck.run(cursor, sql, registered).read_all()
    finally:
        cursor.close()


def value(duck: Duck, expression: str) -> Any:
    return table(duck, f"SELECT {expression} AS x")["x"][0].as_py()


def literal(path: Path | str) -> str:
    return "'" + str(path).replace("'", "''") + "'"
