"""Data and queries that many tests share.

1. `tables` describes a logical table; `loading` puts it into PostgreSQL, MariaDB, SQLite or a Parquet file.
2. `layouts` spreads the tables of a corpus over the four systems and opens an engine over them, and beside it plain
   DuckDB over the same values.
3. `compare` says whether two answers are the same.
4. `tpch`, `tpcds` and `random_sql` are the corpora of the differential oracle.
"""
