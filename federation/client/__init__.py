"""The client of `federation serve`: what is behind a connection to a server.

1. `address` reads where the server is and who asks.
2. `values` writes parameters as JSON, each with its type.
3. `exchange` makes requests and reads answers, without I/O; `arrow` decodes the stream of rows, `problems` turns
   problem documents into the errors that they were.
4. `blocking` does the I/O by Python's own http.client (`connections`), `asynchronous` by httpx; `failures` says what
   failed on the way.

Nothing here imports the engine, DuckDB or sqlglot, and pyarrow only when there are rows.
"""
