"""The whitelist of sqlite."""

from __future__ import annotations

from adapters.sql.dialect import SourceDialect

SQLITE = SourceDialect("sqlite")
