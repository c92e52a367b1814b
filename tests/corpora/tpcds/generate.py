"""Writes TPC-DS into a folder: `<table>.parquet` for each of 24 tables and `q01.sql` to `q99.sql`.

    python generate.py FOLDER

Runs in an environment of its own (`requirements/tpcds.lock`): DuckDB's generator is an extension of another release
than the one that the federation uses.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import duckdb
from duckdb_extensions import import_extension

SCALE = 0.01
# The templates have parameters. What the specification draws for large databases finds nothing in one this small.
PARAMETERS: Mapping[int, tuple[tuple[str, str], ...]] = {
    3: (("i_manufact_id = 128", "i_manufact_id = 310"),),
    4: (("2001", "1999"),),
    8: (("'24128'", "'62477', '58371', '58721', '58252', '58909'"), ("count(*) > 10", "count(*) > 1")),
    10: (("'Rush County'", "'Pendleton County', 'Coffee County', 'Finney County'"), ("1+3", "1+11")),
    19: (("i_manager_id=8", "i_manager_id=5"),),
    23: (("count(*) >4", "count(*) >1"), ("d_moy = 2", "d_moy > 2")),
    24: (("s_market_id=8", "s_market_id IN (6, 10)"), ("i_color = 'peach'", "i_color <> 'peach'")),
    31: (("2000", "2001"),),
    37: (("68", "1"), ("677", "310, 168, 553")),
    39: (("> 1)", "> 0.6)"),),
    41: (("738", "840"),),
    49: (("10000", "100"),),
    54: (
        ("= 'maternity'", "<> 'maternity'"),
        ("d_moy = 12", "d_moy = 11"),
        ("1998", "2000"),
    ),
    58: (("d_week_seq", "d_quarter_seq"), ("0.9", "0.2"), ("1.1", "5")),
    64: (("64", "1"), ("'burlywood'", "'red', 'yellow', 'sienna', 'papaya'")),
    73: (("d_dom BETWEEN 1 AND 2", "d_dom BETWEEN 1 AND 20"), ("cnt BETWEEN 1 AND 5", "cnt BETWEEN 1 AND 12")),
    82: (("62", "1"), ("129", "310, 168, 553")),
    83: (("d_week_seq", "d_quarter_seq"),),
    85: (
        ("d_year = 2000", "d_year >= 2000"),
        ("'IN'", "'KY', 'GA', 'NC', 'NE', 'KS', 'VA'"),
        ("BETWEEN 100 AND 200)", "BETWEEN -9999 AND 9999)"),
        ("150.00 AND 200.00", "0.00 AND 200.00"),
        ("100.00 AND 150.00", "0.00 AND 200.00"),
    ),
    91: (("d_moy = 11", "d_moy > 1"), ("'Unknown%'", "'%'"), ("= -7", "= -6")),
}


def main(folder: Path) -> None:
    connection = duckdb.connect()
    import_extension("tpcds", con=connection)
    connection.execute(f"LOAD tpcds; CALL dsdgen(sf = {SCALE})")
    connection.execute((Path(__file__).parent / "enrich.sql").read_text())
    for (table,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall():
        connection.execute(f"COPY (FROM {table} ORDER BY ALL) TO '{folder / table}.parquet'")
    for number, text in connection.execute("FROM tpcds_queries()").fetchall():
        for drawn, ours in PARAMETERS.get(number, ()):
            assert drawn in text, f"query {number} has no {drawn}"
            text = text.replace(drawn, ours)
        (folder / f"q{number:02}.sql").write_text(text.strip().removesuffix(";") + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
