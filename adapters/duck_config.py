"""How the private DuckDB is set up, and what is shut in it for good."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlglot import exp

from adapters.duck_types import as_pattern

AHEAD = "streaming_buffer_size"
COLUMNS_ONLY = "columns_only"  # the schema in which views are found when a query is described


def config(folder: str, memory_limit: str | None, threads: int | None, spill: bool) -> dict[str, Any]:
    made: dict[str, Any] = {
        "temp_directory": folder,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_community_extensions": False,
        "allow_persistent_secrets": False,
        "arrow_lossless_conversion": True,
        "errors_as_json": True,
    }
    if not spill:
        made["max_temp_directory_size"] = "0B"
    if memory_limit is not None:
        made["memory_limit"] = memory_limit
    if threads is not None:
        made["threads"] = threads
    return made


def lock_down(connection: Any, paths: Sequence[str]) -> None:
    directories = [path for path in paths if path.endswith("/") or Path(path).is_dir()]
    files = [path for path in paths if path not in directories]
    # DuckDB holds what a query says against these before it takes it for a pattern.
    directories += [as_pattern(path) for path in directories if as_pattern(path) != path]
    files += [as_pattern(path) for path in files if as_pattern(path) != path]
    connection.execute(f"CREATE SCHEMA {COLUMNS_ONLY}").fetchall()
    for setting, value in (
        ("TimeZone", "UTC"),
        ("python_enable_replacements", False),
        ("allowed_directories", directories),
        ("allowed_paths", files),
        ("allowed_configs", [AHEAD, "search_path"]),
        ("enable_external_access", False),
        ("lock_configuration", True),
    ):
        # GLOBAL: without it some of them hold for this connection only, and not for its cursors.
        connection.execute(f"SET GLOBAL {setting} = {exp.convert(value).sql(dialect='duckdb')}").fetchall()
