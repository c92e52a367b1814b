"""Where each part of a query runs.

1. `rewrites` is the list of rules that change the query into one with the same answer and less to ask for.
2. `filters` moves conditions towards the tables that they are about.
3. `islands` cuts out the largest subtrees that one source answers exactly, level by level.
4. `fragments` types each cut with DuckDB and asks the adapter for a scan.
5. `nodes` is what comes out; `explain` prints it.
"""
