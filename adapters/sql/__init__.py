"""DuckDB SQL into a source's dialect: exactly, as a superset, or not at all, always with the reason."""
