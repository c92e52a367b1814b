"""DuckDB with its extension for PostgreSQL, in a process of the environment that has one: a query as Arrow, again and
again. That process runs this file alone, connects, says so, and fetches all rows for each line that it gets.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


class Extension:
    """`sql` finds the database under the name `pg`."""

    def __init__(self, python: str, uri: str, sql: str) -> None:
        command = [python, "-P", str(Path(__file__).resolve()), uri, sql]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self._process.pid
        self._answer()

    def fetch(self) -> int:
        """The rows that came."""
        assert self._process.stdin is not None
        self._process.stdin.write("again\n")
        self._process.stdin.flush()
        return int(self._answer())

    def close(self) -> None:
        self._process.communicate()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("DuckDB with its extension has ended; what it said is above")
        return line


def main() -> None:
    import duckdb
    import pyarrow  # noqa: F401  DuckDB would import it within the time that is measured
    from duckdb_extensions import import_extension

    uri, sql = sys.argv[1:]
    connection = duckdb.connect()
    import_extension("postgres_scanner", con=connection)
    connection.execute("LOAD postgres_scanner")
    connection.execute(f"ATTACH '{uri}' AS pg (TYPE postgres, READ_ONLY)")
    print("ready", flush=True)
    for _ in sys.stdin:
        print(connection.sql(sql).to_arrow_table().num_rows, flush=True)


if __name__ == "__main__":
    main()
