"""Values that clients send: from PostgreSQL's text and binary forms to what DuckDB is given.

1. `scalars` reads a text of one type, and checks it as PostgreSQL would; `times` and `intervals` do so for theirs.
2. `binaries` reads the binary forms.
3. `arrays` takes arrays apart, in both forms.

Each value becomes a `federation.parameters.Typed`: DuckDB's type, and a text that DuckDB casts to it.
"""
