"""TPC-H over one, two and four sources, beside other systems; README.md says how it is run and what it measures.

1. `data` generates the tables and loads them, once; `servers` starts the servers that hold them.
2. `link` puts `proxy` between them and whoever asks: it counts the bytes, and is as slow as the link is to be.
3. `measure` runs each query in a process of its own (`worker`), and compares the answer with plain DuckDB's.
4. `results` keeps every run as JSON; `report` writes the tables, `chart` the picture.
"""
