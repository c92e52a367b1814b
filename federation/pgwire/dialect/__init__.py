"""PostgreSQL's SQL: reading it, and saying it in DuckDB's words.

1. `read.py` splits what a client sends into `statements.py`; sqlglot reads the queries (`grammar.py`), the statements
   of a session are read by their tokens (`session.py`, `cursors.py`, `copying.py`).
"""
