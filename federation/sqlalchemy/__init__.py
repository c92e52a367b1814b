"""A SQLAlchemy dialect: `federation://host:8470` and `federation:///path/to/federation.toml`.

`dialect` opens connections, `compiler` writes DuckDB's SQL, `reflection` reads the catalog, `types` knows the types.
"""
