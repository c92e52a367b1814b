"""Where each part of a query runs.

1. `filters` moves conditions towards the tables that they are about.
2. `islands` cuts out the largest subtrees that one source answers exactly, level by level.
3. `fragments` types each cut with DuckDB and asks the adapter for a scan.
4. `nodes` is what comes out; `explain` prints it.
"""
