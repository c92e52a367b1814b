"""PostgreSQL's SQL: reading it, and saying it in DuckDB's words.

1. `read` splits what a client sends into `statements`. sqlglot reads the queries (`grammar`, `queries`), those of the
   session are read by their tokens (`words`, `session`, `cursors`, `copying`).
2. `parameters` finds the types of `$1` and those after it by translating once, and puts the values in.
3. `translate` walks a query: `relations` is FROM, `scope` what a name means, `keys` and `limits` the clauses behind.
4. Expressions are translated bottom up with the kinds of their operands (`kinds`, `casts`): `values`, `comparisons`,
   `operators`, `patterns`, `json_operators`, `times`, `aggregates` and `special` hold a table of handlers each.
   `function_table` has the functions that one DuckDB expression says, `functions` chooses among them.

What no handler knows is refused. docs/pgwire-differences.md has what answers otherwise than PostgreSQL.
"""
